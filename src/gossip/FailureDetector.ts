/**
 * Turns silence and failed requests into opinions about members: looks at all of them at a steady tick and probes
 * those that are silent. The rules are `Suspicion`'s.
 */
import { Effect, Fiber, Random, type Scope } from "effect"
import type { NodeId } from "../domain/NodeId.ts"
import { uptimeMillis } from "../observability/uptime.ts"
import type { PeerClient } from "../peer/PeerClient.ts"
import type { Member, MemberTable } from "./MemberTable.ts"
import * as Probe from "./Probe.ts"
import * as Suspicion from "./Suspicion.ts"

export interface FailureDetector {
  /** Looks at every member, again and again. */
  readonly run: Effect.Effect<never>
  /** See `Gossip`. */
  readonly reportFailure: (nodeId: NodeId) => Effect.Effect<void>
  readonly probe: (address: string) => Effect.Effect<boolean>
}

/** Others asked to try when a member does not answer. */
const relaysMax = 3

/** Probes run in `scope`. */
export const make = (
  table: MemberTable,
  client: PeerClient["Service"],
  timing: Suspicion.Timing,
  scope: Scope.Scope
): FailureDetector => {
  const self = table.own()

  /** Another member has this one's address by now, so an answer from there is not from this one. */
  const isAddressTaken = ({ heardAtMillis, record }: Member) =>
    table.members().some((other) =>
      other.record.nodeId !== record.nodeId &&
      other.record.address === record.address &&
      other.heardAtMillis > heardAtMillis
    )

  const relaysFor = Effect.fnUntraced(function*(nodeId: NodeId) {
    const relays = table.members().filter(({ liveness, record }) =>
      liveness === "up" && record.nodeId !== nodeId && record.nodeId !== self.nodeId
    )
    return (yield* Random.shuffle(relays)).slice(0, relaysMax).map(({ record }) => record.address)
  })

  const probeMember = Effect.fnUntraced(function*(member: Member) {
    const { address, nodeId } = member.record
    const reached = !isAddressTaken(member) &&
      (yield* Probe.reaches(client, address, yield* relaysFor(nodeId), timing))
    const nowMillis = yield* uptimeMillis
    table.judge(nodeId, (opinion) => Suspicion.probed(opinion, reached, nowMillis, timing))
  })

  const startProbe = (member: Member, nowMillis: number) => {
    table.judge(member.record.nodeId, (opinion) => Suspicion.probing(opinion, nowMillis))
    return Effect.forkIn(probeMember(member), scope)
  }

  const look = Effect.fnUntraced(function*(lookedAtMillis: number) {
    const nowMillis = yield* uptimeMillis
    const lagMillis = Suspicion.lag(lookedAtMillis, nowMillis, timing)
    for (const member of table.members()) {
      const { nodeId } = member.record
      if (lagMillis !== 0) table.judge(nodeId, (opinion) => Suspicion.shift(opinion, lagMillis, nowMillis))
      table.judge(nodeId, (opinion) => Suspicion.aged(opinion, nowMillis, timing))
      const opinion = table.opinion(nodeId)
      if (opinion !== undefined && Suspicion.needsProbe(opinion, nowMillis, timing)) {
        yield* startProbe(member, nowMillis)
      }
    }
    return nowMillis
  })

  /**
   * Attempts on behalf of others, by address. Requests that arrive meanwhile share the answer; otherwise a stale
   * address that leads back here would ask in circles.
   */
  const relaying = new Map<string, Fiber.Fiber<boolean>>()

  const relay = (address: string) =>
    client.probe(address, address).pipe(
      Effect.timeoutOrElse({ duration: timing.probeMillis, orElse: () => Effect.succeed(false) }),
      Effect.orElseSucceed(() => false),
      Effect.ensuring(Effect.sync(() => relaying.delete(address)))
    )

  return {
    run: Effect.gen(function*() {
      let lookedAtMillis = yield* uptimeMillis
      while (true) {
        yield* Effect.sleep(timing.tickMillis)
        lookedAtMillis = yield* look(lookedAtMillis)
      }
    }),
    reportFailure: Effect.fnUntraced(function*(nodeId) {
      const nowMillis = yield* uptimeMillis
      const opinion = table.opinion(nodeId)
      if (opinion === undefined || !Suspicion.mayProbe(opinion, nowMillis, timing)) return
      const member = table.members().find(({ record }) => record.nodeId === nodeId)
      if (member !== undefined) yield* startProbe(member, nowMillis)
    }),
    probe: Effect.fnUntraced(function*(address) {
      if (address === self.address) return true
      if (!table.members().some(({ record }) => record.address === address)) return false
      const attempt = relaying.get(address) ?? (yield* Effect.forkIn(relay(address), scope))
      if (attempt.pollUnsafe() === undefined) relaying.set(address, attempt)
      return yield* Fiber.join(attempt)
    })
  }
}
