import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import * as DiskMemory from "../../../src/disk/DiskMemory.ts"
import { inVirtualTime } from "../../inVirtualTime.ts"
import { cell, collect, crash, open, openScoped } from "../store.ts"

/** Tables of some blocks each: 4 KiB and 60 cells of 300 bytes. */
const fill = Effect.fnUntraced(function*(memory: DiskMemory.DiskMemory, tables: number) {
  const storage = yield* openScoped(memory)
  for (let table = 0; table < tables; table++) {
    const cells = Array.from(
      { length: 60 },
      (_, index) => cell(`k${String(table * 100 + index).padStart(4, "0")}`, index + 1, "x".repeat(300))
    )
    yield* storage.apply(cells)
    yield* storage.flush
  }
  return storage
})

const files = (memory: DiskMemory.DiskMemory, ending: string) =>
  Array.from(memory.files().keys()).filter((path) => path.endsWith(ending))

describe("verification", () => {
  inVirtualTime("reads every block of every table, and finds a whole store whole", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const storage = yield* fill(memory, 3)
      const { tableBytes } = yield* storage.stats
      const report = yield* storage.verify
      assert.deepInclude(report, { tables: 3, bytes: tableBytes, damage: [], holes: [] })
      assert.isAtLeast(report.blocks, 12)
    }))

  inVirtualTime(
    "names the file, the place and the keys of each damaged block, and of none beside it",
    () =>
      Effect.gen(function*() {
        const memory = DiskMemory.make(1)
        const storage = yield* fill(memory, 2)
        // Read before, so that the blocks are in the cache.
        yield* collect(storage)
        const [path] = files(memory, ".sst")
        memory.damage(path!, 5000)
        memory.damage(path!, 10_000)
        const { damage } = yield* storage.verify
        assert.deepStrictEqual(damage.map(({ file }) => file), [path, path])
        for (const [index, bytes] of [5000, 10_000].entries()) {
          const { from, offsetBytes, to } = damage[index]!
          assert.isTrue(offsetBytes <= bytes && bytes < offsetBytes + 5000, `${offsetBytes}`)
          assert.isTrue(from < to && from >= "k0000" && to <= "k0060", `${from} ${to}`)
        }
        assert.isTrue(damage[0]!.to <= damage[1]!.from)
      })
  )

  inVirtualTime("has what it found treated like damage that a read met", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const storage = yield* fill(memory, 1)
      memory.damage(files(memory, ".sst")[0]!, 5000)
      const { damage } = yield* storage.verify
      yield* Effect.sleep("1 second")
      const { holes } = yield* storage.stats
      assert.deepStrictEqual(holes.map(({ from, to }) => ({ from, to })), damage.map(({ from, to }) => ({ from, to })))
      const later = yield* storage.verify
      assert.deepStrictEqual(later.damage, [])
      assert.deepStrictEqual(later.holes, holes)
    }))

  inVirtualTime(
    "writes a damaged or missing index anew, without which the next start would lose the table",
    () =>
      Effect.gen(function*() {
        for (const how of ["damaged", "missing"] as const) {
          const memory = DiskMemory.make(1)
          const opened = yield* open(memory)
          yield* opened.storage.apply([cell("a", 1), cell("b", 2)])
          yield* opened.storage.flush
          const [path] = files(memory, ".idx")
          if (how === "damaged") memory.damage(path!, 3)
          else yield* memory.disk.remove(path!)
          const { damage } = yield* opened.storage.verify
          assert.deepInclude(damage[0], {
            file: path!,
            from: "a",
            to: "b\u0000",
            reason: how === "damaged"
              ? "the checksum does not match; it was written anew from memory"
              : "it is missing; it was written anew from memory"
          })
          assert.deepStrictEqual((yield* opened.storage.verify).damage, [])
          yield* opened.close
          const again = yield* open(memory)
          assert.strictEqual((yield* collect(again.storage)).length, 2)
          assert.deepStrictEqual((yield* again.storage.stats).holes, [])
          yield* again.close
        }
      })
  )

  inVirtualTime(
    "leaves the old index or the new one, and no file behind, when the power fails meanwhile",
    () =>
      Effect.gen(function*() {
        for (let number = 1, reached = true; reached; number++) {
          const memory = DiskMemory.make(number)
          const opened = yield* open(memory)
          yield* opened.storage.apply([cell("a", 1), cell("b", 2)])
          yield* opened.storage.flush
          memory.damage(files(memory, ".idx")[0]!, 3)
          memory.powerOffAt(number)
          yield* opened.storage.verify
          reached = memory.isOff()
          yield* crash(memory, opened)
          const again = yield* open(memory)
          const isRepaired = (yield* again.storage.stats).holes.length === 0
          assert.strictEqual(files(memory, ".idx").length, isRepaired ? 1 : 0, `operation ${number}`)
          assert.deepStrictEqual(files(memory, ".tmp"), [], `operation ${number}`)
          yield* again.close
          assert.isTrue(isRepaired || reached, `operation ${number}`)
        }
      })
  )

  inVirtualTime("goes on behind what the disk refuses to read, and says so", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const storage = yield* fill(memory, 1)
      const path = files(memory, ".sst")[0]!
      memory.failNext("read", path)
      memory.failNext("read", path)
      const { damage } = yield* storage.verify
      assert.deepStrictEqual(damage.map(({ file, offsetBytes, reason }) => ({ file, offsetBytes, reason })), [
        { file: path, offsetBytes: 0, reason: `read ${path}: EIO` }
      ])
    }))
})
