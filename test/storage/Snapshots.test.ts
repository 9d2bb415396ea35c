import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Scope } from "effect"
import { NodeConfig } from "../../src/config/NodeConfig.ts"
import { Disk } from "../../src/disk/Disk.ts"
import * as DiskMemory from "../../src/disk/DiskMemory.ts"
import { isName, Snapshots } from "../../src/storage/Snapshots.ts"
import { Storage } from "../../src/storage/Storage.ts"
import { inVirtualTime } from "../inVirtualTime.ts"
import { cell, directory, open } from "./store.ts"

/** A node's store and its snapshots, until the process ends. */
const start = Effect.fnUntraced(function*(memory: DiskMemory.DiskMemory) {
  const opened = yield* open(memory)
  const scope = yield* Scope.make()
  const snapshots = yield* Snapshots.pipe(
    Effect.provide(Snapshots.layer.pipe(Layer.provide([
      Layer.succeed(Disk, memory.disk),
      Layer.succeed(Storage, opened.storage),
      NodeConfig.layerTest({ dataDirectory: directory })
    ]))),
    Scope.provide(scope)
  )
  return { ...opened, snapshots, stop: Effect.andThen(Scope.close(scope, Exit.void), opened.close) }
})

const below = (memory: DiskMemory.DiskMemory, name: string) =>
  Array.from(memory.files().keys()).filter((path) => path.startsWith(`${directory}/snapshots/${name}/`))

describe("a node's snapshots", () => {
  inVirtualTime("are taken, listed with what is in them, and removed, by name", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const { snapshots, stop, storage } = yield* start(memory)
      assert.deepStrictEqual(yield* snapshots.list, [])
      yield* storage.apply([cell("a", 1), cell("b", 2)])
      const report = yield* snapshots.take("monday")
      assert.strictEqual(report.directory, `${directory}/snapshots/monday`)
      yield* storage.apply([cell("c", 3)])
      yield* snapshots.take("tuesday-1.2_x")
      const { bytes, cells, tables } = report
      const [monday, tuesday] = yield* snapshots.list
      assert.deepStrictEqual(monday, { name: "monday", state: "complete", tables, cells, bytes })
      assert.deepInclude(tuesday, { name: "tuesday-1.2_x", state: "complete", tables: 2, cells: 3 })
      yield* snapshots.remove("monday")
      assert.deepStrictEqual((yield* snapshots.list).map(({ name }) => name), ["tuesday-1.2_x"])
      assert.deepStrictEqual(below(memory, "monday"), [])
      yield* stop
    }))

  inVirtualTime("are refused by a name that is taken, unknown or no name", () =>
    Effect.gen(function*() {
      const { snapshots, stop } = yield* start(DiskMemory.make(1))
      yield* snapshots.take("a")
      assert.strictEqual((yield* Effect.flip(snapshots.take("a")))._tag, "SnapshotDirectoryTaken")
      assert.strictEqual((yield* Effect.flip(snapshots.remove("b"))).message, "there is no snapshot b")
      for (const name of ["../a", "", ".."]) {
        assert.strictEqual((yield* Effect.flip(snapshots.take(name)))._tag, "BadSnapshotName")
        assert.strictEqual((yield* Effect.flip(snapshots.remove(name)))._tag, "BadSnapshotName")
      }
      yield* stop
    }))

  it("have names that are a directory's and nothing else", () => {
    for (const name of ["a", "2026-11-22", "v1.2.3", "a_b", "-", "x".repeat(100)]) assert.isTrue(isName(name), name)
    for (const name of ["", ".", "..", ".a", "a.", "a..b", "a/b", "/a", "a\\b", "a b", "é", "a\n", "x".repeat(101)]) {
      assert.isFalse(isName(name), name)
    }
  })

  inVirtualTime(
    "survive a restart, which removes what a crash left of one, and nothing that is somebody's",
    () =>
      Effect.gen(function*() {
        const memory = DiskMemory.make(1)
        const first = yield* start(memory)
        yield* first.storage.apply([cell("a", 1)])
        yield* first.snapshots.take("whole")
        yield* first.stop
        const parent = `${directory}/snapshots`
        for (const name of ["cut/000001.sst", "cut/000001.idx", "cut/MANIFEST.tmp", "mine/000001.sst", "mine/notes"]) {
          yield* memory.disk.openAppend(`${parent}/${name}`)
        }
        const { snapshots, stop } = yield* start(memory)
        const states = (yield* snapshots.list).map(({ name, state }) => [name, state])
        assert.deepStrictEqual(states, [["mine", "incomplete"], ["whole", "complete"]])
        assert.deepStrictEqual(below(memory, "cut"), [])
        assert.strictEqual(below(memory, "mine").length, 2)
        memory.damage(`${parent}/whole/MANIFEST`, 3)
        assert.deepStrictEqual((yield* snapshots.list).map(({ state }) => state), ["incomplete", "damaged"])
        yield* stop
      })
  )

  inVirtualTime(
    "do not keep a node from starting when one cannot be looked at, and the others are looked after",
    () =>
      Effect.gen(function*() {
        const memory = DiskMemory.make(1)
        const parent = `${directory}/snapshots`
        for (const name of ["a", "b"]) yield* memory.disk.openAppend(`${parent}/${name}/000001.sst`)
        memory.failNext("list", `${parent}/a`)
        const { snapshots, stop } = yield* start(memory)
        assert.deepStrictEqual((yield* snapshots.list).map(({ name }) => name), ["a"])
        yield* stop
      })
  )

  inVirtualTime("are not removed while they are written", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const { snapshots, stop, storage } = yield* start(memory)
      yield* storage.apply([cell("a", 1)])
      const outcomes = yield* Effect.all([
        Effect.result(snapshots.take("a")),
        Effect.andThen(Effect.yieldNow, Effect.result(snapshots.remove("a")))
      ], { concurrency: "unbounded" })
      assert.deepStrictEqual(outcomes.map(({ _tag }) => _tag), ["Success", "Success"])
      assert.deepStrictEqual(below(memory, "a"), [])
      yield* stop
    }))
})
