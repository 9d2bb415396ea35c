import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import * as DiskMemory from "../../../src/disk/DiskMemory.ts"
import type { StorageError } from "../../../src/disk/StorageError.ts"
import type { Storage } from "../../../src/storage/Storage.ts"
import { inVirtualTime } from "../../inVirtualTime.ts"
import { assertHolds, cell, collect, numbered, pathsOf, stage, withStore, writeTable } from "../store.ts"

/** Tables of some blocks each: 4 KiB and 60 cells of 300 bytes. */
const fill = Effect.fnUntraced(function*(storage: Storage["Service"], tables: number) {
  for (let table = 0; table < tables; table++) yield* writeTable(storage, ...numbered(60, 300, table * 100))
})

describe("verification", () => {
  withStore("reads every block of every table, and finds no damage in an intact store", function*({ storage }) {
    yield* fill(storage, 3)
    const { tableBytes } = yield* storage.stats
    const report = yield* storage.verify
    assert.deepInclude(report, { tables: 3, bytes: tableBytes, damage: [], holes: [] })
    assert.isAtLeast(report.blocks, 12)
  })

  withStore(
    "gives the file, the offset and the keys of each damaged block, and only those",
    function*({ memory, storage }) {
      yield* fill(storage, 2)
      // Read before, so that the blocks are in the cache.
      yield* collect(storage)
      const [path] = pathsOf(memory, ".sst")
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
    }
  )

  withStore("makes holes of what it finds, as a read does", function*({ memory, storage }) {
    yield* fill(storage, 1)
    memory.damage(pathsOf(memory, ".sst")[0]!, 5000)
    const { damage } = yield* storage.verify
    yield* Effect.sleep("1 second")
    const { holes } = yield* storage.stats
    assert.deepStrictEqual(holes.map(({ from, to }) => ({ from, to })), damage.map(({ from, to }) => ({ from, to })))
    const later = yield* storage.verify
    assert.deepStrictEqual(later.damage, [])
    assert.deepStrictEqual(later.holes, holes)
  })

  for (
    const [what, reason, spoil] of [
      ["damaged", "the checksum does not match", (memory, path) => Effect.sync(() => memory.damage(path, 3))],
      ["missing", "it is missing", (memory, path) => memory.disk.remove(path)]
    ] satisfies ReadonlyArray<
      readonly [string, string, (memory: DiskMemory.DiskMemory, path: string) => Effect.Effect<void, StorageError>]
    >
  ) {
    withStore(`rewrites a ${what} index, so that the next start finds the table`, function*(stage) {
      const { memory, storage } = stage
      yield* writeTable(storage, cell("a", 1), cell("b", 2))
      const file = pathsOf(memory, ".idx")[0]!
      yield* spoil(memory, file)
      const { damage } = yield* storage.verify
      assert.deepInclude(damage[0], { file, from: "a", to: "b\u0000" })
      assert.include(damage[0]!.reason, reason)
      assert.deepStrictEqual((yield* storage.verify).damage, [])
      const reopened = yield* stage.restart
      yield* assertHolds(reopened, cell("a", 1), cell("b", 2))
      assert.deepStrictEqual((yield* reopened.stats).holes, [])
    })
  }

  inVirtualTime("leaves one index and no other file when the power fails meanwhile", function*() {
    for (let number = 1, reached = true; reached; number++) {
      const { crash, memory, storage } = yield* stage({}, DiskMemory.make(number))
      yield* writeTable(storage, cell("a", 1), cell("b", 2))
      memory.damage(pathsOf(memory, ".idx")[0]!, 3)
      memory.powerOffAt(number)
      yield* storage.verify
      reached = memory.isOff()
      const isRepaired = (yield* (yield* crash).stats).holes.length === 0
      const indexes = pathsOf(memory, ".idx").filter((path) => !path.endsWith(".damaged"))
      assert.strictEqual(indexes.length, isRepaired ? 1 : 0, `operation ${number}`)
      assert.deepStrictEqual(pathsOf(memory, ".tmp"), [], `operation ${number}`)
      assert.isTrue(isRepaired || reached, `operation ${number}`)
    }
  })

  withStore("reads on behind an I/O error, and reports it", function*({ memory, storage }) {
    yield* fill(storage, 1)
    const path = pathsOf(memory, ".sst")[0]!
    memory.failNext("read", path)
    memory.failNext("read", path)
    const { damage } = yield* storage.verify
    assert.deepStrictEqual(damage.map(({ file, offsetBytes, reason }) => ({ file, offsetBytes, reason })), [
      { file: path, offsetBytes: 0, reason: `read ${path}: EIO` }
    ])
  })
})
