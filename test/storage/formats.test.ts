/** Files that earlier versions wrote, and files of versions that are not there yet. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readdirSync, readFileSync } from "node:fs"
import { crc32 } from "node:zlib"
import { writeAtomically } from "../../src/disk/Disk.ts"
import * as DiskMemory from "../../src/disk/DiskMemory.ts"
import * as Bytes from "../../src/domain/bytes.ts"
import type { Cell } from "../../src/domain/cell/Cell.ts"
import * as CellLine from "../../src/domain/cell/CellLine.ts"
import * as Manifest from "../../src/storage/manifest/Manifest.ts"
import * as Bloom from "../../src/storage/sstable/Bloom.ts"
import * as TableIndex from "../../src/storage/sstable/TableIndex.ts"
import * as TableWriter from "../../src/storage/sstable/TableWriter.ts"
import { assertCell, cell, collect, directory, key, open, openScoped, plain, tombstone } from "./store.ts"

/** `fixtures/write.ts` writes those of the present format. */
const folderOf = (format: number) => new URL(`fixtures/format-${format}/`, import.meta.url)

const expectedFile = "expected.ndjson"

/** A disk that holds what an earlier version left. */
const diskOf = Effect.fnUntraced(function*(format: number) {
  const memory = DiskMemory.make(1)
  yield* memory.disk.makeDirectory(directory)
  for (const name of readdirSync(folderOf(format))) {
    if (name === expectedFile) continue
    yield* writeAtomically(memory.disk, `${directory}/${name}`, readFileSync(new URL(name, folderOf(format))))
  }
  return memory
})

const expectedOf = (format: number): ReadonlyArray<Cell> =>
  readFileSync(new URL(expectedFile, folderOf(format)), "utf8").trimEnd().split("\n").map((line) =>
    CellLine.decode(line)!
  )

const manifestOf = Effect.fnUntraced(function*(memory: DiskMemory.DiskMemory) {
  const reading = yield* Manifest.read(memory.disk, directory)
  if (reading?.format !== 2) return assert.fail("the manifest is not of format 2")
  return reading.manifest
})

const everything = { damage: "skip" } as const

for (
  const { counterMax, format, logCells } of [
    { format: 1, counterMax: 433, logCells: ["users/0003", "a", "log only"] },
    { format: 2, counterMax: 295, logCells: ["users/0005", "a", "log only"] }
  ]
) {
  describe(`a store of format ${format}`, () => {
    it.effect("gives every cell that it holds, by scan and by key, from its tables and its log", () =>
      Effect.gen(function*() {
        const storage = yield* openScoped(yield* diskOf(format))
        const expected = expectedOf(format)
        assert.deepStrictEqual((yield* collect(storage, everything)).map(plain), expected.map(plain))
        for (const one of expected.filter(({ key }) => !isInHole(format, key))) {
          assertCell(yield* storage.get(one.key), one)
          assert.deepStrictEqual(yield* storage.version(one.key), one.version)
        }
        const known = new Map(expected.map((one) => [one.key as string, one]))
        for (const name of logCells) assertCell(yield* storage.get(key(name)), known.get(name)!)
        assert.isUndefined(yield* storage.get(key("users/9999")))
        assert.strictEqual(yield* storage.counterMax, counterMax)
        assert.strictEqual((yield* storage.stats).memtableCells, logCells.length)
      }))

    it.effect("takes writes, is flushed and compacted, and is of format 2 with the same cells when it opens again", () =>
      Effect.gen(function*() {
        const memory = yield* diskOf(format)
        const first = yield* open(memory)
        const added = [cell("added", 1001), tombstone("logo", 1002)]
        yield* first.storage.apply(added)
        yield* first.storage.flush
        yield* first.storage.compact
        yield* first.close
        const { counterMax, logs, tables } = yield* manifestOf(memory)
        assert.deepStrictEqual(tables.map(({ level }) => level), tables.map(() => 6))
        assert.deepInclude({ counterMax, logs: logs.length }, { counterMax: 1002, logs: 0 })
        const storage = yield* openScoped(memory)
        const footers = Array.from(memory.files()).filter(([path]) => path.endsWith(".sst")).map(([, bytes]) =>
          Bytes.utf8(bytes).trimEnd().split("\n").at(-1)!
        )
        for (const footer of footers) {
          assert.match(footer, /^\{"format":"rondo-sstable-2","cells":\d+,"tombstones":\d+\}$/)
        }
        assert.strictEqual(footers.length, tables.length, "no file is left that the manifest does not name")
        const cells = new Map(expectedOf(format).map((one) => [one.key as string, one]))
        for (const one of added) cells.set(one.key, one)
        const found = yield* collect(storage, everything)
        assert.deepStrictEqual(new Map(found.map((one) => [one.key as string, plain(one)])), new Map(plainOf(cells)))
      }))
  })
}

const plainOf = (cells: ReadonlyMap<string, Cell>) => Array.from(cells, ([name, one]) => [name, plain(one)] as const)

/** What `fixtures/write.ts` damaged. */
const isInHole = (format: number, name: string) => format === 2 && name >= "users/0150" && name < "users/0159"

describe("a store of format 1", () => {
  it.effect("has all its tables in level 0 of the first manifest of format 2, with what their indices say", () =>
    Effect.gen(function*() {
      const memory = yield* diskOf(1)
      const { close } = yield* open(memory)
      const { holes, logs, tables } = yield* manifestOf(memory)
      assert.deepStrictEqual(
        tables.map(({ cells, id, level, tombstones }) => ({ id, level, cells, tombstones })).sort((a, b) =>
          a.id - b.id
        ),
        [
          { id: 2, level: 0, cells: 308, tombstones: 0 },
          { id: 4, level: 0, cells: 120, tombstones: 100 },
          { id: 6, level: 0, cells: 2, tombstones: 0 }
        ]
      )
      assert.deepStrictEqual({ holes, logs }, { holes: [], logs: [7] })
      yield* close
    }))
})

describe("a store of format 2", () => {
  it.effect("has its tables on their levels, and says which cells it lost", () =>
    Effect.gen(function*() {
      const storage = yield* openScoped(yield* diskOf(2))
      const { holes, levels } = yield* storage.stats
      assert.deepStrictEqual(levels.map(({ tables }) => tables), [2, 0, 0, 0, 0, 1, 6])
      assert.deepStrictEqual(holes.map(({ counterMax, from, to }) => ({ counterMax, from, to })), [
        { counterMax: 286, from: "users/0150", to: "users/0159" }
      ])
      const error = yield* Effect.flip(storage.get(key("users/0151")))
      assert.strictEqual(error._tag, "Corruption")
      assertCell(yield* storage.get(key("users/0149")), expectedOf(2).find(({ key }) => key === "users/0149"))
    }))
})

/** The same file as another version might write it: its first line says so, and its checksum holds. */
const ofLaterFormat = (bytes: Uint8Array, from: string, to: string) => {
  const lines = Bytes.utf8(bytes).replace(from, to).trimEnd().split("\n").slice(0, -1)
  const body = lines.map((line) => `${line}\n`).join("")
  return Buffer.from(`${body}{"crc32":${crc32(body)}}\n`)
}

describe("files of a later version", () => {
  const refused = Effect.fnUntraced(function*(path: string, bytes: (before: Uint8Array) => Uint8Array) {
    const memory = yield* diskOf(2)
    yield* writeAtomically(memory.disk, path, bytes(memory.files().get(path)!))
    const before = Array.from(memory.files(), ([path, bytes]) => [path, Buffer.from(bytes)] satisfies [string, Buffer])
    const error = yield* Effect.flip(open(memory))
    assert.deepStrictEqual(Array.from(memory.files()), before, "nothing is changed, removed or moved aside")
    return error.message
  })

  const advice = "start the version that wrote it, or a later one, on this directory; the file was left as it is"

  it.effect("are refused: a manifest", () =>
    Effect.gen(function*() {
      const path = `${directory}/MANIFEST`
      const message = yield* refused(path, (bytes) => ofLaterFormat(bytes, `"format":2`, `"format":3`))
      assert.strictEqual(message, `${path} has the format 3, and this version of Rondo reads 1 and 2: ${advice}`)
    }))

  it.effect("are refused: a table, which is not taken for a damaged one", () =>
    Effect.gen(function*() {
      const path = `${directory}/000010.idx`
      const message = yield* refused(path, (bytes) => ofLaterFormat(bytes, "rondo-sstable-2", "rondo-sstable-3"))
      assert.strictEqual(
        message,
        `${path} has the format rondo-sstable-3, and this version of Rondo reads rondo-sstable-1 and rondo-sstable-2: ` +
          advice
      )
    }))

  it.effect("are refused: a log, whose records are not taken for torn ones", () =>
    Effect.gen(function*() {
      const path = `${directory}/wal-000027.log`
      const later = (bytes: Uint8Array) =>
        Buffer.from(Bytes.latin1(bytes, 0, bytes.length).replaceAll("RLg1", "RLg2"), "latin1")
      const message = yield* refused(path, later)
      assert.strictEqual(message, `${path} has the format RLg2, and this version of Rondo reads RLg1: ${advice}`)
    }))
})

describe("docs/formats/sstable.md", () => {
  it.effect("shows what is written for the cells that it shows, and an index of format 1 that is read the same", () =>
    Effect.gen(function*() {
      const page = readFileSync(new URL("../../docs/formats/sstable.md", import.meta.url), "utf8")
      const shown = page.split("\n").filter((line) => line.startsWith("    {")).map((line) => line.trim())
      const cells = shown.map(CellLine.decode).filter((cell) => cell !== undefined)
      const { disk, files } = DiskMemory.make(1)
      yield* disk.makeDirectory(directory)
      const writer = yield* TableWriter.open(disk, directory, 1, TableWriter.defaults)
      for (const cell of cells) writer.add(cell)
      yield* writer.finish
      const written = Array.from(files().values()).flatMap((bytes) => Bytes.utf8(bytes).trimEnd().split("\n"))
      assert.deepStrictEqual(written, shown.slice(0, written.length))
      const [, ofFormatTwo] = Array.from(files().values())
      const ofFormatOne = Buffer.from(shown.slice(written.length).map((line) => `${line}\n`).join(""))
      const { bloom: _, properties, ...index } = decoded(ofFormatTwo!)
      const { bloom, ...ofOne } = decoded(ofFormatOne)
      // Without the footer.
      assert.deepStrictEqual(ofOne, { ...index, properties: { ...properties, sizeBytes: 242 } })
      assert.deepInclude(bloom, { layout: "scattered", probes: 7 })
      for (const { key } of cells) assert.isTrue(Bloom.admits(bloom, Bloom.hash(key)))
      assert.isFalse(Bloom.admits(bloom, Bloom.hash("nobody")))
      // Written anew, because the file decayed, it must not be read with the layout of this format.
      const anew = decoded(TableIndex.encode(decoded(ofFormatOne)))
      for (const { key } of cells) assert.isTrue(Bloom.admits(anew.bloom, Bloom.hash(key)))
    }))

  const decoded = (bytes: Uint8Array) => {
    const index = TableIndex.decode(bytes)
    return typeof index === "string" ? assert.fail(index) : index
  }
})

describe("fixtures/format-2", () => {
  it.effect("is of the format that the engine writes: a change of it needs a fixture of its own", () =>
    Effect.gen(function*() {
      const memory = yield* diskOf(2)
      const text = Bytes.utf8(memory.files().get(`${directory}/MANIFEST`)!)
      assert.strictEqual(Bytes.utf8(Manifest.encode(yield* manifestOf(memory))), text)
    }))
})
