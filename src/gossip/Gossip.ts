/**
 * The members of the cluster, their addresses and states, and this node's opinion of who is alive.
 *
 * Liveness is a local opinion and never changes the ring. The pure parts are `Membership` (which records to merge and
 * send) and `Suspicion` (the meaning of silence); this service adds time, chance and the network.
 */
import { Context, Duration, Effect, Layer, Random, Schedule, Stream } from "effect"
import { LamportClock } from "../clock/LamportClock.ts"
import { ClusterConfig } from "../config/ClusterConfig.ts"
import { NodeConfig } from "../config/NodeConfig.ts"
import { Disk } from "../disk/Disk.ts"
import { Identity } from "../disk/Identity.ts"
import type { NodeId } from "../domain/NodeId.ts"
import { Metrics } from "../observability/Metrics.ts"
import { restarting } from "../observability/restarting.ts"
import { uptimeMillis } from "../observability/uptime.ts"
import { PeerClient } from "../peer/PeerClient.ts"
import { PeerFailed } from "../peer/PeerError.ts"
import { GossipRefused } from "../peer/PeerProblem.ts"
import {
  type GossipMessage,
  type GossipReply,
  type MemberDigest,
  type MemberRecord,
  protocolVersion
} from "../peer/PeerProtocol.ts"
import * as FailureDetector from "./FailureDetector.ts"
import * as handshake from "./handshake.ts"
import * as MembersFile from "./MembersFile.ts"
import * as Membership from "./Membership.ts"
import * as MemberTable from "./MemberTable.ts"
import * as Suspicion from "./Suspicion.ts"

export type { Member } from "./MemberTable.ts"
export type { Liveness } from "./Suspicion.ts"

export class Gossip extends Context.Service<Gossip, {
  readonly self: NodeId
  /** Everyone known, this node included, sorted by node id. A plain call: it is on the path of every request. */
  readonly members: () => ReadonlyArray<MemberTable.Member>
  /** `down` for an unknown node, `up` for this one. */
  readonly liveness: (nodeId: NodeId) => Suspicion.Liveness
  readonly address: (nodeId: NodeId) => string | undefined
  /** The members at once, then again when one joins or its record (except the heartbeat) or liveness changes. */
  readonly changes: Stream.Stream<ReadonlyArray<MemberTable.Member>>
  /** Answers a peer's message; see `GossipMessage`. */
  readonly receive: (message: GossipMessage) => Effect.Effect<GossipReply, GossipRefused>
  /** A request to the member failed: probe it now instead of waiting for missed heartbeats. Returns at once. */
  readonly reportFailure: (nodeId: NodeId) => Effect.Effect<void>
  /** Sends an answer to SWIM's indirect probe: does this node reach `address`? */
  readonly probe: (address: string) => Effect.Effect<boolean>
}>()("rondo/gossip/Gossip") {
  /** Starts with the members that it knew before. The rest happens in the background: nothing waits for a peer. */
  static readonly layer = Layer.effect(Gossip, Effect.suspend(() => make))
}

/** Peers that one round of gossip exchanges with. Three reach all of n nodes in about log4(n) rounds. */
const fanout = 3
/** A change is pushed to everybody, but to no more than this many at once. */
const pushesAtOnce = 16
const exchangeTimeout = Duration.seconds(1)
/** Rounds keep from falling into step with those of nodes that started together. */
const jitter = { least: 0.9, most: 1.1 }
/** A node that knows nobody asks its seeds this much more often, so nodes that start together meet soon. */
const aloneSpeedup = 4
/** A full disk is not tried more often. */
const saveAgainAfter = Duration.seconds(10)

const counterMaxOf = (records: Iterable<MemberRecord>): number => {
  let highest = 0
  for (const { counter } of records) highest = Math.max(highest, counter)
  return highest
}

/** The Lamport clock follows what other members announce, so that a newcomer's starts where theirs are. */
const followCounters = (table: MemberTable.MemberTable, lamport: LamportClock["Service"]) =>
  Stream.runForEach(table.changes, () => Effect.sync(() => lamport.observe(counterMaxOf(table.records.values()))))

const make = Effect.gen(function*() {
  const client = yield* PeerClient
  const settings = yield* ClusterConfig
  const { address, dataDirectory, gossipInterval, seeds, vnodes } = yield* NodeConfig
  const { generation, incarnation, nodeId: self } = yield* Identity
  const disk = yield* Disk
  const lamport = yield* LamportClock
  const metrics = yield* Metrics
  const scope = yield* Effect.scope
  const otherSeeds = seeds.filter((seed) => seed !== address)

  const remembered = yield* MembersFile.load(disk, dataDirectory)
  const startedAtMillis = yield* uptimeMillis
  const counter = lamport.current()
  const started: MemberRecord = {
    nodeId: self,
    incarnation,
    generation,
    heartbeat: 0,
    address,
    vnodes,
    state: "up",
    counter
  }
  // However far an earlier start had to raise its generation, this one is above it.
  const earlier = remembered.find(({ nodeId }) => nodeId === self)
  const isBehind = earlier !== undefined && earlier.generation >= generation
  const table = yield* MemberTable.make(isBehind ? Membership.above(started, earlier) : started, startedAtMillis)
  table.merge(remembered, startedAtMillis)
  const timing = Suspicion.timingOf(gossipInterval)
  const detector = FailureDetector.make(table, client, timing, scope)

  const inBackground = (work: Effect.Effect<unknown>) => Effect.asVoid(Effect.forkIn(work, scope))
  const others = () => table.members().filter(({ record }) => record.nodeId !== self)
  const beat = Effect.map(uptimeMillis, (nowMillis) => table.beat(lamport.current(), nowMillis))

  /** Addresses of peers that refused or were refused, so that each is reported once. */
  const reported = new Set<string>()
  const reportRefusal = (peer: string, reason: string) => {
    if (reported.has(peer)) return Effect.void
    reported.add(peer)
    return Effect.logError(`gossip with ${peer} refused: ${reason}`)
  }

  const messageWith = (digests: ReadonlyArray<MemberDigest>, records: ReadonlyArray<MemberRecord>): GossipMessage => ({
    protocol: protocolVersion,
    from: table.own(),
    settings,
    digests,
    records,
    accused: others().filter(({ liveness }) => liveness !== "up").map(({ record }) => Membership.digestOf(record))
  })

  /** A message without digests brings records and asks for none. */
  const send = (peer: string, digests: ReadonlyArray<MemberDigest>, records: ReadonlyArray<MemberRecord>) =>
    Effect.suspend(() => client.gossip(peer, messageWith(digests, records))).pipe(
      Effect.timeoutOrElse({
        duration: exchangeTimeout,
        orElse: () => Effect.fail(new PeerFailed({ peer, reason: "timeout", detail: "no answer to gossip" }))
      })
    )

  const push = (records: ReadonlyArray<MemberRecord>, except?: NodeId) =>
    Effect.forEach(
      others().filter(({ record }) => record.nodeId !== except),
      ({ record }) => Effect.ignore(send(record.address, [], records)),
      { concurrency: pushesAtOnce, discard: true }
    )

  /** Raises the own record above the accusation, and tells everybody. */
  const refute = Effect.andThen(beat, Effect.suspend(() => inBackground(push([]))))

  const takeIn = Effect.fnUntraced(function*(records: ReadonlyArray<MemberRecord>, sender?: NodeId) {
    const isOutbid = table.merge(records, yield* uptimeMillis, sender)
    if (isOutbid) yield* refute
  })

  /** Seeds that have answered since this start: as members they are met like all others. */
  const seedsMet = new Set<string>()

  const exchangeWith = Effect.fnUntraced(function*(peer: string) {
    const reply = yield* send(peer, Array.from(table.records.values(), Membership.digestOf), [])
    if (reply.protocol !== protocolVersion) {
      return yield* reportRefusal(peer, handshake.protocolMismatch(reply.protocol, table.own()))
    }
    seedsMet.add(peer)
    reported.delete(peer)
    yield* takeIn(reply.records)
    const wanted = reply.wanted.flatMap((nodeId) => table.records.get(nodeId) ?? [])
    if (wanted.length > 0) yield* send(peer, [], wanted)
  })

  const exchangeFailed = (peer: string, failure: PeerFailed) =>
    failure.reason === "refused"
      ? reportRefusal(peer, failure.detail)
      : Effect.forEach(
        others().filter(({ record }) => record.address === peer),
        ({ record }) => detector.reportFailure(record.nodeId),
        { discard: true }
      )

  const exchange = (peer: string) =>
    Effect.catchTag(exchangeWith(peer), "PeerFailed", (failure) => exchangeFailed(peer, failure))

  /** A seed is asked until it has answered, unless it is met as a member anyway. */
  const seedsToAsk = (live: ReadonlyArray<MemberTable.Member>) =>
    otherSeeds.filter((seed) => !seedsMet.has(seed) && !live.some(({ record }) => record.address === seed))

  const round = Effect.gen(function*() {
    metrics.gossipRoundBegan()
    yield* beat
    const members = yield* Random.shuffle(others())
    const live = members.filter(({ liveness }) => liveness === "up")
    const unreachable = members.filter(({ liveness }) => liveness !== "up")
    const toAsk = yield* Random.shuffle(seedsToAsk(live))
    const addresses = new Set([
      ...[...live.slice(0, fanout), ...unreachable.slice(0, 1)].map(({ record }) => record.address),
      ...toAsk.slice(0, live.length === 0 ? fanout : 1)
    ])
    yield* Effect.forEach(addresses, (peer) => inBackground(exchange(peer)), { discard: true })
  })

  const pause = Effect.gen(function*() {
    const share = yield* Random.nextBetween(jitter.least, jitter.most)
    const isAlone = table.records.size === 1 && otherSeeds.length > 0
    yield* Effect.sleep(Duration.times(gossipInterval, isAlone ? share / aloneSpeedup : share))
  })

  const receive = Effect.fnUntraced(function*(message: GossipMessage) {
    const { accused, digests, from, records } = message
    const known = table.members().find(({ record }) => record.nodeId === from.nodeId)
    const reason = handshake.refusal(message, table.own(), settings, known)
    if (reason !== undefined) {
      yield* reportRefusal(from.address, reason)
      return yield* new GossipRefused({ detail: reason })
    }
    // One of the seeds is this node under another name.
    if (from.nodeId === self) return { protocol: protocolVersion, records: [], wanted: [] }
    reported.delete(from.address)
    yield* takeIn([from, ...records], from.nodeId)
    const nowMillis = yield* uptimeMillis
    // A message of an earlier start may have been under way for long, so it says nothing of the present one.
    if (table.records.get(from.nodeId)?.generation === from.generation) {
      table.judge(from.nodeId, (opinion) => Suspicion.heard(opinion, nowMillis))
    }
    // A known node that only restarted remembers the others, and tells them itself.
    if (known === undefined || !handshake.comesFrom(known.record, from)) {
      yield* inBackground(push([from], from.nodeId))
    }
    if (Membership.accuses(accused, table.own())) yield* refute
    return {
      protocol: protocolVersion,
      records: digests.length === 0 ? [] : Membership.newerThan(table.records, digests),
      wanted: Membership.wanted(table.records, digests)
    }
  })

  yield* inBackground(logChanges(table, self))
  yield* inBackground(followCounters(table, lamport))
  yield* inBackground(remember(disk, dataDirectory, table, remembered))
  yield* inBackground(push([]))
  yield* inBackground(restarting("gossip", Effect.forever(Effect.andThen(round, pause))))
  yield* inBackground(restarting("failure detection", detector.run))

  return Gossip.of({
    self,
    members: table.members,
    liveness: (nodeId) => nodeId === self ? "up" : table.opinion(nodeId)?.liveness ?? "down",
    address: (nodeId) => table.records.get(nodeId)?.address,
    changes: table.changes,
    receive,
    reportFailure: detector.reportFailure,
    probe: detector.probe
  })
})

/** Logs the liveness of the other nodes. This node is always up in its own opinion. */
const logChanges = (table: MemberTable.MemberTable, self: NodeId) => {
  const logged = new Map<NodeId, Suspicion.Liveness>()
  return Stream.runForEach(table.changes, (members) =>
    Effect.forEach(members, ({ liveness, record }) => {
      if (record.nodeId === self || logged.get(record.nodeId) === liveness) return Effect.void
      logged.set(record.nodeId, liveness)
      return Effect.logInfo(`${record.nodeId} at ${record.address} is ${liveness}`)
    }, { discard: true }))
}

/** Keeps `members.json` up to date. It writes the newest state only, after any number of changes. */
const remember = (
  disk: Disk["Service"],
  dataDirectory: string,
  table: MemberTable.MemberTable,
  remembered: ReadonlyArray<MemberRecord>
) => {
  let saved = remembered
  const save = Effect.suspend(() => {
    const records = table.members().map(({ record }) => record)
    if (Membership.allLookAlike(records, saved)) return Effect.void
    return Effect.tap(MembersFile.save(disk, dataDirectory, records), () =>
      Effect.sync(() => {
        saved = records
      }))
  })
  return Stream.runForEach(table.changes, () =>
    save.pipe(
      Effect.tapError((error) => Effect.logWarning(`members.json cannot be written: ${error.message}`)),
      Effect.retry(Schedule.spaced(saveAgainAfter)),
      Effect.ignore
    ))
}
