import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { NodeId } from "../../src/domain/NodeId.ts"
import { Incarnation } from "../../src/domain/Version.ts"
import * as Membership from "../../src/gossip/Membership.ts"
import { ageMax, MemberDigest, MemberRecord } from "../../src/peer/PeerProtocol.ts"
import { stranger } from "./messages.ts"

const Small = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 }))
/** Few different values, so that ties of every kind come up. */
const Draft = Schema.Struct({ node: Small, generation: Small, heartbeat: Small, incarnation: Small, address: Small })

const recordOf = (draft: typeof Draft.Type): MemberRecord => ({
  ...stranger,
  nodeId: NodeId.make(`node${draft.node}`),
  generation: draft.generation,
  heartbeat: draft.heartbeat,
  incarnation: Incarnation.make(String(draft.incarnation).repeat(12)),
  address: `host${draft.address}:8080`
})
const record = (draft: Partial<typeof Draft.Type>): MemberRecord =>
  recordOf({ node: 0, generation: 1, heartbeat: 1, incarnation: 0, address: 0, ...draft })

const mergeAll = (drafts: ReadonlyArray<typeof Draft.Type>): Membership.Membership => {
  const known = new Map<NodeId, MemberRecord>()
  for (const next of drafts.map(recordOf)) {
    const before = known.get(next.nodeId)
    known.set(next.nodeId, before === undefined ? next : Membership.merge(before, next))
  }
  return known
}

const digestsOf = (known: Membership.Membership) => Array.from(known.values(), Membership.digestOf)

describe("Membership", () => {
  it("a generation or heartbeat above the bound is no message, and one more than the bound is still a number", () => {
    for (const schema of [MemberRecord, MemberDigest]) {
      const isValid = Schema.is(schema)
      for (const field of ["generation", "heartbeat"]) {
        assert.isTrue(isValid({ ...record({}), [field]: ageMax }))
        for (const value of [ageMax + 1, Number.MAX_SAFE_INTEGER, -1]) {
          assert.isFalse(isValid({ ...record({}), [field]: value }), `${field} ${value}`)
        }
      }
    }
  })

  it("a raised age stays within the bound, and the next generation follows the last heartbeat", () => {
    const last: MemberRecord = { ...record({}), generation: 7, heartbeat: ageMax }
    assert.deepInclude(Membership.beaten({ ...last, heartbeat: ageMax - 1 }), { generation: 7, heartbeat: ageMax })
    assert.deepInclude(Membership.beaten(last), { generation: 8, heartbeat: 0 })
    assert.deepInclude(Membership.above(last, { ...last, generation: ageMax }), { generation: ageMax, heartbeat: 0 })
  })

  it.prop("merging is commutative", { left: Draft, right: Draft }, ({ left, right }) => {
    const [one, other] = [recordOf(left), recordOf({ ...right, node: left.node })]
    assert.deepStrictEqual(Membership.merge(one, other), Membership.merge(other, one))
  })

  it.prop("merging is associative and idempotent", { a: Draft, b: Draft, c: Draft }, ({ a, b, c }) => {
    const [x, y, z] = [recordOf(a), recordOf({ ...b, node: a.node }), recordOf({ ...c, node: a.node })]
    assert.deepStrictEqual(
      Membership.merge(Membership.merge(x, y), z),
      Membership.merge(x, Membership.merge(y, z))
    )
    assert.deepStrictEqual(Membership.merge(x, x), x)
  })

  it("a higher generation wins over any heartbeat, then the higher heartbeat", () => {
    assert.isAbove(Membership.compare(record({ generation: 2, heartbeat: 0 }), record({ heartbeat: 2 })), 0)
    assert.isAbove(Membership.compare(record({ heartbeat: 2 }), record({ heartbeat: 1 })), 0)
    assert.strictEqual(Membership.compare(record({}), record({})), 0)
  })

  it.prop("one exchange brings both sides to the same ages", {
    left: Schema.Array(Draft),
    right: Schema.Array(Draft)
  }, ({ left, right }) => {
    const [mine, yours] = [mergeAll(left), mergeAll(right)]
    const sent = Membership.newerThan(yours, digestsOf(mine))
    const wanted = Membership.wanted(yours, digestsOf(mine)).map((nodeId) => mine.get(nodeId)!)
    const merge = (known: Membership.Membership, records: ReadonlyArray<MemberRecord>) =>
      new Map([...known, ...records.map((next) => [next.nodeId, next] as const)])
    const sorted = (known: Membership.Membership) => digestsOf(known).toSorted((a, b) => (a.nodeId < b.nodeId ? -1 : 1))
    assert.deepStrictEqual(sorted(merge(mine, sent)), sorted(merge(yours, wanted)))
    for (const { nodeId } of sent) assert.notInclude(wanted.map((next) => next.nodeId), nodeId)
  })

  it("an accusation counts at the present heartbeat and above, not below", () => {
    const own = record({ heartbeat: 2 })
    assert.isTrue(Membership.accuses([Membership.digestOf(own)], own))
    assert.isFalse(Membership.accuses([Membership.digestOf(record({ heartbeat: 1 }))], own))
    assert.isFalse(Membership.accuses([Membership.digestOf(record({ node: 1, heartbeat: 2 }))], own))
  })

  it("records look alike when only heartbeat and counter differ", () => {
    assert.isTrue(Membership.looksAlike(record({}), { ...record({ heartbeat: 2 }), counter: 8 }))
    const others = [record({ generation: 2 }), record({ incarnation: 1 }), record({ address: 1 }), {
      ...record({}),
      vnodes: 7
    }]
    for (const other of others) assert.isFalse(Membership.looksAlike(record({}), other))
  })

  it("lists look alike when each pair does", () => {
    const pair = [record({}), record({ node: 1 })]
    assert.isTrue(Membership.allLookAlike(pair, [record({ heartbeat: 2 }), record({ node: 1 })]))
    assert.isFalse(Membership.allLookAlike(pair, [record({})]))
    assert.isFalse(Membership.allLookAlike(pair, [record({}), record({ node: 2 })]))
  })
})
