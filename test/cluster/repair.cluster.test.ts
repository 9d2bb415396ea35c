/** What a disk loses comes back from the other replicas: whole clusters in one process, on virtual time. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import type { MemoryNode } from "./MemoryCluster.ts"
import * as Cluster from "./MemoryCluster.ts"

const { contents, coordinator, gossip, key, passing, replicator, storage, value } = Cluster

const put = (node: MemoryNode, name: string, text: string) => passing(coordinator(node).put(key(name), value(text)))

const text = (node: MemoryNode, name: string) =>
  Effect.map(
    passing(coordinator(node).get(key(name))),
    ({ cell }) => cell?.value === undefined ? undefined : Buffer.from(cell.value.bytes).toString()
  )

const names = Array.from({ length: 40 }, (_, index) => `key-${String(index).padStart(2, "0")}`)
const valueOf = (name: string) => `${name} `.repeat(60)

/** Three nodes that hold the same in a table each, and what they hold. */
const filled = Effect.fnUntraced(function*(seed: number) {
  const cluster = yield* Cluster.make({ size: 3, seed })
  for (const [index, name] of names.entries()) yield* put(cluster.nodes[index % 3]!, name, valueOf(name))
  yield* passing(coordinator(cluster.nodes[0]!).delete(key("key-05")))
  const isLevel = Effect.map(
    Effect.forEach(cluster.nodes, contents),
    (all) => all[0]!.length === names.length && all.every((lines) => JSON.stringify(lines) === JSON.stringify(all[0]))
  )
  yield* cluster.until(isLevel, "everybody holds everything")
  yield* Effect.forEach(cluster.nodes, (node) => passing(storage(node).flush), { discard: true })
  const [node1, node2, node3] = cluster.nodes as [MemoryNode, MemoryNode, MemoryNode]
  return { cluster, node1, node2, node3, before: yield* contents(node1) }
})

const damage = (node: MemoryNode, ending: string, ...offsets: ReadonlyArray<number>) => {
  const path = Array.from(node.disk.files().keys()).find((path) => path.endsWith(ending))!
  for (const offset of offsets) node.disk.damage(path, offset)
}

const restart = ({ crash, start }: Cluster.MemoryCluster, node: MemoryNode) => Effect.andThen(crash(node), start(node))

const holesOf = (node: MemoryNode) => Effect.map(storage(node).stats, ({ holes }) => holes)

const isWhole = (node: MemoryNode) =>
  Effect.map(storage(node).stats, ({ damage, holes }) => damage === undefined && holes.length === 0)

/** Reads everything, and so meets all damage. */
const scrub = (node: MemoryNode) => passing(storage(node).verify)

describe("repair", () => {
  for (
    const [what, ending, offsets] of [
      ["some blocks of a table", ".sst", [100, 9000]],
      ["the index of a table, which is all of it", ".idx", [100]]
    ] as const
  ) {
    it.effect(`heals ${what}, byte for byte, while every read is answered`, () =>
      Effect.gen(function*() {
        const { before, cluster, node1, node2 } = yield* filled(1)
        damage(node1, ending, ...offsets)
        yield* restart(cluster, node1)
        yield* cluster.until(Effect.sync(() => gossip(node2).liveness(node1.id) === "up"), "node1 is back")
        yield* scrub(node1)
        yield* cluster.until(Effect.map(holesOf(node1), (holes) => holes.length > 0), "the loss is noticed")
        for (const name of names) {
          for (const node of cluster.nodes) {
            assert.strictEqual(yield* text(node, name), name === "key-05" ? undefined : valueOf(name))
          }
        }
        yield* cluster.until(isWhole(node1), "node1 is whole")
        assert.deepStrictEqual(yield* contents(node1), before)
        assert.isAbove((yield* replicator(node1).status).lostRanges.cellsGivenBack, 0)
        yield* restart(cluster, node1)
        assert.isTrue(yield* isWhole(node1))
        assert.deepStrictEqual(yield* contents(node1), before)
      }))
  }

  it.effect("waits for a replica that is down, fails meanwhile for what it lost alone, and ends when that one is back", () =>
    Effect.gen(function*() {
      const { before, cluster, node1, node2, node3 } = yield* filled(2)
      yield* cluster.crash(node3)
      damage(node1, ".sst", 100)
      yield* restart(cluster, node1)
      yield* scrub(node1)
      yield* cluster.until(Effect.map(holesOf(node1), (holes) => holes.length > 0), "the loss is noticed")
      yield* TestClock.adjust("1 minute")
      const { reason, state } = (yield* replicator(node1).status).lostRanges
      assert.deepStrictEqual([state, reason], ["waiting", "for node3, which is down"])
      const [hole] = yield* holesOf(node1)
      const isLost = (name: string) => hole!.from <= name && name < hole!.to
      assert.isTrue(names.some(isLost) && !names.every(isLost))
      for (const name of names) {
        const answer = yield* Effect.result(text(node2, name))
        assert.strictEqual(answer._tag, isLost(name) ? "Failure" : "Success", name)
      }
      yield* cluster.start(node3)
      yield* cluster.until(isWhole(node1), "node1 is whole")
      assert.deepStrictEqual(yield* contents(node1), before)
    }))

  it.effect("does not take the word of a replica that has lost the same keys: both say so until an operator decides", () =>
    Effect.gen(function*() {
      const { before, cluster, node1, node2, node3 } = yield* filled(3)
      for (const node of [node1, node2]) {
        damage(node, ".idx", 100)
        yield* restart(cluster, node)
      }
      yield* TestClock.adjust("2 minutes")
      for (const node of [node1, node2]) {
        assert.strictEqual((yield* holesOf(node)).length, 1)
        assert.strictEqual((yield* replicator(node).status).lostRanges.state, "failed")
      }
      // node3 still has everything, so nothing is lost when one of them is told to give up what it had alone.
      yield* passing(storage(node2).closeHoles(yield* holesOf(node2)))
      yield* cluster.until(
        Effect.map(Effect.all([isWhole(node1), isWhole(node2)]), ([one, two]) => one && two),
        "whole"
      )
      yield* cluster.until(
        Effect.map(
          Effect.forEach([node1, node2, node3], contents),
          (all) => all.every((lines) => JSON.stringify(lines) === JSON.stringify(before))
        ),
        "in-sync"
      )
    }))

  it.effect("a node with a new disk is not in sync before the replica it compares with has got back what it lost", () =>
    Effect.gen(function*() {
      const { cluster, node1, node2, node3 } = yield* filled(4)
      damage(node1, ".sst", 100)
      yield* cluster.loseDisk(node2)
      yield* restart(cluster, node1)
      yield* scrub(node1)
      yield* cluster.start(node2)
      yield* TestClock.adjust("2 minutes")
      // What one had acknowledged and the other lost, neither can know.
      assert.isTrue((yield* replicator(node2).status).recovering)
      assert.strictEqual((yield* replicator(node1).status).lostRanges.state, "failed")
      assert.strictEqual((yield* holesOf(node1)).length, 1)
      yield* passing(storage(node1).closeHoles(yield* holesOf(node1)))
      yield* cluster.until(Effect.map(replicator(node2).status, ({ recovering }) => !recovering), "node2 is in sync")
      yield* cluster.until(
        Effect.map(
          Effect.forEach([node1, node2, node3], contents),
          (all) => all.every((lines) => JSON.stringify(lines) === JSON.stringify(all[2]))
        ),
        "in-sync"
      )
    }))
})
