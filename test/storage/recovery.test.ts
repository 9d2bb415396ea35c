import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Logger } from "effect"
import type { Fsync } from "../../src/config/NodeConfig.ts"
import * as DiskMemory from "../../src/disk/DiskMemory.ts"
import type { StorageError } from "../../src/disk/StorageError.ts"
import type { Cell } from "../../src/domain/cell/Cell.ts"
import * as CellModule from "../../src/domain/cell/Cell.ts"
import * as Manifest from "../../src/storage/manifest/Manifest.ts"
import * as RecordLog from "../../src/storage/wal/RecordLog.ts"
import {
  assertCell,
  cell,
  collect,
  crash,
  directory,
  key,
  open,
  openScoped,
  plain,
  tombstone,
  until,
  version
} from "./store.ts"

/** Writes, a deletion, flushes and a compaction; each step is one call of `apply` or a flush. */
const workload: ReadonlyArray<ReadonlyArray<Cell> | "flush"> = [
  [cell("a", 1)],
  [cell("b", 2), cell("c", 3)],
  "flush",
  [cell("a", 4), tombstone("b", 5)],
  "flush",
  [cell("d", 6, "x".repeat(3000))],
  "flush",
  [cell("e", 7), cell("a", 8)],
  "flush",
  [cell("f", 9)],
  [cell("c", 10)]
]

describe("a process that is killed while the system lives", () => {
  it.effect("leaves nothing that is answered for and lost with the power later", () =>
    Effect.gen(function*() {
      for (let seed = 1; seed <= 30; seed++) {
        const memory = DiskMemory.make(seed)
        const first = yield* open(memory)
        yield* first.storage.apply([cell("before", 1)])
        memory.syncs.closeUnsafe()
        const appends = memory.count("append")
        // In the log, and no sync has reached it when the process dies.
        const fiber = yield* Effect.forkChild(first.storage.apply([cell("a", 2)]))
        yield* until(Effect.sync(() => memory.count("append") > appends))
        memory.release()
        memory.syncs.openUnsafe()
        const second = yield* open(memory)
        // The coordinator sends it again, and it is there: acknowledged.
        yield* second.storage.apply([cell("a", 2)])
        yield* crash(memory, second)
        const third = yield* open(memory)
        assert.isDefined(yield* third.storage.get(key("a")), `seed ${seed}`)
        yield* third.close
        yield* Fiber.interrupt(fiber)
        yield* first.close
      }
    }))
})

/** Runs the workload until the power goes off; returns what was acknowledged and what may have happened as well. */
const run = Effect.fnUntraced(function*(memory: DiskMemory.DiskMemory, fsync: Fsync = "always") {
  const acknowledged: Array<Cell> = []
  const attempted: Array<Cell> = []
  const opened = yield* Effect.exit(open(memory, { fsync }))
  if (Exit.isFailure(opened)) return { acknowledged, attempted }
  const { close, storage } = opened.value
  for (const step of workload) {
    if (step !== "flush") attempted.push(...step)
    const outcome = yield* Effect.exit(
      step === "flush" ? Effect.asVoid(storage.flush) : Effect.asVoid(storage.apply(step))
    )
    if (Exit.isFailure(outcome)) break
    if (step !== "flush") acknowledged.push(...step)
  }
  // Long enough for the compaction to reach the point at which the power goes off.
  for (let turn = 0; turn < 60 && !memory.isOff(); turn++) yield* Effect.yieldNow
  yield* close
  return { acknowledged, attempted }
})

const newestOf = (cells: ReadonlyArray<Cell>) => {
  const newest = new Map<string, Cell>()
  for (const one of cells) {
    const before = newest.get(one.key)
    newest.set(one.key, before === undefined ? one : CellModule.merge(before, one))
  }
  return newest
}

describe("crashes", () => {
  it.effect(
    "at every single disk operation: what was acknowledged is there, nothing is half there",
    () =>
      Effect.gen(function*() {
        const whole = DiskMemory.make(1)
        yield* run(whole)
        const operations = whole.operations()
        assert.isAbove(operations, 80, "the workload flushes and compacts")
        for (let at = 1; at <= operations; at++) {
          for (const seed of [1, 2, 3]) {
            const memory = DiskMemory.make(seed * 1000 + at)
            memory.powerOffAt(at)
            const { acknowledged, attempted } = yield* run(memory)
            memory.powerOff()
            memory.powerOn()
            yield* check(memory, acknowledged, attempted, `power off at operation ${at}, seed ${seed * 1000 + at}`)
          }
        }
      })
  )

  it.effect("a second crash during recovery loses nothing either", () =>
    Effect.gen(function*() {
      for (let at = 1; at <= 30; at++) {
        for (const first of [40, 60, 75]) {
          const seed = first * 100 + at
          const memory = DiskMemory.make(seed)
          memory.powerOffAt(first)
          const { acknowledged, attempted } = yield* run(memory)
          memory.powerOn()
          memory.powerOffAt(at)
          yield* Effect.exit(Effect.flatMap(open(memory), ({ close }) => close))
          memory.powerOff()
          memory.powerOn()
          yield* check(memory, acknowledged, attempted, `power off at ${first}, then at ${at}, seed ${seed}`)
        }
      }
    }))

  it.effect(
    "without syncs a crash may lose the latest cells, but the store opens and holds nothing half",
    () =>
      Effect.gen(function*() {
        for (const fsync of ["interval", "never"] as const) {
          for (let at = 1; at <= 80; at++) {
            const memory = DiskMemory.make(at)
            memory.powerOffAt(at)
            const { attempted } = yield* run(memory, fsync)
            memory.powerOff()
            memory.powerOn()
            yield* check(memory, [], attempted, `FSYNC=${fsync}, power off at operation ${at}, seed ${at}`)
          }
        }
      })
  )
})

/** Each key holds a cell that was attempted and that is no older than the newest acknowledged one. */
const check = Effect.fnUntraced(function*(
  memory: DiskMemory.DiskMemory,
  acknowledged: ReadonlyArray<Cell>,
  attempted: ReadonlyArray<Cell>,
  message: string
) {
  const { close, storage } = yield* open(memory).pipe(
    Effect.catch((error) => Effect.die(`${message}: ${error.message}`))
  )
  const found = new Map((yield* collect(storage)).map((one) => [one.key as string, one]))
  for (const [name, expected] of newestOf(acknowledged)) {
    const actual = found.get(name)
    assert.isDefined(actual, `${name} is lost; ${message}`)
    assert.isAtLeast(CellModule.compare(actual!, expected), 0, `${name} went back; ${message}`)
  }
  for (const one of found.values()) {
    const same = attempted.find(({ key, version }) => key === one.key && version.counter === one.version.counter)
    assert.deepStrictEqual(plain(one), plain(same), message)
    assert.deepStrictEqual(plain(yield* storage.get(one.key)), plain(one), message)
  }
  const counterMax = Math.max(0, ...acknowledged.map((one) => one.version.counter))
  assert.isAtLeast(yield* storage.counterMax, counterMax, message)
  yield* storage.apply([cell("afterwards", 1000)])
  yield* close
})

describe("recovery", () => {
  const walOf = (memory: DiskMemory.DiskMemory) =>
    Array.from(memory.files().keys()).filter((path) => path.includes("wal-")).sort()

  it.effect("reads a closed store back from its log", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const first = yield* open(memory)
      yield* first.storage.apply([cell("a", 1), tombstone("b", 2)])
      yield* first.close
      const storage = yield* openScoped(memory)
      assertCell(yield* storage.get(key("a")), cell("a", 1))
      assertCell(yield* storage.get(key("b")), tombstone("b", 2))
    }))

  it.effect("reads back rounds of every size, each larger than any before it, after a crash", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const opened = yield* open(memory, { memtableBytesMax: 64 * 1024 * 1024 })
      const cells = [10, 100_000, 300_000, 1_000_000, 1_048_500, 2_500_000, 20].map((bytes, index) =>
        cell(`size-${bytes}`, index + 1, String(index).repeat(bytes))
      )
      for (const one of cells) yield* opened.storage.apply([one])
      yield* crash(memory, opened)
      const storage = yield* openScoped(memory, { memtableBytesMax: 64 * 1024 * 1024 })
      for (const one of cells) assertCell(yield* storage.get(one.key), one)
    }))

  it.effect("keeps the newest cell of a key that several logs hold", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      for (const counter of [2, 5, 7]) {
        const opened = yield* open(memory)
        yield* opened.storage.apply([cell("a", counter)])
        yield* opened.close
      }
      assert.strictEqual(walOf(memory).length, 3)
      const storage = yield* openScoped(memory)
      assertCell(yield* storage.get(key("a")), cell("a", 7))
      yield* storage.flush
      yield* until(Effect.sync(() => walOf(memory).length === 0))
    }))

  it.effect("cuts a torn tail from the file", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const opened = yield* open(memory)
      yield* opened.storage.apply([cell("a", 1)])
      const [path] = walOf(memory)
      const whole = memory.files().get(path!)!.length
      memory.powerOff()
      yield* opened.close
      memory.powerOn()
      const torn = yield* memory.disk.openAppend(path!)
      yield* torn.append(Buffer.from("RLg1 half a record"))
      yield* torn.sync
      const storage = yield* openScoped(memory)
      assertCell(yield* storage.get(key("a")), cell("a", 1))
      assert.strictEqual(memory.files().get(path!)!.length, whole)
    }))

  it.effect("refuses to start when a log is damaged in its middle, and says where", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const opened = yield* open(memory)
      yield* opened.storage.apply([cell("a", 1)])
      const [path] = walOf(memory)
      const offset = memory.files().get(path!)!.length
      yield* opened.storage.apply([cell("b", 2)])
      yield* opened.storage.apply([cell("c", 3)])
      yield* opened.close
      memory.damage(path!, offset + 30)
      const error = yield* Effect.flip(open(memory))
      assert.deepInclude(error, { _tag: "Corruption", path: path!, offsetBytes: offset })
      assert.strictEqual(walOf(memory).length, 1, "nothing is removed")
    }))

  it.effect("finds damage to the last record of a log that was closed in order", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const opened = yield* open(memory)
      yield* opened.storage.apply([cell("a", 1)])
      yield* opened.close
      memory.damage(walOf(memory)[0]!, 30)
      assert.strictEqual((yield* Effect.flip(open(memory)))._tag, "Corruption")
    }))

  it.effect("refuses records that are whole but no cells", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const opened = yield* open(memory)
      yield* opened.close
      const log = yield* RecordLog.open(memory.disk, `${directory}/wal-000001.log`, 0)
      yield* Manifest.write(memory.disk, directory, { ...Manifest.empty, logs: [1] })
      yield* log.append([Buffer.from("no cell")])
      assert.include((yield* Effect.flip(open(memory))).message, "not cells")
    }))

  it.effect("removes what the manifest does not name, and nothing else", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const opened = yield* open(memory)
      yield* opened.storage.apply([cell("a", 1)])
      yield* opened.storage.flush
      yield* opened.close
      for (const name of ["000099.sst", "000099.idx", "wal-000000.log", "notes.txt", "identity.json"]) {
        yield* memory.disk.openAppend(`${directory}/${name}`)
      }
      const storage = yield* openScoped(memory)
      const names = Array.from(memory.files().keys()).map((path) => path.slice(directory.length + 1)).sort()
      assert.deepStrictEqual(names, ["000002.idx", "000002.sst", "MANIFEST", "identity.json", "notes.txt"])
      yield* storage.apply([cell("b", 2)])
      yield* storage.flush
      assertCell(yield* storage.get(key("b")), cell("b", 2))
    }))

  it.effect("refuses to take data files for garbage when the manifest is lost", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const opened = yield* open(memory)
      yield* opened.storage.apply([cell("a", 1)])
      yield* opened.close
      yield* memory.disk.remove(`${directory}/MANIFEST`)
      assert.include((yield* Effect.flip(open(memory))).message, "missing")
      assert.strictEqual(walOf(memory).length, 1)
    }))

  it.effect("refuses a damaged manifest, and to go on without a log that it names", () =>
    Effect.gen(function*() {
      const spoil = Effect.fnUntraced(
        function*(spoiling: (memory: DiskMemory.DiskMemory) => Effect.Effect<void, StorageError>) {
          const memory = DiskMemory.make(1)
          const opened = yield* open(memory)
          yield* opened.storage.apply([cell("a", 1)])
          yield* opened.storage.flush
          yield* opened.storage.apply([cell("b", 2)])
          yield* opened.close
          yield* spoiling(memory)
          return (yield* Effect.flip(open(memory))).message
        }
      )
      const damaged = (name: string) => spoil((memory) => Effect.sync(() => memory.damage(`${directory}/${name}`, 12)))
      assert.match(yield* damaged("MANIFEST"), /MANIFEST is damaged .*checksum/)
      assert.match(
        yield* spoil((memory) => memory.disk.remove(`${directory}/wal-000003.log`)),
        /wal-000003.log .*missing/
      )
    }))

  it.effect("reports a damaged block to those who read it, and serves the rest", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const opened = yield* open(memory)
      yield* opened.storage.apply([cell("a", 1, "x".repeat(20_000)), cell("b", 2)])
      yield* opened.storage.flush
      yield* opened.close
      memory.damage(`${directory}/000002.sst`, 5000)
      const storage = yield* openScoped(memory)
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
      assertCell(yield* storage.get(key("b")), cell("b", 2))
      assert.deepStrictEqual(yield* storage.apply([cell("b", 1)]), [{ _tag: "Superseded", newest: version(2) }])
    }))

  it.effect("purges no tombstone that answers for a key where cells were lost", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const storage = yield* openScoped(memory, { tombstones: "purge" })
      yield* storage.apply([cell("a", 1, "x".repeat(20_000)), cell("b", 2)])
      yield* storage.flush
      memory.damage(`${directory}/000002.sst`, 5000)
      yield* storage.apply([tombstone("a", 3), tombstone("b", 4)])
      yield* storage.compact
      assert.strictEqual((yield* storage.stats).holes.length, 1)
      for (const expected of [tombstone("a", 3), tombstone("b", 4)]) {
        assertCell(yield* storage.get(expected.key), expected)
      }
      yield* storage.compact
      assertCell(yield* storage.get(key("a")), tombstone("a", 3))
    }))

  it.effect("keeps in mind what damage took, also over a restart, until it is repaired", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const opened = yield* open(memory)
      yield* opened.storage.apply([cell("a", 1, "x".repeat(20_000)), cell("b", 2)])
      yield* opened.storage.flush
      memory.damage(`${directory}/000002.sst`, 5000)
      yield* Effect.flip(opened.storage.get(key("a")))
      yield* until(Effect.map(opened.storage.stats, ({ holes }) => holes.length === 1))
      yield* opened.close
      const reopened = yield* open(memory)
      const [hole] = (yield* reopened.storage.stats).holes
      assert.deepInclude(hole, { from: "a", to: "b", counterMax: 2, file: `${directory}/000002.sst`, offsetBytes: 0 })
      assert.strictEqual((yield* Effect.flip(reopened.storage.get(key("a"))))._tag, "Corruption")
      assert.strictEqual((yield* Effect.flip(reopened.storage.get(key("aa"))))._tag, "Corruption")
      assertCell(yield* reopened.storage.get(key("b")), cell("b", 2))
      assert.isUndefined(yield* reopened.storage.get(key("c")))
      assert.strictEqual((yield* Effect.flip(reopened.storage.apply([cell("a", 2)])))._tag, "Corruption")
      yield* reopened.storage.apply([cell("a", 3)])
      assertCell(yield* reopened.storage.get(key("a")), cell("a", 3))
      yield* reopened.storage.flush
      assertCell(yield* reopened.storage.get(key("a")), cell("a", 3))
      yield* reopened.close
    }))

  for (
    const [what, spoil] of [
      ["is missing", (memory: DiskMemory.DiskMemory) => memory.disk.remove(`${directory}/000002.idx`)],
      [
        "is damaged",
        (memory: DiskMemory.DiskMemory) => Effect.sync(() => memory.damage(`${directory}/000002.idx`, 12))
      ],
      ["has the wrong length", (memory: DiskMemory.DiskMemory) => memory.disk.truncate(`${directory}/000002.sst`, 3)]
    ] as const
  ) {
    it.effect(`starts without a table of which a file ${what}: its keys cannot be read, and the others can`, () =>
      Effect.gen(function*() {
        const memory = DiskMemory.make(1)
        const opened = yield* open(memory)
        yield* opened.storage.apply([cell("b", 1), cell("d", 2)])
        yield* opened.storage.flush
        yield* opened.storage.apply([cell("a", 3), cell("b", 4)])
        yield* opened.storage.flush
        yield* opened.close
        yield* spoil(memory)
        const storage = yield* openScoped(memory)
        const { holes } = yield* storage.stats
        assert.deepStrictEqual(holes.map(({ counterMax, from, to }) => ({ counterMax, from, to })), [
          { counterMax: 2, from: "b", to: "d\u0000" }
        ])
        assertCell(yield* storage.get(key("a")), cell("a", 3))
        assertCell(yield* storage.get(key("b")), cell("b", 4))
        for (const name of ["c", "d"]) {
          assert.strictEqual((yield* Effect.flip(storage.get(key(name))))._tag, "Corruption")
        }
        assert.isUndefined(yield* storage.get(key("e")))
        const names = Array.from(memory.files().keys())
        assert.isTrue(
          names.some((name) => name.includes("000002") && name.endsWith(".damaged")),
          "kept for who wants it"
        )
        assert.isFalse(names.some((name) => /000002[.](sst|idx)$/.test(name)))
      }))
  }
})
