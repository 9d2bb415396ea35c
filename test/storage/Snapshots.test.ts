import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Scope } from "effect"
import { NodeConfig } from "../../src/config/NodeConfig.ts"
import { Disk } from "../../src/disk/Disk.ts"
import * as DiskMemory from "../../src/disk/DiskMemory.ts"
import { isName, Snapshots } from "../../src/storage/Snapshots.ts"
import { Storage } from "../../src/storage/Storage.ts"
import { inVirtualTime } from "../inVirtualTime.ts"
import { cell, directory, pathsOf, stage } from "./store.ts"

/** A node's store and its snapshots, until the process ends. */
const start = Effect.fnUntraced(function*(memory = DiskMemory.make(1)) {
  const { close, storage } = yield* stage({}, memory)
  const layer = Snapshots.layer.pipe(Layer.provide([
    Layer.succeed(Disk, memory.disk),
    Layer.succeed(Storage, storage),
    NodeConfig.layerTest({ dataDirectory: directory })
  ]))
  const scope = yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))
  const snapshots = Context.get(yield* Layer.buildWithScope(layer, scope), Snapshots)
  return { memory, storage, snapshots, stop: Effect.andThen(Scope.close(scope, Exit.void), close) }
})

const parent = `${directory}/snapshots`

const below = (memory: DiskMemory.DiskMemory, name: string) => pathsOf(memory, `${parent}/${name}/`)

describe("a node's snapshots", () => {
  inVirtualTime("are taken, listed with their contents, and removed by name", function*() {
    const { memory, snapshots, storage } = yield* start()
    assert.deepStrictEqual(yield* snapshots.list, [])
    yield* storage.apply([cell("a", 1), cell("b", 2)])
    const report = yield* snapshots.take("monday")
    assert.strictEqual(report.directory, `${parent}/monday`)
    yield* storage.apply([cell("c", 3)])
    yield* snapshots.take("tuesday-1.2_x")
    const { bytes, cells, tables } = report
    const [monday, tuesday] = yield* snapshots.list
    assert.deepStrictEqual(monday, { name: "monday", state: "complete", tables, cells, bytes })
    assert.deepInclude(tuesday, { name: "tuesday-1.2_x", state: "complete", tables: 2, cells: 3 })
    yield* snapshots.remove("monday")
    assert.deepStrictEqual((yield* snapshots.list).map(({ name }) => name), ["tuesday-1.2_x"])
    assert.deepStrictEqual(below(memory, "monday"), [])
  })

  inVirtualTime("are refused if the name is taken, unknown or invalid", function*() {
    const { snapshots } = yield* start()
    yield* snapshots.take("a")
    assert.strictEqual((yield* Effect.flip(snapshots.take("a")))._tag, "SnapshotDirectoryTaken")
    assert.strictEqual((yield* Effect.flip(snapshots.remove("b"))).message, "there is no snapshot b")
    for (const name of ["../a", "", ".."]) {
      assert.strictEqual((yield* Effect.flip(snapshots.take(name)))._tag, "BadSnapshotName")
      assert.strictEqual((yield* Effect.flip(snapshots.remove(name)))._tag, "BadSnapshotName")
    }
  })

  it("have names that are names of one directory", () => {
    for (const name of ["a", "2026-11-22", "v1.2.3", "a_b", "-", "x".repeat(100)]) assert.isTrue(isName(name), name)
    for (const name of ["", ".", "..", ".a", "a.", "a..b", "a/b", "/a", "a\\b", "a b", "é", "a\n", "x".repeat(101)]) {
      assert.isFalse(isName(name), name)
    }
  })

  inVirtualTime("survive a restart, which removes the remains of an unfinished one and nothing else", function*() {
    const { memory, ...first } = yield* start()
    yield* first.storage.apply([cell("a", 1)])
    yield* first.snapshots.take("whole")
    yield* first.stop
    for (const name of ["cut/000001.sst", "cut/000001.idx", "cut/MANIFEST.tmp", "mine/000001.sst", "mine/notes"]) {
      yield* memory.disk.openAppend(`${parent}/${name}`)
    }
    const { snapshots } = yield* start(memory)
    const states = (yield* snapshots.list).map(({ name, state }) => [name, state])
    assert.deepStrictEqual(states, [["mine", "incomplete"], ["whole", "complete"]])
    assert.deepStrictEqual(below(memory, "cut"), [])
    assert.strictEqual(below(memory, "mine").length, 2)
    memory.damage(`${parent}/whole/MANIFEST`, 3)
    assert.deepStrictEqual((yield* snapshots.list).map(({ state }) => state), ["incomplete", "damaged"])
  })

  inVirtualTime("do not keep a node from starting when one of them cannot be read", function*() {
    const memory = DiskMemory.make(1)
    for (const name of ["a", "b"]) yield* memory.disk.openAppend(`${parent}/${name}/000001.sst`)
    memory.failNext("list", `${parent}/a`)
    const { snapshots } = yield* start(memory)
    assert.deepStrictEqual((yield* snapshots.list).map(({ name }) => name), ["a"])
  })

  inVirtualTime("are not removed while they are written", function*() {
    const { memory, snapshots, storage } = yield* start()
    yield* storage.apply([cell("a", 1)])
    yield* Effect.all([snapshots.take("a"), Effect.andThen(Effect.yieldNow, snapshots.remove("a"))], {
      concurrency: "unbounded"
    })
    assert.deepStrictEqual(below(memory, "a"), [])
  })
})
