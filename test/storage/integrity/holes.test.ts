import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import * as DiskMemory from "../../../src/disk/DiskMemory.ts"
import { DiskFull } from "../../../src/disk/StorageError.ts"
import { inVirtualTime } from "../../inVirtualTime.ts"
import { assertCell, cell, collect, crash, key, open } from "../store.ts"

const name = (index: number) => `k${String(index).padStart(4, "0")}`
const cells = Array.from({ length: 60 }, (_, index) => cell(name(index), index + 1, "x".repeat(300)))

/** A store whose only table has lost two blocks, and the holes that these left. */
const damaged = Effect.fnUntraced(function*(memory: DiskMemory.DiskMemory) {
  const { close, storage } = yield* open(memory)
  yield* storage.apply(cells)
  yield* storage.flush
  const path = Array.from(memory.files().keys()).find((path) => path.endsWith(".sst"))!
  memory.damage(path, 1000)
  memory.damage(path, 10_000)
  yield* storage.verify
  yield* Effect.sleep("1 second")
  const { holes } = yield* storage.stats
  assert.strictEqual(holes.length, 2)
  const lost = cells.filter((cell) => holes.some(({ from, to }) => from <= cell.key && cell.key < to))
  return { close, storage, holes, lost }
})

describe("holes", () => {
  inVirtualTime(
    "closed after what was lost is back: everything can be read, and stays so after a crash",
    () =>
      Effect.gen(function*() {
        const memory = DiskMemory.make(1)
        const { close, holes, lost, storage } = yield* damaged(memory)
        yield* storage.apply(lost, { fills: holes })
        yield* storage.closeHoles(holes)
        assert.deepStrictEqual((yield* storage.stats).holes, [])
        assert.strictEqual((yield* collect(storage)).length, cells.length)
        yield* crash(memory, { storage, close })
        const again = yield* open(memory)
        assert.deepStrictEqual((yield* again.storage.stats).holes, [])
        for (const expected of cells) assertCell(yield* again.storage.get(expected.key), expected)
        yield* again.close
      })
  )

  inVirtualTime("are closed one by one: others stay, also after a restart", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const { close, holes, storage } = yield* damaged(memory)
      yield* storage.closeHoles([{ ...holes[0]! }])
      assert.deepStrictEqual((yield* storage.stats).holes, holes.slice(1))
      yield* close
      const again = yield* open(memory)
      assert.deepStrictEqual((yield* again.storage.stats).holes, holes.slice(1))
      assert.strictEqual((yield* Effect.flip(again.storage.get(key(holes[1]!.from))))._tag, "Corruption")
      assert.isUndefined(yield* again.storage.get(key(holes[0]!.from)), "given up")
      yield* again.close
    }))

  inVirtualTime("stay open when that cannot be written down", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const { close, holes, storage } = yield* damaged(memory)
      memory.setFull(true)
      assert.instanceOf(yield* Effect.flip(storage.closeHoles(holes)), DiskFull)
      assert.deepStrictEqual((yield* storage.stats).holes, holes)
      memory.setFull(false)
      yield* storage.closeHoles(holes)
      assert.deepStrictEqual((yield* storage.stats).holes, [])
      yield* close
    }))

  inVirtualTime(
    "take back an older cell than the lost one, though its version was known before",
    () =>
      Effect.gen(function*() {
        const memory = DiskMemory.make(1)
        const { close, holes, lost, storage } = yield* damaged(memory)
        const older = cell(lost[0]!.key, 0, "what the other replicas have")
        assert.deepStrictEqual(yield* storage.apply([older], { fills: holes }), [
          { _tag: "Accepted", replaced: false }
        ])
        yield* storage.closeHoles(holes)
        assertCell(yield* storage.get(older.key), older)
        assert.deepStrictEqual(yield* storage.version(older.key), older.version)
        yield* close
      })
  )
})
