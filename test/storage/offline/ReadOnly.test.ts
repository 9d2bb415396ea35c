import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import * as DiskMemory from "../../../src/disk/DiskMemory.ts"
import * as describeDamage from "../../../src/storage/offline/describeDamage.ts"
import * as ReadOnly from "../../../src/storage/offline/ReadOnly.ts"
import type { ScanOptions } from "../../../src/storage/Storage.ts"
import { inVirtualTime } from "../../inVirtualTime.ts"
import { cell, collect, crash, directory, open, plain, tombstone, writeTable } from "../store.ts"

/** A store of two tables and a log, after its node was closed or killed. */
const stopped = Effect.fnUntraced(function*(how: "closed" | "killed") {
  const memory = DiskMemory.make(1)
  const opened = yield* open(memory)
  const { storage } = opened
  yield* writeTable(storage, cell("a", 1), cell("b", 2), cell("old", 3))
  yield* writeTable(storage, cell("b", 4), cell("ü", 5))
  yield* storage.apply([cell("c", 6), tombstone("a", 7)])
  yield* storage.apply([cell("d", 8)])
  const cells = (yield* collect(storage)).map(plain)
  if (how === "closed") yield* opened.close
  else yield* crash(memory, opened)
  return { memory, cells }
})

const cellsOf = Effect.fnUntraced(function*(store: ReadOnly.ReadOnly, options: ScanOptions = {}) {
  const cursor = yield* store.cursor(options)
  const cells = []
  for (let page = yield* cursor.next(2); page.length > 0; page = yield* cursor.next(2)) cells.push(...page)
  return cells.map(plain)
})

const pathOf = (memory: DiskMemory.DiskMemory, ending: string) =>
  Array.from(memory.files().keys()).findLast((path) => path.endsWith(ending))!

describe("a store that is only read", () => {
  inVirtualTime("gives the cells that its node would, those of its logs too, in both directions", function*() {
    for (const how of ["closed", "killed"] as const) {
      const { cells, memory } = yield* stopped(how)
      const store = yield* ReadOnly.open(memory.disk, directory)
      assert.deepStrictEqual(yield* cellsOf(store), cells)
      assert.deepStrictEqual(yield* cellsOf(store, { reverse: true }), cells.toReversed())
      assert.deepStrictEqual((yield* cellsOf(store, { from: "b", to: "d" })).map((one) => one!.key), ["b", "c"])
      assert.deepStrictEqual(describeDamage.problems(store), [])
      assert.strictEqual(store.logs.length, 1)
      assert.deepInclude(store.logs[0], { cells: 3, tornBytes: 0, problem: undefined })
    }
  })

  inVirtualTime("is not changed, even if it is damaged", function*() {
    const { memory } = yield* stopped("killed")
    const log = pathOf(memory, ".log")
    const handle = yield* memory.disk.openAppend(log)
    yield* handle.append(Buffer.from("RLg1 half a record"))
    memory.damage(pathOf(memory, ".idx"), 5)
    yield* memory.disk.openAppend(`${directory}/000099.sst`)
    const before = memory.files()
    const store = yield* ReadOnly.open(memory.disk, directory)
    yield* cellsOf(store, { damage: "skip" })
    assert.deepStrictEqual(memory.files(), before)
    assert.strictEqual(store.logs[0]!.tornBytes, 18)
    assert.strictEqual(store.logs[0]!.problem, undefined)
  })

  inVirtualTime("reports tables that cannot be opened, and gives the rest if told to skip damage", function*() {
    for (const how of ["index", "lines", "both"] as const) {
      const { memory } = yield* stopped("closed")
      const index = pathOf(memory, ".idx")
      if (how === "index") memory.damage(index, 5)
      else yield* memory.disk.remove(index.replace(".idx", ".sst"))
      if (how === "both") yield* memory.disk.remove(index)
      const store = yield* ReadOnly.open(memory.disk, directory)
      const [hole] = store.holes
      assert.deepStrictEqual([hole!.from, hole!.to], ["b", "ü\u0000"])
      assert.strictEqual(store.holesKnown, 0)
      assert.match(
        describeDamage.problems(store)[0]!,
        /^cells are lost of keys from "b" to "ü": data\/0+4\.(sst|idx) at/
      )
      assert.strictEqual((yield* Effect.flip(cellsOf(store)))._tag, "Corruption")
      const left = yield* cellsOf(store, { damage: "skip" })
      assert.deepStrictEqual(left.map((one) => one!.key), ["a", "b", "c", "d", "old"])
      assert.strictEqual(left[1]!.version.counter, 2)
    }
  })

  inVirtualTime("gives the intact records of a damaged log, and says that there are more", function*() {
    const { cells, memory } = yield* stopped("closed")
    memory.damage(pathOf(memory, ".log"), 20)
    const store = yield* ReadOnly.open(memory.disk, directory)
    assert.strictEqual(store.logs[0]!.problem, "it is damaged at byte 0, and records behind that are whole")
    assert.strictEqual((yield* Effect.flip(store.cursor({})))._tag, "Corruption")
    const left = yield* cellsOf(store, { damage: "skip" })
    assert.deepStrictEqual(left.at(3), cells.find((one) => one!.key === "old"))
    assert.deepStrictEqual(left.map((one) => one!.key), ["a", "b", "d", "old", "ü"])
  })

  inVirtualTime("notices a log that is missing", function*() {
    const { memory } = yield* stopped("closed")
    const log = pathOf(memory, ".log")
    yield* memory.disk.remove(log)
    const store = yield* ReadOnly.open(memory.disk, directory)
    assert.deepStrictEqual(describeDamage.problems(store), [`${log} is missing`])
  })

  inVirtualTime("distinguishes holes of the manifest from new ones", function*() {
    const { memory } = yield* stopped("closed")
    memory.damage(pathOf(memory, ".idx"), 5)
    // A start moves the table aside and remembers its range.
    const opened = yield* open(memory)
    yield* opened.storage.flush
    yield* opened.close
    const store = yield* ReadOnly.open(memory.disk, directory)
    assert.deepStrictEqual([store.holes.length, store.holesKnown], [1, 1])
  })

  inVirtualTime("is refused where there is none, or where the manifest is lost", function*() {
    const empty = yield* Effect.flip(ReadOnly.open(DiskMemory.make(1).disk, directory))
    assert.strictEqual(empty.message, "data is neither a data directory nor a snapshot: it has no MANIFEST")
    const { memory } = yield* stopped("closed")
    yield* memory.disk.remove(`${directory}/MANIFEST`)
    const lost = yield* Effect.flip(ReadOnly.open(memory.disk, directory))
    assert.match(lost.message, /MANIFEST is damaged at byte 0: it is missing, but 000002\.idx is there/)
  })
})
