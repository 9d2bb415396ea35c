import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Latch, Layer, Scope } from "effect"
import { fork } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { NodeConfig } from "../../src/config/NodeConfig.ts"
import { directoryOf, Disk, writeAtomically } from "../../src/disk/Disk.ts"
import * as DiskMemory from "../../src/disk/DiskMemory.ts"
import * as DiskNode from "../../src/disk/DiskNode.ts"
import { Identity } from "../../src/disk/Identity.ts"
import * as Bytes from "../../src/domain/bytes.ts"
import { Metrics } from "../../src/observability/Metrics.ts"
import { Storage } from "../../src/storage/Storage.ts"
import { assertCell, cell, collect, key } from "../storage/store.ts"

const temporaryDirectory = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "rondo-test-"))),
  (directory) => Effect.sync(() => fs.rmSync(directory, { recursive: true }))
)

const inMemory = Effect.sync(() => ({ disk: DiskMemory.make(1).disk, directory: "data" }))

const onDisk = Effect.gen(function*() {
  const disk = yield* Effect.provide(Disk, DiskNode.layer)
  return { disk, directory: yield* temporaryDirectory }
})

for (const [name, make] of [["DiskMemory", inMemory], ["DiskNode", onDisk]] as const) {
  describe(`${name} as a disk`, () => {
    it.effect("appends, reads at any place, and knows the size", () =>
      Effect.gen(function*() {
        const { directory, disk } = yield* make
        const file = `${directory}/a`
        const writing = yield* disk.openAppend(file)
        yield* writing.append(Buffer.from("hello "))
        yield* writing.append(Buffer.alloc(200_000, "x"))
        yield* writing.sync
        yield* writing.close
        yield* writing.close
        assert.strictEqual(yield* disk.sizeBytes(file), 200_006)
        const reading = yield* disk.openRead(file)
        assert.strictEqual((yield* reading.read(1, 6)).toString(), "ello x")
        assert.strictEqual((yield* reading.read(3, 0)).length, 0)
        assert.deepInclude(yield* Effect.flip(reading.read(200_000, 7)), { _tag: "DiskError", code: "EOF" })
        yield* reading.close
      }))

    it.effect("goes on behind what a file held, or empties it", () =>
      Effect.gen(function*() {
        const { directory, disk } = yield* make
        const file = `${directory}/a`
        const write = Effect.fnUntraced(function*(text: string, empty: boolean) {
          const handle = yield* disk.openAppend(file, { empty })
          yield* handle.append(Buffer.from(text))
          yield* handle.close
          return (yield* disk.readFile(file))!.toString()
        })
        assert.strictEqual(yield* write("one", false), "one")
        assert.strictEqual(yield* write("two", false), "onetwo")
        assert.strictEqual(yield* write("three", true), "three")
        yield* disk.truncate(file, 2)
        assert.strictEqual(yield* write("!", false), "th!")
      }))

    it.effect("lists, renames and removes names; what is missing is no error where that is harmless", () =>
      Effect.gen(function*() {
        const { directory, disk } = yield* make
        for (const file of ["b", "a"]) {
          yield* Effect.flatMap(disk.openAppend(`${directory}/${file}`), ({ close }) => close)
        }
        assert.deepStrictEqual(yield* disk.list(directory), ["a", "b"])
        yield* disk.rename(`${directory}/a`, `${directory}/c`)
        yield* disk.remove(`${directory}/b`)
        yield* disk.remove(`${directory}/b`)
        yield* disk.syncDirectory(directory)
        assert.deepStrictEqual(yield* disk.list(directory), ["c"])
        assert.isUndefined(yield* disk.readFile(`${directory}/b`))
        const missing = { _tag: "DiskError" as const, code: "ENOENT" }
        assert.deepInclude(yield* Effect.flip(disk.sizeBytes(`${directory}/b`)), missing)
        assert.deepInclude(yield* Effect.flip(disk.openRead(`${directory}/b`)), missing)
        assert.deepInclude(yield* Effect.flip(disk.rename(`${directory}/b`, `${directory}/d`)), { code: "ENOENT" })
      }))

    it.effect("replaces a small file in one step", () =>
      Effect.gen(function*() {
        const { directory, disk } = yield* make
        for (const text of ["first, longer", "second"]) {
          yield* writeAtomically(disk, `${directory}/state`, Buffer.from(text))
          assert.strictEqual((yield* disk.readFile(`${directory}/state`))!.toString(), text)
        }
        assert.deepStrictEqual(yield* disk.list(directory), ["state"])
      }))

    it.effect("lets one store at a time into a directory", () =>
      Effect.gen(function*() {
        const { directory, disk } = yield* make
        const scope = yield* Scope.make()
        yield* Scope.provide(disk.lock(directory), scope)
        assert.strictEqual((yield* Effect.flip(Effect.scoped(disk.lock(directory))))._tag, "DirectoryLocked")
        yield* Scope.close(scope, Exit.void)
        yield* Effect.scoped(disk.lock(directory))
      }))
  })
}

describe("DiskNode", () => {
  it.effect("makes directories with their parents", () =>
    Effect.gen(function*() {
      const { directory, disk } = yield* onDisk
      yield* disk.makeDirectory(`${directory}/a/b/c`)
      yield* disk.makeDirectory(`${directory}/a/b/c`)
      assert.isTrue(fs.statSync(`${directory}/a/b/c`).isDirectory())
    }))

  it.effect("tells a full disk from other errors", () =>
    Effect.gen(function*() {
      const { directory, disk } = yield* onDisk
      const full = yield* disk.openAppend("/dev/full")
      assert.strictEqual((yield* Effect.flip(full.append(Buffer.from("x"))))._tag, "DiskFull")
      assert.strictEqual((yield* Effect.flip(full.append(Buffer.alloc(100_000))))._tag, "DiskFull")
      yield* full.close
      assert.deepInclude(yield* Effect.flip(disk.openAppend(`${directory}/missing/a`)), {
        _tag: "DiskError",
        operation: "openAppend",
        code: "ENOENT"
      })
      assert.deepInclude(yield* Effect.flip(disk.list(`${directory}/missing`)), { _tag: "DiskError" })
      assert.deepInclude(yield* Effect.flip(Effect.scoped(disk.lock(`${directory}/missing`))), { operation: "lock" })
    }))

  it.effect("keeps another process out, and a killed one does not leave its lock behind", () =>
    Effect.gen(function*() {
      const { directory, disk } = yield* onDisk
      const program = `import("node:sqlite").then(({ DatabaseSync }) => {
        globalThis.held = new DatabaseSync(${JSON.stringify(`${directory}/LOCK`)})
        held.exec("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE")
        process.send("locked")
        setInterval(() => {}, 1000)
      })`
      fs.writeFileSync(`${directory}/hold.mjs`, program)
      const child = fork(`${directory}/hold.mjs`)
      yield* Effect.callback<void>((resume) => void child.once("message", () => resume(Effect.void)))
      assert.strictEqual((yield* Effect.flip(Effect.scoped(disk.lock(directory))))._tag, "DirectoryLocked")
      child.kill("SIGKILL")
      yield* Effect.callback<void>((resume) => void child.once("exit", () => resume(Effect.void)))
      yield* Effect.scoped(disk.lock(directory))
    }))

  it.effect("carries a store: written, flushed, closed, opened again", () =>
    Effect.gen(function*() {
      const dataDirectory = `${yield* temporaryDirectory}/node1`
      const layers = Storage.layer.pipe(
        Layer.provideMerge(Identity.layer),
        Layer.provide([
          DiskNode.layer,
          Metrics.layer,
          NodeConfig.layerTest({ dataDirectory, memtableBytesMax: 30_000 })
        ])
      )
      const cells = Array.from({ length: 500 }, (_, index) => cell(`k${String(index).padStart(3, "0")}`, index + 1))
      yield* Effect.gen(function*() {
        const storage = yield* Storage
        yield* Effect.all(cells.slice(0, 250).map((one) => storage.apply([one])), { concurrency: "unbounded" })
        yield* storage.flush
        yield* storage.apply(cells.slice(250))
        assert.isTrue((yield* Identity).fresh)
      }).pipe(Effect.provide(layers, { local: true }))
      yield* Effect.gen(function*() {
        const storage = yield* Storage
        assert.strictEqual((yield* Identity).generation, 2)
        for (const one of cells) assertCell(yield* storage.get(one.key), one)
        assert.isUndefined(yield* storage.get(key("absent")))
        assert.strictEqual((yield* collect(storage)).length, 500)
      }).pipe(Effect.provide(layers, { local: true }))
    }))
})

describe("DiskMemory", () => {
  const written = Effect.fnUntraced(function*(seed: number) {
    const memory = DiskMemory.make(seed)
    const handle = yield* memory.disk.openAppend("data/a")
    yield* handle.append(Buffer.from("synced"))
    yield* handle.sync
    yield* memory.disk.syncDirectory("data")
    yield* handle.append(Buffer.from("not synced"))
    return { memory, handle }
  })

  it.effect("keeps what was synced and loses more or less of the rest", () =>
    Effect.gen(function*() {
      const survivors = new Set<string>()
      for (let seed = 0; seed < 40; seed++) {
        const { memory } = yield* written(seed)
        memory.powerOff()
        memory.powerOn()
        const survivor = Bytes.utf8(memory.files().get("data/a")!)
        assert.isTrue(survivor.startsWith("synced"))
        survivors.add(survivor)
      }
      assert.isAbove(survivors.size, 8)
      assert.isTrue(survivors.has("syncednot synced"))
      assert.isTrue(Array.from(survivors).some((survivor) => survivor.includes("\0")), "pages arrive in any order")
    }))

  it.effect("loses a name whose directory was not synced, and brings a removed one back, for some seeds", () =>
    Effect.gen(function*() {
      const seen = new Set<string>()
      for (let seed = 0; seed < 20; seed++) {
        const { memory } = yield* written(seed)
        const fresh = yield* memory.disk.openAppend("data/b")
        yield* fresh.append(Buffer.from("b"))
        yield* fresh.sync
        yield* memory.disk.remove("data/a")
        memory.powerOff()
        memory.powerOn()
        seen.add(Array.from(memory.files().keys()).sort().join())
      }
      assert.deepStrictEqual(Array.from(seen).sort(), ["", "data/a", "data/a,data/b", "data/b"])
    }))

  it.effect("a sync covers what was there when it began: what comes meanwhile may be lost", () =>
    Effect.gen(function*() {
      const seen = new Set<string>()
      for (let seed = 0; seed < 20; seed++) {
        const { handle, memory } = yield* written(seed)
        yield* memory.syncs.close
        const syncing = yield* Effect.forkChild(handle.sync, { startImmediately: true })
        yield* handle.append(Buffer.from(", late"))
        yield* memory.syncs.open
        yield* Fiber.join(syncing)
        memory.powerOff()
        memory.powerOn()
        const survivor = Bytes.utf8(memory.files().get("data/a")!)
        assert.isTrue(survivor.startsWith("syncednot synced"))
        seen.add(survivor)
      }
      assert.isTrue(seen.has("syncednot synced") && seen.has("syncednot synced, late"))
    }))

  it.effect("a sync of a directory covers the names that were there when it began", () =>
    Effect.gen(function*() {
      const seen = new Set<string>()
      for (let seed = 0; seed < 20; seed++) {
        const { disk, powerOff, powerOn, setLatency, files } = DiskMemory.make(seed)
        yield* disk.openAppend("data/a")
        const latch = Latch.makeUnsafe(false)
        setLatency((operation) => operation === "syncDirectory" ? latch.await : Effect.void)
        const syncing = yield* Effect.forkChild(disk.syncDirectory("data"), { startImmediately: true })
        yield* disk.openAppend("data/b")
        yield* latch.open
        yield* Fiber.join(syncing)
        powerOff()
        powerOn()
        seen.add(Array.from(files().keys()).join())
      }
      assert.deepStrictEqual(seen, new Set(["data/a", "data/a,data/b"]))
    }))

  it.effect("fails everything while it is off, and handles of before for ever", () =>
    Effect.gen(function*() {
      const { handle, memory } = yield* written(1)
      const reading = yield* memory.disk.openRead("data/a")
      memory.powerOff()
      assert.isTrue(memory.isOff())
      assert.deepInclude(yield* Effect.flip(memory.disk.list("data")), { code: "EOFF" })
      memory.powerOn()
      assert.deepInclude(yield* Effect.flip(handle.append(Buffer.from("x"))), { code: "EBADF" })
      assert.deepInclude(yield* Effect.flip(handle.sync), { code: "EBADF" })
      assert.deepInclude(yield* Effect.flip(reading.read(0, 1)), { code: "EBADF" })
      assert.deepStrictEqual(yield* memory.disk.list("data"), ["a"])
    }))

  it.effect("may bring back what was cut from a file and not synced", () =>
    Effect.gen(function*() {
      const seen = new Set<string>()
      for (let seed = 0; seed < 20; seed++) {
        const { memory } = yield* written(seed)
        yield* memory.disk.openAppend("data/a", { empty: true })
        memory.powerOff()
        memory.powerOn()
        seen.add(memory.files().get("data/a")!.toString())
      }
      assert.deepStrictEqual(Array.from(seen).sort(), ["", "synced"])
    }))

  it.effect("without a crash a torn append leaves half of its bytes", () =>
    Effect.gen(function*() {
      const { handle, memory } = yield* written(1)
      memory.failNext("append", "data/a", "full")
      assert.strictEqual((yield* Effect.flip(handle.append(Buffer.from("1234"))))._tag, "DiskFull")
      assert.strictEqual(memory.files().get("data/a")!.toString(), "syncednot synced12")
      yield* handle.append(Buffer.from("5"))
    }))

  it.effect("layer gives each store its own", () =>
    Effect.gen(function*() {
      const first = yield* Effect.provide(Disk, DiskMemory.layer, { local: true })
      const second = yield* Effect.provide(Disk, DiskMemory.layer, { local: true })
      yield* writeAtomically(first, "data/a", Buffer.from("x"))
      assert.isUndefined(yield* second.readFile("data/a"))
    }))
})

it("directoryOf gives what stands before the last slash", () => {
  assert.deepStrictEqual(["data/a", "a", "/a", "/x/y/a"].map(directoryOf), ["data", ".", "/", "/x/y"])
})
