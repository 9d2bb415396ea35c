import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as AdminApi from "../../src/api/AdminApi.ts"
import { Corruption, DiskFull } from "../../src/disk/StorageError.ts"
import * as Health from "../../src/server/Health.ts"
import { member, node1, node2, node3, replicatorStatus, ring, settings, storageStats } from "./fakes.ts"

const observation: Health.Observation = {
  self: node1,
  settings,
  members: [member(node1, "up"), member(node2, "up"), member(node3, "up")],
  ring,
  storage: storageStats,
  replicator: replicatorStatus
}
const withMembers = (...states: ReadonlyArray<"up" | "suspect" | "down">): Health.Observation => ({
  ...observation,
  members: states.map((state, index) => member([node1, node2, node3][index]!, state))
})
const block = new Corruption({ path: "data/000003.sst", offsetBytes: 4096, reason: "on purpose" })
const hole = { from: "a", to: "b", counterMax: 9, file: "data/000007.sst", offsetBytes: 0, reason: "on purpose" }
const damaged = { ...storageStats, holes: [hole, { ...hole, from: "c", to: "d" }] }
const diskFull = { ...storageStats, refusing: new DiskFull({ path: "data/node1" }) }
const noRing = { epoch: 0, nodes: [], preferenceLists: [] }
const recovering = { ...replicatorStatus, recovering: true }

describe("health", () => {
  const all = { total: 4, withQuorum: 4, withAllReplicas: 4 }
  const withoutSpares = { ...all, withAllReplicas: 0 }
  const none = { total: 4, withQuorum: 0, withAllReplicas: 0 }
  const alone = { epoch: 1, nodes: [node1], preferenceLists: [[node1], [node1], [node1], [node1]] }
  const states: ReadonlyArray<
    readonly [what: string, Health.Observation, status: "healthy" | "degraded" | "unavailable", partitions: typeof all]
  > = [
    ["all nodes are up", observation, "healthy", all],
    ["one of three nodes is down", withMembers("up", "up", "down"), "degraded", withoutSpares],
    ["two of three nodes are down", withMembers("up", "down", "down"), "unavailable", none],
    ["a suspect counts towards the quorum", withMembers("up", "suspect", "down"), "degraded", withoutSpares],
    ["only the ring knows two nodes", withMembers("up"), "unavailable", none],
    ["there is no ring", { ...observation, ring: noRing }, "unavailable", none],
    ["the ring is smaller than a quorum", { ...observation, ring: alone }, "unavailable", none]
  ]
  it.each(states)("when %s", (_, observation, status, partitions) => {
    assert.deepInclude(Health.health(observation), { status, partitions })
  })

  it("counts members and hints", () => {
    assert.deepInclude(Health.health(observation), {
      members: { known: 3, up: 3, suspect: 0, down: 0 },
      hints: { pending: 5, pendingBytes: 600, dropped: 1 }
    })
  })

  it("is degraded while this node's disk refuses or it recovers, and says why", () => {
    const full = Health.health({ ...observation, storage: diskFull })
    assert.strictEqual(full.status, "degraded")
    assert.isFalse(full.storage.writable)
    assert.include(full.storage.refusing, "no space left")
    assert.strictEqual(Health.health({ ...observation, replicator: recovering }).status, "degraded")
  })

  it("is degraded while cells are lost or a block cannot be read, and names the place and the next step", () => {
    const damageOf = (
      storage: Health.Observation["storage"],
      lostRanges: Health.Observation["replicator"]["lostRanges"]
    ) => {
      const health = Health.health({ ...observation, storage, replicator: { ...replicatorStatus, lostRanges } })
      assert.strictEqual(health.status, "degraded")
      return health.storage.damage!
    }
    const { lostRanges } = replicatorStatus
    const unread = damageOf({ ...storageStats, damage: block }, lostRanges)
    assert.deepInclude(unread, { files: ["data/000003.sst"], ranges: 0 })
    assert.include(unread.found, "data/000003.sst is damaged at byte 4096")
    assert.include(unread.next, "rewritten")

    const lost = damageOf(damaged, { ...lostRanges, state: "running" })
    assert.deepInclude(lost, { files: ["data/000007.sst"], ranges: 2 })
    assert.include(lost.found, "data/000007.sst is damaged at byte 0")
    assert.match(lost.next, /come back from the other replicas$/)
    const waiting = damageOf(damaged, { ...lostRanges, state: "waiting", reason: "for node3, which is down" })
    assert.match(waiting.next, /: waiting for node3, which is down$/)
    const failed = damageOf({ ...damaged, damage: block }, {
      ...lostRanges,
      state: "failed",
      reason: "node2 storage: lost"
    })
    assert.sameMembers(Array.from(failed.files), ["data/000003.sst", "data/000007.sst"])
    assert.match(failed.next, /: tried again, because node2 storage: lost$/)
    assert.isUndefined(Health.health(observation).storage.damage)
  })

  it("shows how far the scrub is, unless it is off", () => {
    const scrubOf = (scrub: Partial<typeof storageStats.scrub>) =>
      Health.health({ ...observation, storage: { ...storageStats, scrub: { ...storageStats.scrub, ...scrub } } })
        .storage
        .scrub
    const progress = { running: true, bytesDone: 700, bytesTotal: 5000, passes: 2, damaged: 0 }
    assert.deepStrictEqual(scrubOf({}), { ...progress, lastPassEndedAtMillis: 1_700_000_000_000 })
    assert.deepStrictEqual(scrubOf({ lastPassEndedAtMillis: undefined, damaged: 1 }), { ...progress, damaged: 1 })
    assert.isUndefined(scrubOf({ bytesPerSecond: 0 }))
  })

  it("fits its declaration", () => {
    for (const storage of [storageStats, diskFull, damaged]) {
      assert.isTrue(Schema.is(AdminApi.Health)(Health.health({ ...observation, storage })))
    }
  })
})

describe("readiness", () => {
  const failing = (change: Partial<Health.Observation>) =>
    Health.readiness({ ...observation, ...change }).filter(({ failure }) => failure !== undefined).map(({ name }) =>
      name
    )

  it("needs a writable disk, a ring as large as a quorum, and a recovered directory", () => {
    assert.deepStrictEqual(failing({}), [])
    assert.deepStrictEqual(failing({ storage: diskFull }), ["storage"])
    assert.deepStrictEqual(failing({ ring: { ...ring, nodes: [node1] } }), ["ring"])
    assert.deepStrictEqual(failing({ ring: { ...ring, nodes: [node1, node2] } }), [])
    assert.deepStrictEqual(failing({ replicator: recovering }), ["recovered"])
  })

  it("does not depend on other nodes being up", () => {
    assert.deepStrictEqual(failing(withMembers("up", "down", "down")), [])
  })
})

describe("the picture of the cluster", () => {
  it("says who holds how much, and fits its declaration", () => {
    const cluster = Health.cluster(observation)
    assert.isTrue(Schema.is(AdminApi.Cluster)(cluster))
    assert.deepStrictEqual(cluster.members.map(({ id, partitions }) => ({ id, ...partitions })), [
      { id: node1, replica: 4, first: 2, share: 0.5 },
      { id: node2, replica: 4, first: 1, share: 0.25 },
      { id: node3, replica: 4, first: 1, share: 0.25 }
    ])
    assert.deepStrictEqual(cluster.ring, { epoch: 3, partitions: 4 })
    assert.deepStrictEqual(cluster.quorums, { write: 2, read: 2 })
    assert.strictEqual(cluster.replicator.comparisons[0]?.failure, "unreachable")
  })

  it("has no shares while there is no ring, and no failure where there was none", () => {
    const [comparison] = replicatorStatus.comparisons
    const cluster = Health.cluster({
      ...observation,
      ring: noRing,
      replicator: { ...replicatorStatus, comparisons: [{ ...comparison!, failure: undefined }] }
    })
    assert.strictEqual(cluster.members[0]?.partitions.share, 0)
    assert.notProperty(cluster.replicator.comparisons[0], "failure")
  })
})
