import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { Key } from "../../src/domain/Key.ts"
import { NodeId } from "../../src/domain/NodeId.ts"
import * as Partition from "../../src/domain/Partition.ts"
import { hash64 } from "../../src/domain/xxhash64.ts"
import * as HashRing from "../../src/ring/HashRing.ts"

const partitions = 1024
const replicas = 3

const listsOf = (members: ReadonlyArray<HashRing.RingMember>, count = partitions) =>
  HashRing.preferenceLists(HashRing.make(members), count, replicas)

/** Coarser partitions, for properties that hold with any number of them. */
const coarseListsOf = (members: ReadonlyArray<HashRing.RingMember>) => listsOf(members, 64)

/** Nodes of different weights; few virtual nodes, since every property must hold for any number of them. */
const Member = Schema.Struct({
  nodeId: NodeId,
  vnodes: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 20 }))
})
const Members = Schema.NonEmptyArray(Member)

const distinct = (members: ReadonlyArray<HashRing.RingMember>) =>
  Array.from(new Map(members.map((member) => [member.nodeId, member])).values())

describe("HashRing", () => {
  it.prop(
    "the same members give the same ring in any order",
    { members: Members, by: Schema.Int },
    ({ by, members }) => {
      const nodes = distinct(members)
      const shuffled = nodes.toSorted((left, right) =>
        hash64(`${left.nodeId} ${by}`) < hash64(`${right.nodeId} ${by}`) ? -1 : 1
      )
      assert.deepStrictEqual(HashRing.make(shuffled), HashRing.make(nodes))
      assert.deepStrictEqual(coarseListsOf(nodes.toReversed()), coarseListsOf(nodes))
    }
  )

  it("sorts by token, and equal tokens by node id", () => {
    const vnode = (token: bigint, name: string) => ({ token, node: NodeId.make(name) })
    const sorted = [vnode(1n, "b"), vnode(2n, "a"), vnode(2n, "b"), vnode(2n ** 63n, "a")]
    assert.deepStrictEqual(sorted.toReversed().toSorted(HashRing.compare), sorted)
    assert.strictEqual(HashRing.compare(vnode(2n, "a"), vnode(2n, "a")), 0)
    const { vnodes } = HashRing.make(nodesNamed(["b", "a", "c"]))
    assert.deepStrictEqual(vnodes.toSorted(HashRing.compare), vnodes)
  })

  it.prop("a preference list names as many nodes as it can and none twice", { members: Members }, ({ members }) => {
    const nodes = distinct(members)
    for (const list of coarseListsOf(nodes)) {
      assert.strictEqual(list.length, Math.min(replicas, nodes.length))
      assert.strictEqual(new Set(list).size, list.length)
    }
  })

  it.prop(
    "a joining node takes keys only for itself",
    { members: Members, joining: Member },
    ({ joining, members }) => {
      const staying = distinct(members).filter(({ nodeId }) => nodeId !== joining.nodeId)
      const before = coarseListsOf(staying)
      const after = coarseListsOf([...staying, joining])
      for (let partition = 0; partition < before.length; partition++) {
        const kept = after[partition]!.filter((nodeId) => nodeId !== joining.nodeId)
        assert.deepStrictEqual(kept, before[partition]!.slice(0, kept.length))
        assert.isTrue(kept.length >= Math.min(before[partition]!.length, replicas - 1))
      }
    }
  )

  it.prop("changed weight of one node moves no key between two others", {
    members: Members,
    vnodes: Member.fields.vnodes
  }, ({ members, vnodes }) => {
    const [changing, ...others] = distinct(members)
    const without = (lists: ReadonlyArray<ReadonlyArray<NodeId>>) =>
      lists.map((list) => list.filter((nodeId) => nodeId !== changing!.nodeId).slice(0, replicas - 1))
    assert.deepStrictEqual(
      without(coarseListsOf([{ ...changing!, vnodes }, ...others])),
      without(coarseListsOf([changing!, ...others]))
    )
  })

  it("an empty ring gives empty lists", () => {
    assert.deepStrictEqual(listsOf([]), Array.from({ length: partitions }, () => []))
  })

  it("a list starts with the node of the first token at or after the partition's start", () => {
    const ring = HashRing.make(nodesNamed(["a", "b", "c", "d"]))
    const lists = HashRing.preferenceLists(ring, partitions, replicas)
    for (let partition = 0; partition < partitions; partition++) {
      const start = BigInt(partition) << 54n
      const vnode = ring.vnodes.find(({ token }) => token >= start) ?? ring.vnodes[0]!
      assert.strictEqual(lists[partition]![0], vnode.node)
    }
  })

  it.prop("a key's partition is the top bits of its hash", { user: Schema.Int }, ({ user }) => {
    const key = Key.make(`users/${user}`)
    assert.strictEqual(Partition.of(key, partitions), Number(hash64(key) >> 54n))
    assert.strictEqual(Partition.of(key, 1), 0)
    assert.strictEqual(Partition.of(key, 2 ** 20), Number(hash64(key) >> 44n))
  })

  it("tokens never change, since data is placed by them", () => {
    const ring = HashRing.make(nodesNamed(["node1", "node2", "node3"]))
    const print = hash64(ring.vnodes.map(({ node, token }) => `${token.toString(16)} ${node}`).join("\n"))
    assert.strictEqual(print.toString(16), "b0e5c1aaf5af6a8d")
  })
})

describe("balance of partitions times replicas", () => {
  for (const { most, nodes } of [{ nodes: 5, most: 1.15 }, { nodes: 10, most: 1.2 }, { nodes: 30, most: 1.3 }]) {
    it(`the busiest of ${nodes} nodes holds at most ${most} times the mean, whatever the nodes are called`, () => {
      for (let seed = 0; seed < 25; seed++) {
        for (const [scheme, nameOf] of Object.entries(namings)) {
          const names = Array.from({ length: nodes }, (_, index) => nameOf(seed, index))
          const ratio = busiestToMean(nodesNamed(names))
          assert.isAtMost(ratio, most, `${scheme}, seed ${seed}`)
        }
      }
    })
  }

  it("a node of double weight holds about twice as much as the others", () => {
    const [heavy, ...others] = nodesNamed(Array.from({ length: 20 }, (_, index) => `node${index}`))
    const held = countsOf([{ ...heavy!, vnodes: 200 }, ...others])
    const mean = others.reduce((sum, { nodeId }) => sum + held.get(nodeId)!, 0) / others.length
    assert.isAtLeast(held.get(heavy!.nodeId)! / mean, 1.6)
    assert.isAtMost(held.get(heavy!.nodeId)! / mean, 2.2)
  })
})

/** How operators and orchestrators name nodes; the seed takes the place of the cluster's name. */
const namings: Record<string, (seed: number, index: number) => string> = {
  counted: (seed, index) => `node${seed * 100 + index}`,
  dashed: (seed, index) => `rondo-${seed}-${index}`,
  addresses: (seed, index) => `10.0.${seed}.${index}`,
  random: (seed, index) => hash64(`${seed}/${index}`).toString(16)
}

const nodesNamed = (names: ReadonlyArray<string>): ReadonlyArray<HashRing.RingMember> =>
  names.map((name) => ({ nodeId: NodeId.make(name), vnodes: 100 }))

const countsOf = (members: ReadonlyArray<HashRing.RingMember>): ReadonlyMap<NodeId, number> => {
  const counts = new Map<NodeId, number>()
  for (const nodeId of listsOf(members).flat()) counts.set(nodeId, (counts.get(nodeId) ?? 0) + 1)
  return counts
}

const busiestToMean = (members: ReadonlyArray<HashRing.RingMember>): number =>
  Math.max(...countsOf(members).values()) / (partitions * replicas / members.length)
