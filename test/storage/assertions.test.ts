import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit } from "effect"
import type { Disk } from "../../src/disk/Disk.ts"
import * as DiskMemory from "../../src/disk/DiskMemory.ts"
import * as assertions from "../../src/storage/assertions.ts"
import * as Manifest from "../../src/storage/manifest/Manifest.ts"
import * as TableIndex from "../../src/storage/sstable/TableIndex.ts"
import { cell, directory, driven, key, open } from "./store.ts"

const table = (id: number, level: number, keyMin: string, keyMax: string): Manifest.TableEntry => ({
  id,
  level,
  keyMin: key(keyMin),
  keyMax: key(keyMax),
  cells: 2,
  tombstones: 1,
  counterMax: 5,
  sizeBytes: 100
})

const hole = { from: "a", to: "b", counterMax: 5, file: "data/000001.sst", offsetBytes: 0, reason: "" }

/** Tables of level 0 overlap. */
const sound: Manifest.Manifest = {
  tables: [table(8, 0, "a", "m"), table(7, 0, "b", "z"), table(3, 6, "a", "c"), table(4, 6, "d", "d")],
  logs: [5, 9],
  holes: [hole],
  counterMax: 5
}

const withTable = (changed: Partial<Manifest.TableEntry>): Manifest.Manifest => ({
  ...sound,
  tables: sound.tables.map((one) => one.id === 4 ? { ...one, ...changed } : one)
})

const broken: ReadonlyArray<readonly [rule: string, Manifest.Manifest]> = [
  ["the table 4 has 0 cells, 0 tombstones and 100 bytes", withTable({ cells: 0, tombstones: 0 })],
  ["the table 4 has 2 cells, 3 tombstones and 100 bytes", withTable({ tombstones: 3 })],
  ["the table 4 ends before it begins", withTable({ keyMin: key("e") })],
  ["the table 4 has the counter 6, above 5", withTable({ counterMax: 6 })],
  ["the tables 3 and 4 of level 6 overlap or are out of order", withTable({ keyMin: key("c") })],
  ["the tables 3 and 4 of level 5 overlap or are out of order", withTable({ level: 5 })],
  ["the file 3 is named twice", withTable({ id: 3 })],
  ["the file 5 is named twice", withTable({ id: 5 })],
  ["the file 10 is not below 10", withTable({ id: 10 })],
  ["the file 0 is not below 10", withTable({ id: 0 })],
  ["the log 5 is behind a later one", { ...sound, logs: [9, 5] }],
  ["a hole from \"b\" has no keys", { ...sound, holes: [{ ...hole, from: "b" }] }],
  ["a hole has the counter 6, above 5", { ...sound, holes: [{ ...hole, counterMax: 6 }] }]
]

const defectOf = (exit: Exit.Exit<unknown, unknown>): unknown =>
  Exit.isFailure(exit) ? Cause.squash(exit.cause) : assert.fail("no rule was broken")

const brokenRule = (exit: Exit.Exit<unknown, unknown>): string => {
  const defect = defectOf(exit)
  return defect instanceof assertions.BrokenRule ? defect.rule : assert.fail(String(defect))
}

const filesOf = (memory: DiskMemory.DiskMemory) =>
  new Map(Array.from(memory.files(), ([path, bytes]) => [path, Buffer.from(bytes)]))

describe("a manifest", () => {
  it.effect("is written when no rule is broken", () =>
    Effect.gen(function*() {
      const { disk } = DiskMemory.make(1)
      yield* Manifest.write(disk, directory, sound, 10)
      assert.deepStrictEqual(yield* Manifest.read(disk, directory), sound)
    }))

  it.effect.each(broken)("is not written when %s", ([rule, manifest]) =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      yield* Manifest.write(memory.disk, directory, sound, 10)
      const before = filesOf(memory)
      const exit = yield* Effect.exit(Manifest.write(memory.disk, directory, manifest, 10))
      assert.strictEqual(brokenRule(exit), rule)
      assert.deepStrictEqual(filesOf(memory), before)
    }))

  it.effect("that breaks a rule stops the start, and nothing is changed", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const handle = yield* memory.disk.openAppend(Manifest.pathOf(directory))
      yield* handle.append(Manifest.encode(withTable({ id: 3 })))
      const before = filesOf(memory)
      const error = yield* Effect.flip(open(memory))
      assert.strictEqual(error.message, "data/MANIFEST is damaged at byte 0: the file 3 is named twice")
      assert.deepStrictEqual(filesOf(memory), before)
    }))
})

describe("a batch", () => {
  const { key: name, value, version } = cell("a", 1)

  it.effect.each(
    [
      ["a key has 0 characters", { key: key(""), version, value }],
      ["a key has 1025 characters", { key: key("k".repeat(1025)), version, value }],
      ["a counter is NaN", { key: name, version: { ...version, counter: Number.NaN }, value }],
      ["a counter is -1", { key: name, version: { ...version, counter: -1 }, value }],
      ["a counter is 9007199254740992", { key: name, version: { ...version, counter: 2 ** 53 }, value }],
      [
        "a version names the node \"\" and the incarnation \"0123456789ab\"",
        { key: name, version: { ...version, nodeId: "" as typeof version.nodeId }, value }
      ]
    ] as const
  )("is not logged when %s, and costs no other write anything", ([rule, bad]) =>
    driven(Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const { close, storage } = yield* open(memory)
      yield* storage.apply([cell("b", 2)])
      const before = filesOf(memory)
      assert.strictEqual(brokenRule(yield* Effect.exit(storage.apply([cell("c", 3), bad]))), rule)
      assert.deepStrictEqual(filesOf(memory), before)
      assert.isUndefined(yield* storage.get(key("c")))
      const refused = Effect.exit(storage.apply([cell("d", 5), bad]))
      const [, exit] = yield* Effect.all([storage.apply([cell("c", 4)]), refused], { concurrency: "unbounded" })
      assert.strictEqual(brokenRule(exit), rule)
      assert.strictEqual((yield* storage.get(key("c")))?.version.counter, 4)
      assert.isUndefined(yield* storage.get(key("d")))
      yield* close
    })))
})

/** Gives out the index of a table as one of other contents while `change` says so. */
const lying = (memory: DiskMemory.DiskMemory, change: { now: Partial<TableIndex.TableProperties> | undefined }) => {
  const readFile: Disk["Service"]["readFile"] = (path) =>
    Effect.map(memory.disk.readFile(path), (bytes) => {
      if (bytes === undefined || change.now === undefined || !path.endsWith(".idx")) return bytes
      const index = TableIndex.decode(bytes)
      if (typeof index === "string") return assert.fail(index)
      return TableIndex.encode({ ...index, properties: { ...index.properties, ...change.now } })
    })
  return { ...memory, disk: { ...memory.disk, readFile } }
}

describe("a table", () => {
  it.effect.each(
    [
      ["flush", { cells: 1 }],
      ["flush", { counterMax: 3 }],
      ["flush", { keyMax: key("a") }],
      ["compact", { cells: 9 }],
      ["compact", { counterMax: 3 }],
      ["compact", { keyMin: key("b") }]
    ] as const
  )(
    "that a %s wrote is not taken when it says %o; tried again, it is",
    ([work, wrong]) =>
      driven(Effect.gen(function*() {
        const memory = DiskMemory.make(1)
        const change: Parameters<typeof lying>[1] = { now: undefined }
        const { close, storage } = yield* open(lying(memory, change))
        yield* storage.apply([cell("a", 1), cell("b", 2)])
        if (work === "compact") yield* storage.flush
        const manifest = Buffer.from(memory.files().get(Manifest.pathOf(directory))!)
        change.now = wrong
        if (work === "compact") yield* storage.apply([cell("a", 1), cell("b", 2)])
        const error = yield* Effect.flip(work === "flush" ? storage.flush : storage.compact)
        assert.deepInclude(error, { _tag: "DiskError", operation: work, code: "BROKEN_RULE" })
        assert.deepStrictEqual(Buffer.from(memory.files().get(Manifest.pathOf(directory))!), manifest)
        const tables = Array.from(memory.files().keys()).filter((path) => path.endsWith(".sst"))
        assert.lengthOf(tables, work === "flush" ? 0 : 1, "the refused table is removed")
        change.now = undefined
        yield* work === "flush" ? storage.flush : storage.compact
        assert.strictEqual((yield* storage.get(key("b")))?.version.counter, 2)
        yield* close
      }))
  )
})
