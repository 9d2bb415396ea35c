import { assert, describe } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Scope } from "effect"
import { NodeConfig } from "../../../src/config/NodeConfig.ts"
import * as DiskMemory from "../../../src/disk/DiskMemory.ts"
import { Identity } from "../../../src/disk/Identity.ts"
import { Metrics } from "../../../src/observability/Metrics.ts"
import { Storage } from "../../../src/storage/Storage.ts"
import { inVirtualTime } from "../../inVirtualTime.ts"
import { orGiveUp } from "../crashes/giveUp.ts"
import { collect, directory, numbered, pathsOf } from "../store.ts"

/** Starts the part of a node that uses the disk. */
const start = Effect.fnUntraced(function*(memory: DiskMemory.DiskMemory, salvage: boolean) {
  const scope = yield* Scope.make()
  const layers = Storage.layer.pipe(
    Layer.provideMerge(Identity.layer),
    Layer.provide([memory.layer, Metrics.layer, NodeConfig.layerTest({ dataDirectory: directory, salvage })])
  )
  const built = yield* Effect.exit(orGiveUp(Layer.buildWithScope(Layer.fresh(layers), scope), memory.isOff))
  return { built, stop: Scope.close(scope, Exit.void) }
})

const opened = Effect.fnUntraced(function*(memory: DiskMemory.DiskMemory, salvage: boolean) {
  const { built, stop } = yield* start(memory, salvage)
  const services = yield* built
  return { identity: Context.get(services, Identity), storage: Context.get(services, Storage), stop }
})

/** A node that was in sync, and whose log is then damaged in its middle: two cells are lost. */
const damaged = Effect.gen(function*() {
  const memory = DiskMemory.make(1)
  const { identity, stop, storage } = yield* opened(memory, false)
  yield* identity.markSettled
  for (const one of numbered(5)) yield* storage.apply([one])
  yield* stop
  memory.damage(pathsOf(memory, ".log")[0]!, 150)
  return memory
})

const isSettledOnDisk = (memory: DiskMemory.DiskMemory): boolean =>
  JSON.parse(memory.files().get(`${directory}/identity.json`)!.toString()).settled

describe("salvage", () => {
  inVirtualTime("opens a store without the lost part of its log, and the node counts as fresh", function*() {
    const memory = yield* damaged
    assert.deepInclude(yield* Effect.flip(opened(memory, false)), { _tag: "Corruption" })
    assert.isTrue(isSettledOnDisk(memory))
    const { stop, storage } = yield* opened(memory, true)
    assert.isTrue(storage.salvaged)
    assert.isBelow((yield* collect(storage)).length, 5)
    assert.isFalse(isSettledOnDisk(memory))
    yield* stop
    // The log is intact now, but the node is still not in sync.
    const again = yield* opened(memory, false)
    assert.isFalse(again.storage.salvaged)
    assert.isTrue(again.identity.fresh)
    yield* again.identity.markSettled
    yield* again.stop
    const last = yield* opened(memory, false)
    assert.isFalse(last.identity.fresh)
    yield* last.stop
  })

  inVirtualTime("changes nothing on a node with nothing to salvage", function*() {
    const memory = DiskMemory.make(1)
    const first = yield* opened(memory, true)
    assert.isTrue(first.identity.fresh)
    yield* first.stop
    assert.isFalse(isSettledOnDisk(memory), "salvaging does not settle a new directory")
    yield* first.identity.markSettled
    const second = yield* opened(memory, true)
    assert.deepStrictEqual([second.identity.fresh, second.storage.salvaged], [false, false])
    assert.isTrue(isSettledOnDisk(memory))
    yield* second.stop
  })

  inVirtualTime("never leaves a node that counts as in sync and has lost cells, wherever the power fails", function*() {
    let crashes = 0
    for (let operation = 1; operation < 200; operation++) {
      const memory = yield* damaged
      memory.powerOffAt(operation)
      const { built, stop } = yield* start(memory, true)
      const isThrough = !memory.isOff()
      if (!isThrough) crashes++
      yield* stop
      if (isThrough && Exit.isSuccess(built)) break
      memory.powerOff()
      memory.powerOn()
      const { built: again, stop: end } = yield* start(memory, false)
      if (Exit.isSuccess(again)) {
        assert.isTrue(Context.get(again.value, Identity).fresh, `power off at operation ${operation}`)
      }
      yield* end
    }
    assert.isAbove(crashes, 10)
  })
})
