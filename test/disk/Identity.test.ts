import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Random, Scope } from "effect"
import { NodeConfig } from "../../src/config/NodeConfig.ts"
import * as DiskMemory from "../../src/disk/DiskMemory.ts"
import { Identity } from "../../src/disk/Identity.ts"
import { NodeId } from "../../src/domain/NodeId.ts"
import { inVirtualTime } from "../inVirtualTime.ts"

const start = Effect.fnUntraced(function*(memory: DiskMemory.DiskMemory, nodeId = "node1") {
  const scope = yield* Scope.make()
  const layers = Identity.layer.pipe(
    Layer.provide([memory.layer, NodeConfig.layerTest({ nodeId: NodeId.make(nodeId), dataDirectory: "data" })])
  )
  const context = yield* Layer.buildWithScope(layers, scope)
  const identity = yield* Effect.provide(Identity, context)
  return { identity, stop: Scope.close(scope, Exit.void) }
})

describe("Identity", () => {
  inVirtualTime("of a new directory is drawn, fresh, and in its first generation", function*() {
    const memory = DiskMemory.make(1)
    const { identity } = yield* start(memory)
    assert.match(identity.incarnation, /^[0-9a-f]{12}$/)
    assert.strictEqual(identity.nodeId, "node1")
    assert.strictEqual(identity.generation, 1)
    assert.isTrue(identity.fresh)
    assert.deepStrictEqual(JSON.parse(memory.files().get("data/identity.json")!.toString()), {
      format: 1,
      nodeId: "node1",
      incarnation: identity.incarnation,
      generation: 1,
      settled: false
    })
  })

  inVirtualTime("keeps its incarnation and raises its generation at each start", function*() {
    const memory = DiskMemory.make(1)
    const first = yield* start(memory)
    yield* first.stop
    const second = yield* start(memory)
    assert.strictEqual(second.identity.incarnation, first.identity.incarnation)
    assert.strictEqual(second.identity.generation, 2)
    assert.isTrue(second.identity.fresh, "nobody has settled it yet")
  })

  inVirtualTime("is no longer fresh at a start after it was settled, not even after a crash", function*() {
    const memory = DiskMemory.make(1)
    const first = yield* start(memory)
    yield* first.identity.markSettled
    memory.powerOff()
    yield* first.stop
    memory.powerOn()
    const { identity } = yield* start(memory)
    assert.isFalse(identity.fresh)
    assert.strictEqual(identity.generation, 2)
  })

  inVirtualTime("is drawn from Effect's randomness, another one for each directory", function*() {
    const drawn = (seed: string) =>
      Effect.map(start(DiskMemory.make(1)).pipe(Random.withSeed(seed)), ({ identity }) => identity.incarnation)
    assert.strictEqual(yield* drawn("one"), yield* drawn("one"))
    assert.notStrictEqual(yield* drawn("one"), yield* drawn("two"))
  })

  inVirtualTime("refuses a directory of another node and leaves it as it is", function*() {
    const memory = DiskMemory.make(1)
    const first = yield* start(memory)
    yield* first.stop
    const before = memory.files().get("data/identity.json")
    const error = yield* Effect.flip(start(memory, "node2"))
    assert.deepInclude(error, {
      _tag: "DirectoryOfOtherNode",
      owner: NodeId.make("node1"),
      nodeId: NodeId.make("node2")
    })
    assert.match(error.message, /belongs to node1, not to node2/)
    assert.deepStrictEqual(memory.files().get("data/identity.json"), before)
  })

  inVirtualTime("refuses a directory that is in use, and takes it once it is free", function*() {
    const memory = DiskMemory.make(1)
    const first = yield* start(memory)
    const error = yield* Effect.flip(start(memory))
    assert.strictEqual(error._tag, "DirectoryLocked")
    assert.match(error.message, /in use by another running node/)
    yield* first.stop
    assert.strictEqual((yield* start(memory)).identity.generation, 2)
  })

  inVirtualTime("refuses a damaged identity instead of drawing another", function*() {
    const memory = DiskMemory.make(1)
    yield* (yield* start(memory)).stop
    yield* memory.disk.truncate("data/identity.json", 20)
    assert.strictEqual((yield* Effect.flip(start(memory)))._tag, "Corruption")
  })

  inVirtualTime("is never lost, and no generation is used twice, wherever the power fails", function*() {
    for (let at = 1; at <= 24; at++) {
      const memory = DiskMemory.make(at)
      const started: Array<Identity["Service"]> = []
      for (let attempt = 0; attempt < 3; attempt++) {
        if (attempt < 2) memory.powerOffAt(at)
        const outcome = yield* Effect.exit(start(memory))
        if (Exit.isSuccess(outcome)) {
          started.push(outcome.value.identity)
          yield* outcome.value.stop
        }
        memory.powerOff()
        memory.powerOn()
      }
      assert.isAtLeast(started.length, 1)
      const generations = started.map(({ generation }) => generation)
      assert.deepStrictEqual(new Set(generations).size, generations.length, `operation ${at}`)
      assert.strictEqual(new Set(started.map(({ incarnation }) => incarnation)).size, 1, `operation ${at}`)
    }
  })

  it.effect("layerFixed needs no directory", () =>
    Effect.gen(function*() {
      const identity = yield* Identity
      yield* identity.markSettled
      assert.deepInclude(identity, { nodeId: NodeId.make("node9"), generation: 1, fresh: false })
    }).pipe(Effect.provide(Identity.layerFixed({ nodeId: NodeId.make("node9") }))))
})
