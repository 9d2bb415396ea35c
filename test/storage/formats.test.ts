/** A store from files in the repository, and files of other versions. */
import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { readdirSync, readFileSync } from "node:fs"
import { crc32 } from "node:zlib"
import { writeAtomically } from "../../src/disk/Disk.ts"
import * as DiskMemory from "../../src/disk/DiskMemory.ts"
import * as Bytes from "../../src/domain/bytes.ts"
import * as CellLine from "../../src/domain/cell/CellLine.ts"
import * as Manifest from "../../src/storage/manifest/Manifest.ts"
import { inVirtualTime } from "../inVirtualTime.ts"
import { write } from "./sstable/tables.ts"
import {
  assertAbsent,
  assertHolds,
  cell,
  collect,
  directory,
  key,
  open,
  pathsOf,
  plain,
  stage,
  tombstone,
  writeTable
} from "./store.ts"

/** Written by `fixtures/write.ts`. */
const folder = new URL("fixtures/format-2/", import.meta.url)

const expectedFile = "expected.ndjson"

/** A disk that holds the store. */
const diskOf = Effect.gen(function*() {
  const memory = DiskMemory.make(1)
  yield* memory.disk.makeDirectory(directory)
  for (const name of readdirSync(folder)) {
    if (name === expectedFile) continue
    yield* writeAtomically(memory.disk, `${directory}/${name}`, readFileSync(new URL(name, folder)))
  }
  return memory
})

const lines = readFileSync(new URL(expectedFile, folder), "utf8").trimEnd().split("\n")
const expected = lines.map((line) => CellLine.decode(line)!)

const manifestOf = Effect.fnUntraced(function*(memory: DiskMemory.DiskMemory) {
  return (yield* Manifest.read(memory.disk, directory)) ?? assert.fail("there is no manifest")
})

const everything = { damage: "skip" } as const

describe("a store of format 2", () => {
  inVirtualTime("gives every cell that it holds, by scan and by key, from its tables and its log", function*() {
    const { storage } = yield* stage({}, yield* diskOf)
    assert.deepStrictEqual((yield* collect(storage, everything)).map(plain), expected.map(plain))
    const readable = expected.filter(({ key }) => !isInHole(key))
    yield* assertHolds(storage, ...readable)
    for (const one of readable) assert.deepStrictEqual(yield* storage.version(one.key), one.version)
    yield* assertAbsent(storage, "users/9999")
    assert.strictEqual(yield* storage.counterMax, 295)
    assert.strictEqual((yield* storage.stats).memtableCells, 3, "users/0005, a and `log only` are in the log alone")
  })

  inVirtualTime("takes writes, is flushed and compacted, and has the same cells when it opens again", function*() {
    const { memory, restart, storage } = yield* stage({}, yield* diskOf)
    const added = [cell("added", 1001), tombstone("logo", 1002)]
    yield* writeTable(storage, ...added)
    yield* storage.compact
    const reopened = yield* restart
    const { counterMax, logs, tables } = yield* manifestOf(memory)
    assert.deepStrictEqual(tables.map(({ level }) => level), tables.map(() => 6))
    assert.deepInclude({ counterMax, logs: logs.length }, { counterMax: 1002, logs: 0 })
    const paths = pathsOf(memory, ".sst")
    for (const path of paths) {
      const footer = Bytes.utf8(memory.files().get(path)!).trimEnd().split("\n").at(-1)!
      assert.match(footer, /^\{"format":"rondo-sstable-2","cells":\d+,"tombstones":\d+\}$/)
    }
    assert.strictEqual(paths.length, tables.length, "no file is left that the manifest does not name")
    const cells = new Map(expected.map((one) => [one.key as string, one]))
    for (const one of added) cells.set(one.key, one)
    const found = new Map((yield* collect(reopened, everything)).map((one) => [one.key as string, plain(one)]))
    assert.deepStrictEqual(found, new Map(Array.from(cells, ([name, one]) => [name, plain(one)])))
  })

  inVirtualTime("has its tables on their levels, and says which cells it lost", function*() {
    const { storage } = yield* stage({}, yield* diskOf)
    const { holes, levels } = yield* storage.stats
    assert.deepStrictEqual(levels.map(({ tables }) => tables), [2, 0, 0, 0, 0, 1, 6])
    assert.deepStrictEqual(holes.map(({ counterMax, from, to }) => ({ counterMax, from, to })), [
      { counterMax: 286, from: "users/0150", to: "users/0159" }
    ])
    assert.strictEqual((yield* Effect.flip(storage.get(key("users/0151"))))._tag, "Corruption")
  })
})

/** `fixtures/write.ts` damaged these keys. */
const isInHole = (name: string) => name >= "users/0150" && name < "users/0159"

/** The same file of another format, with a valid checksum. */
const ofOtherFormat = (bytes: Uint8Array, from: string, to: string) => {
  const lines = Bytes.utf8(bytes).replace(from, to).trimEnd().split("\n").slice(0, -1)
  const body = lines.map((line) => `${line}\n`).join("")
  return Buffer.from(`${body}{"crc32":${crc32(body)}}\n`)
}

describe("files of another version", () => {
  const refused = Effect.fnUntraced(function*(path: string, bytes: (before: Uint8Array) => Uint8Array) {
    const memory = yield* diskOf
    yield* writeAtomically(memory.disk, path, bytes(memory.files().get(path)!))
    const before = Array.from(memory.files(), ([path, bytes]) => [path, Buffer.from(bytes)] satisfies [string, Buffer])
    const error = yield* Effect.flip(open(memory))
    assert.deepStrictEqual(Array.from(memory.files()), before, "nothing is changed, removed or moved aside")
    return error.message
  })

  const advice = "start the version that wrote it on this directory; the file was left as it is"

  for (const format of [1, 3]) {
    inVirtualTime(`are refused: a manifest of format ${format}`, function*() {
      const path = `${directory}/MANIFEST`
      const message = yield* refused(path, (bytes) => ofOtherFormat(bytes, `"format":2`, `"format":${format}`))
      assert.strictEqual(message, `${path} has the format ${format}, and this version of Rondo reads 2: ${advice}`)
    })

    inVirtualTime(`are refused: a table of format ${format}, which is not taken for a damaged one`, function*() {
      const path = `${directory}/000010.idx`
      const [own, other] = ["rondo-sstable-2", `rondo-sstable-${format}`]
      const message = yield* refused(path, (bytes) => ofOtherFormat(bytes, own, other))
      assert.strictEqual(message, `${path} has the format ${other}, and this version of Rondo reads ${own}: ${advice}`)
    })
  }

  inVirtualTime("are refused: a log, whose records are not taken for torn ones", function*() {
    const path = `${directory}/wal-000027.log`
    const later = (bytes: Uint8Array) =>
      Buffer.from(Bytes.latin1(bytes, 0, bytes.length).replaceAll("RLg1", "RLg2"), "latin1")
    const message = yield* refused(path, later)
    assert.strictEqual(message, `${path} has the format RLg2, and this version of Rondo reads RLg1: ${advice}`)
  })
})

describe("docs/formats/sstable.md", () => {
  inVirtualTime("shows what is written for the cells that it shows", function*() {
    const page = readFileSync(new URL("../../docs/formats/sstable.md", import.meta.url), "utf8")
    const shown = page.split("\n").filter((line) => line.startsWith("    {")).map((line) => line.trim())
    const cells = shown.map(CellLine.decode).filter((cell) => cell !== undefined)
    const memory = DiskMemory.make(1)
    yield* write(memory, 1, cells)
    const written = Array.from(memory.files().values()).flatMap((bytes) => Bytes.utf8(bytes).trimEnd().split("\n"))
    assert.deepStrictEqual(written, shown)
  })
})

describe("fixtures/format-2", () => {
  inVirtualTime("is of the format that the engine writes: a change of it needs a fixture of its own", function*() {
    const memory = yield* diskOf
    const text = Bytes.utf8(memory.files().get(`${directory}/MANIFEST`)!)
    assert.strictEqual(Bytes.utf8(Manifest.encode(yield* manifestOf(memory))), text)
  })
})
