import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { assertHolds, cell, numbered, pathsOf, type Stage, withStore, writeTable } from "../store.ts"

const cells = numbered(60, 400)

/** Damages a block of the newest table, and gives the hole that it leaves. */
const lose = Effect.fnUntraced(function*({ memory, storage }: Stage) {
  const path = pathsOf(memory, ".sst").at(-1)!
  memory.damage(path, 1000)
  yield* storage.verify
  yield* Effect.sleep("1 second")
  return (yield* storage.stats).holes.find(({ file }) => file === path)!
})

/** A store with a hole, and the cells that the hole took. */
const damaged = Effect.fnUntraced(function*(stage: Stage) {
  yield* writeTable(stage.storage, ...cells)
  const hole = yield* lose(stage)
  return { hole, inHole: cells.filter(({ key }) => hole.from <= key && key < hole.to) }
})

describe("damage during the repair of a hole", () => {
  withStore("to the table with the cells given back leaves a new hole when the first is closed", function*(stage) {
    const { storage } = stage
    const { hole, inHole } = yield* damaged(stage)
    yield* storage.apply(inHole, { fills: [hole] })
    yield* storage.flush
    const again = yield* lose(stage)
    yield* storage.closeHoles([hole])
    assert.deepStrictEqual((yield* storage.stats).holes, [again])
    const lost = inHole.find(({ key }) => again.from <= key && key < again.to)!
    assert.strictEqual((yield* Effect.flip(storage.get(lost.key)))._tag, "Corruption")
    yield* storage.apply(inHole, { fills: [again] })
    yield* storage.closeHoles([again])
    yield* assertHolds(storage, ...cells)
  })

  withStore("that takes a newer cell keeps an older cell given back from its place", function*(stage) {
    const { storage } = stage
    const { hole, inHole } = yield* damaged(stage)
    const newer = inHole.map((one, index) => cell(one.key, 100 + index, "y".repeat(400)))
    yield* writeTable(storage, ...newer)
    const again = yield* lose(stage)
    const lost = newer.find(({ key }) => again.from <= key && key < again.to)!
    const given = inHole.find(({ key }) => key === lost.key)!
    assert.strictEqual((yield* Effect.flip(storage.apply([given], { fills: [hole] })))._tag, "Corruption")
    yield* storage.closeHoles([hole])
    assert.strictEqual((yield* Effect.flip(storage.get(lost.key)))._tag, "Corruption")
    yield* storage.apply([lost], { fills: [again] })
    yield* storage.closeHoles([again])
    yield* assertHolds(storage, lost)
  })
})
