import { assert, describe } from "@effect/vitest"
import { Effect, Logger } from "effect"
import * as DiskMemory from "../../src/disk/DiskMemory.ts"
import type { StorageError } from "../../src/disk/StorageError.ts"
import * as Manifest from "../../src/storage/manifest/Manifest.ts"
import * as RecordLog from "../../src/storage/wal/RecordLog.ts"
import { inVirtualTime } from "../inVirtualTime.ts"
import {
  assertAbsent,
  assertHolds,
  cell,
  collect,
  directory,
  key,
  open,
  pathsOf,
  stage,
  superseded,
  tombstone,
  until,
  withSettings,
  withStore,
  writeTable
} from "./store.ts"

const walOf = (memory: DiskMemory.DiskMemory) => pathsOf(memory, "wal-")

type Spoil = (memory: DiskMemory.DiskMemory) => Effect.Effect<void, StorageError>

const log = `${directory}/wal-000003.log`

const damage = (memory: DiskMemory.DiskMemory, name: string, offsetBytes: number) =>
  Effect.sync(() => memory.damage(`${directory}/${name}`, offsetBytes))

describe("recovery", () => {
  withSettings({ memtableBytesMax: 64 * 1024 * 1024 })(
    "reads back rounds of all sizes after a crash",
    function*({ crash, storage }) {
      const cells = [10, 100_000, 300_000, 1_000_000, 1_048_500, 2_500_000, 20].map((bytes, index) =>
        cell(`size-${bytes}`, index + 1, String(index).repeat(bytes))
      )
      for (const one of cells) yield* storage.apply([one])
      yield* assertHolds(yield* crash, ...cells)
    }
  )

  inVirtualTime("keeps the newest cell of a key that several logs hold", function*() {
    const memory = DiskMemory.make(1)
    for (const counter of [2, 5, 7]) {
      const opened = yield* open(memory)
      yield* opened.storage.apply([cell("a", counter)])
      yield* opened.close
    }
    assert.strictEqual(walOf(memory).length, 3)
    const { storage } = yield* stage({}, memory)
    yield* assertHolds(storage, cell("a", 7))
    yield* storage.flush
    yield* until(Effect.sync(() => walOf(memory).length === 0))
  })

  withStore("cuts a torn tail from the file", function*({ close, memory, restart, storage }) {
    yield* storage.apply([cell("a", 1)])
    const [path] = walOf(memory)
    const whole = memory.files().get(path!)!.length
    memory.powerOff()
    yield* close
    memory.powerOn()
    const torn = yield* memory.disk.openAppend(path!)
    yield* torn.append(Buffer.from("RLg1 half a record"))
    yield* torn.sync
    yield* assertHolds(yield* restart, cell("a", 1))
    assert.strictEqual(memory.files().get(path!)!.length, whole)
  })

  withStore("refuses a log that is damaged in its middle, and says where", function*({ close, memory, storage }) {
    yield* storage.apply([cell("a", 1)])
    const [path] = walOf(memory)
    const offset = memory.files().get(path!)!.length
    yield* storage.apply([cell("b", 2)])
    yield* storage.apply([cell("c", 3)])
    yield* close
    memory.damage(path!, offset + 30)
    const error = yield* Effect.flip(open(memory))
    assert.deepInclude(error, { _tag: "Corruption", path: path!, offsetBytes: offset })
    assert.strictEqual(walOf(memory).length, 1, "nothing is removed")
  })

  withStore("refuses intact records that are no cells", function*({ close, memory }) {
    yield* close
    const log = yield* RecordLog.open(memory.disk, `${directory}/wal-000001.log`, 0)
    yield* Manifest.write(memory.disk, directory, { ...Manifest.empty, logs: [1] })
    yield* log.append([Buffer.from("no cell")])
    assert.include((yield* Effect.flip(open(memory))).message, "not cells")
  })

  withStore("removes what the manifest does not name, and nothing else", function*({ memory, restart, storage }) {
    yield* writeTable(storage, cell("a", 1))
    for (const name of ["000099.sst", "000099.idx", "wal-000000.log", "notes.txt", "identity.json"]) {
      yield* memory.disk.openAppend(`${directory}/${name}`)
    }
    const reopened = yield* restart
    const names = pathsOf(memory, "").map((path) => path.slice(directory.length + 1))
    assert.deepStrictEqual(names, ["000002.idx", "000002.sst", "MANIFEST", "identity.json", "notes.txt"])
    yield* writeTable(reopened, cell("b", 2))
    yield* assertHolds(reopened, cell("b", 2))
  })

  for (
    const [what, expected, spoil] of [
      ["a damaged manifest", /MANIFEST is damaged .*checksum/, (memory) => damage(memory, "MANIFEST", 12)],
      ["data files without a manifest", /MANIFEST .*missing/, ({ disk }) => disk.remove(`${directory}/MANIFEST`)],
      ["a manifest with a missing log", /wal-000003.log .*missing/, ({ disk }) => disk.remove(log)],
      ["a closed log with a damaged end", /wal-000003.log is damaged/, (memory) => damage(memory, "wal-000003.log", 30)]
    ] satisfies ReadonlyArray<readonly [string, RegExp, Spoil]>
  ) {
    withStore(`refuses ${what}, and removes nothing`, function*({ close, memory, storage }) {
      yield* writeTable(storage, cell("a", 1))
      yield* storage.apply([cell("b", 2)])
      yield* close
      yield* spoil(memory)
      const left = pathsOf(memory, "")
      assert.match((yield* Effect.flip(open(memory))).message, expected)
      assert.deepStrictEqual(pathsOf(memory, ""), left)
    })
  }

  withStore("fails reads of a damaged block, and serves the rest", function*(stage) {
    yield* writeTable(stage.storage, cell("a", 1, "x".repeat(20_000)), cell("b", 2))
    stage.memory.damage(`${directory}/000002.sst`, 5000)
    const storage = yield* stage.restart
    assert.isUndefined((yield* storage.stats).damage)
    const logged: Array<unknown> = []
    const logger = Logger.layer([Logger.make(({ message }) => logged.push(message))])
    const error = yield* Effect.flip(storage.get(key("a"))).pipe(Effect.provide(logger))
    yield* Effect.flip(storage.get(key("a"))).pipe(Effect.provide(logger))
    assert.strictEqual(logged.length, 1, "once, however often it is read")
    assert.include(String(logged[0]), `${directory}/000002.sst is damaged at byte 0`)
    assert.deepInclude(error, { _tag: "Corruption", path: `${directory}/000002.sst`, offsetBytes: 0 })
    assert.strictEqual((yield* Effect.flip(storage.version(key("a"))))._tag, "Corruption")
    assert.strictEqual((yield* Effect.flip(storage.apply([cell("a", 2)])))._tag, "Corruption")
    assert.strictEqual((yield* Effect.flip(collect(storage)))._tag, "Corruption")
    yield* assertHolds(storage, cell("b", 2))
    assert.deepStrictEqual(yield* storage.apply([cell("b", 1)]), [superseded(2)])
  })

  withSettings({ tombstones: "purge" })("keeps tombstones that answer for a hole", function*({ memory, storage }) {
    yield* writeTable(storage, cell("a", 1, "x".repeat(20_000)), cell("b", 2))
    memory.damage(`${directory}/000002.sst`, 5000)
    yield* storage.apply([tombstone("a", 3), tombstone("b", 4)])
    yield* storage.compact
    assert.strictEqual((yield* storage.stats).holes.length, 1)
    yield* assertHolds(storage, tombstone("a", 3), tombstone("b", 4))
    yield* storage.compact
    yield* assertHolds(storage, tombstone("a", 3))
  })

  withStore("remembers a hole over a restart, and serves newer cells in it", function*({ memory, restart, storage }) {
    yield* writeTable(storage, cell("a", 1, "x".repeat(20_000)), cell("b", 2))
    memory.damage(`${directory}/000002.sst`, 5000)
    yield* Effect.flip(storage.get(key("a")))
    yield* until(Effect.map(storage.stats, ({ holes }) => holes.length === 1))
    const reopened = yield* restart
    const [hole] = (yield* reopened.stats).holes
    assert.deepInclude(hole, { from: "a", to: "b", counterMax: 2, file: `${directory}/000002.sst`, offsetBytes: 0 })
    assert.strictEqual((yield* Effect.flip(reopened.get(key("a"))))._tag, "Corruption")
    assert.strictEqual((yield* Effect.flip(reopened.get(key("aa"))))._tag, "Corruption")
    yield* assertHolds(reopened, cell("b", 2))
    yield* assertAbsent(reopened, "c")
    assert.strictEqual((yield* Effect.flip(reopened.apply([cell("a", 2)])))._tag, "Corruption")
    yield* reopened.apply([cell("a", 3)])
    yield* assertHolds(reopened, cell("a", 3))
    yield* reopened.flush
    yield* assertHolds(reopened, cell("a", 3))
  })

  for (
    const [what, spoil] of [
      ["is missing", ({ disk }) => disk.remove(`${directory}/000002.idx`)],
      ["is damaged", (memory) => damage(memory, "000002.idx", 12)],
      ["has the wrong length", ({ disk }) => disk.truncate(`${directory}/000002.sst`, 3)]
    ] satisfies ReadonlyArray<readonly [string, Spoil]>
  ) {
    withStore(`starts without a table of which a file ${what}, and serves other keys`, function*(stage) {
      yield* writeTable(stage.storage, cell("b", 1), cell("d", 2))
      yield* writeTable(stage.storage, cell("a", 3), cell("b", 4))
      yield* stage.close
      yield* spoil(stage.memory)
      const storage = yield* stage.restart
      const { holes } = yield* storage.stats
      assert.deepStrictEqual(holes.map(({ counterMax, from, to }) => [counterMax, from, to]), [[2, "b", "d\u0000"]])
      yield* assertHolds(storage, cell("a", 3), cell("b", 4))
      for (const name of ["c", "d"]) {
        assert.strictEqual((yield* Effect.flip(storage.get(key(name))))._tag, "Corruption")
      }
      yield* assertAbsent(storage, "e")
      const endings = pathsOf(stage.memory, "000002").map((path) => path.slice(path.lastIndexOf(".")))
      assert.deepStrictEqual(new Set(endings), new Set([".damaged"]), "kept for a look at it")
    })
  }
})
