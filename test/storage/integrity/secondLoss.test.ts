import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as DiskMemory from "../../../src/disk/DiskMemory.ts"
import { assertCell, cell, driven, key, open } from "../store.ts"

const keyOf = (index: number) => `k${String(index).padStart(3, "0")}`
const cells = Array.from({ length: 60 }, (_, index) => cell(keyOf(index), index + 1, "x".repeat(400)))

/** Spoils a block of the table that was written last, and lets the compactor find it. */
const lose = Effect.fnUntraced(
  function*(memory: DiskMemory.DiskMemory, { storage }: Effect.Success<ReturnType<typeof open>>) {
    const path = Array.from(memory.files().keys()).filter((name) => name.endsWith(".sst")).sort().at(-1)!
    memory.damage(path, 1000)
    yield* storage.verify
    yield* Effect.sleep("1 second")
    const { holes } = yield* storage.stats
    return holes.find(({ file }) => file === path)!
  }
)

const opened = Effect.gen(function*() {
  const memory = DiskMemory.make(1)
  const store = yield* open(memory)
  yield* store.storage.apply(cells)
  yield* store.storage.flush
  const hole = yield* lose(memory, store)
  const inHole = cells.filter(({ key }) => hole.from <= key && key < hole.to)
  return { memory, store, storage: store.storage, hole, inHole }
})

describe("damage during the repair of a hole", () => {
  it.effect("to the table with the cells that were given back: a new hole stays when the first is closed", () =>
    driven(Effect.gen(function*() {
      const { hole, inHole, memory, storage, store } = yield* opened
      yield* storage.apply(inHole, { fills: [hole] })
      yield* storage.flush
      const again = yield* lose(memory, store)
      yield* storage.closeHoles([hole])
      assert.deepStrictEqual((yield* storage.stats).holes, [again])
      const lost = inHole.find(({ key }) => again.from <= key && key < again.to)!
      assert.strictEqual((yield* Effect.flip(storage.get(lost.key)))._tag, "Corruption")
      yield* storage.apply(inHole, { fills: [again] })
      yield* storage.closeHoles([again])
      for (const one of cells) assertCell(yield* storage.get(one.key), one)
      yield* store.close
    })))

  it.effect("that takes a newer cell: what the replicas gave before does not take its place", () =>
    driven(Effect.gen(function*() {
      const { hole, inHole, memory, storage, store } = yield* opened
      const newer = inHole.map((one, index) => cell(one.key, 100 + index, "y".repeat(400)))
      yield* storage.apply(newer)
      yield* storage.flush
      const again = yield* lose(memory, store)
      const lost = newer.find(({ key }) => again.from <= key && key < again.to)!
      const given = inHole.find(({ key }) => key === lost.key)!
      const refused = yield* Effect.flip(storage.apply([given], { fills: [hole] }))
      assert.strictEqual(refused._tag, "Corruption")
      yield* storage.closeHoles([hole])
      assert.strictEqual((yield* Effect.flip(storage.get(lost.key)))._tag, "Corruption")
      yield* storage.apply([lost], { fills: [again] })
      yield* storage.closeHoles([again])
      assertCell(yield* storage.get(key(lost.key)), lost)
      yield* store.close
    })))
})
