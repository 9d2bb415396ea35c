import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Latch, Scope } from "effect"
import { fork } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { directoryOf, Disk, writeAtomically } from "../../src/disk/Disk.ts"
import * as DiskMemory from "../../src/disk/DiskMemory.ts"
import * as DiskNode from "../../src/disk/DiskNode.ts"
import * as Bytes from "../../src/domain/bytes.ts"
import { inVirtualTime } from "../inVirtualTime.ts"

const temporaryDirectory = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "rondo-test-"))),
  (directory) => Effect.sync(() => fs.rmSync(directory, { recursive: true }))
)

interface OnDisk {
  readonly disk: Disk["Service"]
  readonly directory: string
}

const inMemory = Effect.sync((): OnDisk => ({ disk: DiskMemory.make(1).disk, directory: "data" }))

const onDisk = Effect.gen(function*() {
  const on: OnDisk = { disk: yield* Effect.provide(Disk, DiskNode.layer), directory: yield* temporaryDirectory }
  return on
})

/** Declares tests on a disk. */
const testsOn =
  (make: Effect.Effect<OnDisk, never, Scope.Scope>) =>
  (name: string, body: (on: OnDisk) => Generator<Effect.Effect<unknown, unknown, Scope.Scope>, void, never>) =>
    it.effect(name, () =>
      Effect.gen(function*() {
        const on = yield* make
        yield* Effect.gen(() => body(on))
      }))

for (const [name, test] of [["DiskMemory", testsOn(inMemory)], ["DiskNode", testsOn(onDisk)]] as const) {
  describe(`${name} as a disk`, () => {
    test("appends, reads at any place, and knows the size", function*({ directory, disk }) {
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
    })

    test("goes on behind what a file held, or empties it", function*({ directory, disk }) {
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
    })

    test(
      "lists, renames and removes names; what is missing is no error where that is harmless",
      function*({ directory, disk }) {
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
      }
    )

    test("replaces a small file in one step", function*({ directory, disk }) {
      for (const text of ["first, longer", "second"]) {
        yield* writeAtomically(disk, `${directory}/state`, Buffer.from(text))
        assert.strictEqual((yield* disk.readFile(`${directory}/state`))!.toString(), text)
      }
      assert.deepStrictEqual(yield* disk.list(directory), ["state"])
    })

    test("lets one store at a time into a directory", function*({ directory, disk }) {
      const scope = yield* Scope.make()
      yield* Scope.provide(disk.lock(directory), scope)
      assert.strictEqual((yield* Effect.flip(Effect.scoped(disk.lock(directory))))._tag, "DirectoryLocked")
      yield* Scope.close(scope, Exit.void)
      yield* Effect.scoped(disk.lock(directory))
    })
  })
}

describe("DiskNode", () => {
  const onNode = testsOn(onDisk)

  onNode("makes directories with their parents", function*({ directory, disk }) {
    yield* disk.makeDirectory(`${directory}/a/b/c`)
    yield* disk.makeDirectory(`${directory}/a/b/c`)
    assert.isTrue(fs.statSync(`${directory}/a/b/c`).isDirectory())
  })

  onNode("tells a full disk from other errors", function*({ directory, disk }) {
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
  })

  onNode("keeps another process out, and a killed one does not leave its lock behind", function*({ directory, disk }) {
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
  })
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

  type Written = Effect.Success<ReturnType<typeof written>>

  /** The different results of power failures. */
  const survivors = Effect.fnUntraced(function*<E>(
    seeds: number,
    act: (on: Written) => Effect.Effect<void, E>,
    left: (memory: DiskMemory.DiskMemory) => string
  ) {
    const seen = new Set<string>()
    for (let seed = 0; seed < seeds; seed++) {
      const on = yield* written(seed)
      yield* act(on)
      on.memory.powerOff()
      on.memory.powerOn()
      seen.add(left(on.memory))
    }
    return Array.from(seen).sort()
  })

  const textOf = (memory: DiskMemory.DiskMemory) => Bytes.utf8(memory.files().get("data/a")!)
  const namesOf = (memory: DiskMemory.DiskMemory) => Array.from(memory.files().keys()).sort().join()

  inVirtualTime("keeps synced bytes and loses more or less of the rest", function*() {
    const seen = yield* survivors(40, () => Effect.void, textOf)
    assert.isTrue(seen.every((text) => text.startsWith("synced")))
    assert.isAbove(seen.length, 8)
    assert.include(seen, "syncednot synced")
    assert.isTrue(seen.some((text) => text.includes("\0")), "pages arrive in any order")
  })

  inVirtualTime("may lose a name whose directory was not synced, and may bring back a removed one", function*() {
    const act = Effect.fnUntraced(function*({ memory }: Written) {
      const fresh = yield* memory.disk.openAppend("data/b")
      yield* fresh.append(Buffer.from("b"))
      yield* fresh.sync
      yield* memory.disk.remove("data/a")
    })
    assert.deepStrictEqual(yield* survivors(20, act, namesOf), ["", "data/a", "data/a,data/b", "data/b"])
  })

  inVirtualTime("may lose bytes that arrive during a sync", function*() {
    const act = Effect.fnUntraced(function*({ handle, memory }: Written) {
      yield* memory.syncs.close
      const syncing = yield* Effect.forkChild(handle.sync, { startImmediately: true })
      yield* handle.append(Buffer.from(", late"))
      yield* memory.syncs.open
      yield* Fiber.join(syncing)
    })
    const seen = yield* survivors(20, act, textOf)
    assert.isTrue(seen.every((text) => text.startsWith("syncednot synced")))
    assert.includeMembers(seen, ["syncednot synced", "syncednot synced, late"])
  })

  inVirtualTime("may lose names that arrive during a sync of their directory", function*() {
    const act = Effect.fnUntraced(function*({ memory }: Written) {
      yield* memory.disk.openAppend("data/b")
      const latch = Latch.makeUnsafe(false)
      memory.setLatency((operation) => operation === "syncDirectory" ? latch.await : Effect.void)
      const syncing = yield* Effect.forkChild(memory.disk.syncDirectory("data"), { startImmediately: true })
      yield* memory.disk.openAppend("data/c")
      yield* latch.open
      yield* Fiber.join(syncing)
    })
    assert.deepStrictEqual(yield* survivors(20, act, namesOf), ["data/a,data/b", "data/a,data/b,data/c"])
  })

  inVirtualTime("fails everything while it is off, and old handles for ever", function*() {
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
  })

  inVirtualTime("may bring back bytes that were cut off and not synced", function*() {
    const act = ({ memory }: Written) => Effect.asVoid(memory.disk.openAppend("data/a", { empty: true }))
    assert.deepStrictEqual(yield* survivors(20, act, textOf), ["", "synced"])
  })

  inVirtualTime("without a crash a torn append leaves half of its bytes", function*() {
    const { handle, memory } = yield* written(1)
    memory.failNext("append", "data/a", "full")
    assert.strictEqual((yield* Effect.flip(handle.append(Buffer.from("1234"))))._tag, "DiskFull")
    assert.strictEqual(memory.files().get("data/a")!.toString(), "syncednot synced12")
    yield* handle.append(Buffer.from("5"))
  })

  inVirtualTime("layer gives each store its own", function*() {
    const first = yield* Effect.provide(Disk, DiskMemory.layer, { local: true })
    const second = yield* Effect.provide(Disk, DiskMemory.layer, { local: true })
    yield* writeAtomically(first, "data/a", Buffer.from("x"))
    assert.isUndefined(yield* second.readFile("data/a"))
  })
})

it("directoryOf gives what stands before the last slash", () => {
  assert.deepStrictEqual(["data/a", "a", "/a", "/x/y/a"].map(directoryOf), ["data", ".", "/", "/x/y"])
})
