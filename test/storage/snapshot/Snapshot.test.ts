import { assert, describe } from "@effect/vitest"
import { Effect, Fiber, Latch } from "effect"
import * as DiskMemory from "../../../src/disk/DiskMemory.ts"
import type { Cell } from "../../../src/domain/cell/Cell.ts"
import * as Snapshot from "../../../src/storage/snapshot/Snapshot.ts"
import type { Storage } from "../../../src/storage/Storage.ts"
import { inVirtualTime } from "../../inVirtualTime.ts"
import * as FaultyDisk from "../crashes/FaultyDisk.ts"
import {
  atOnce,
  cell,
  collect,
  contentsOf,
  directory,
  open,
  pathsOf,
  plain,
  stage,
  tombstone,
  until,
  withSettings,
  withStore,
  writeTable
} from "../store.ts"
import { powerOffEverywhere } from "./powerOffEverywhere.ts"

const target = "snapshots/one"

const some: ReadonlyArray<Cell> = [cell("a", 1), cell("b", 2), tombstone("c", 3), cell("d", 4)]

/** A store with two tables and a memtable. */
const filled = Effect.fnUntraced(function*(storage: Storage["Service"]) {
  yield* writeTable(storage, cell("a", 0), cell("b", 0))
  yield* writeTable(storage, ...some.slice(0, 2))
  yield* storage.apply(some.slice(2))
})

describe("a snapshot", () => {
  withStore("holds what the store held, memory too, at the moment of the call", function*({ memory, storage }) {
    yield* filled(storage)
    const report = yield* storage.snapshot(target)
    assert.deepInclude(report, { tables: 3, cells: 6, bytesCopied: 0 })
    assert.isAbove(report.bytes, 200)
    yield* storage.apply([cell("a", 10), tombstone("b", 11), cell("e", 12)])
    yield* storage.compact
    assert.deepStrictEqual(yield* contentsOf(memory, target), some.map(plain))
  })

  inVirtualTime("keeps its tables while a compaction replaces them, and releases them afterwards", function*() {
    const memory = DiskMemory.make(1)
    const linksAllowed = Latch.makeUnsafe(false)
    const link: typeof memory.disk.link = (from, to) => Effect.andThen(linksAllowed.await, memory.disk.link(from, to))
    const { storage } = yield* stage({ blockCacheBytesMax: 0 }, { ...memory, disk: { ...memory.disk, link } })
    yield* filled(storage)
    const fiber = yield* Effect.forkChild(storage.snapshot(target))
    yield* until(Effect.map(storage.stats, ({ flushes }) => flushes === 3))
    yield* storage.compact
    yield* Effect.sleep("1 second")
    linksAllowed.openUnsafe()
    yield* Fiber.join(fiber)
    assert.deepStrictEqual(yield* contentsOf(memory, target), some.map(plain))
    yield* Effect.sleep("1 second")
    assert.strictEqual(pathsOf(memory, `${directory}/`).filter((path) => path.endsWith(".sst")).length, 1)
  })

  withStore("of an empty store is one too", function*({ memory, storage }) {
    assert.strictEqual((yield* storage.snapshot(target)).tables, 0)
    assert.deepStrictEqual(yield* contentsOf(memory, target), [])
  })

  const withSmallMemtable = withSettings({ memtableBytesMax: 4000 })

  withSmallMemtable("has all cells of a call or none, and all earlier calls", function*({ memory, storage }) {
    let answered = 0
    const write = Effect.gen(function*() {
      for (let call = 1; call <= 200; call++) {
        yield* storage.apply([cell("left", call), cell(`k${call % 13}`, call), cell("right", call)])
        answered = call
      }
    })
    const writer = yield* Effect.forkChild(write)
    const answeredBefore: Array<number> = []
    while (answered < 150) {
      answeredBefore.push(answered)
      yield* storage.snapshot(`snapshots/${answeredBefore.length}`)
    }
    yield* Fiber.join(writer)
    assert.isAbove(answeredBefore.length, 3)
    for (const [index, before] of answeredBefore.entries()) {
      const cells = yield* contentsOf(memory, `snapshots/${index + 1}`)
      const counters = new Map(cells.map((one) => [one!.key, one!.version.counter]))
      const last = counters.get("left") ?? 0
      assert.isAtLeast(last, before)
      assert.strictEqual(counters.get("right") ?? 0, last)
      for (let call = Math.max(1, last - 12); call <= last; call++) {
        assert.strictEqual(counters.get(`k${call % 13}`), call)
      }
    }
  })

  withStore("refuses a directory that is not empty, and does not change it", function*({ memory, storage }) {
    yield* filled(storage)
    const handle = yield* memory.disk.openAppend(`${target}/notes.txt`)
    yield* handle.append(Buffer.from("mine"))
    const error = yield* Effect.flip(storage.snapshot(target))
    assert.strictEqual(error._tag, "SnapshotDirectoryTaken")
    assert.strictEqual(error.message, `${target} is not empty: name a directory that does not exist yet`)
    assert.deepStrictEqual(pathsOf(memory, target), [`${target}/notes.txt`])
  })

  withStore("of two into one directory at the same time, one is refused", function*({ memory, storage }) {
    yield* filled(storage)
    const both = yield* atOnce([1, 2].map(() => Effect.result(storage.snapshot(target))))
    assert.deepStrictEqual(both.map(({ _tag }) => _tag).toSorted(), ["Failure", "Success"])
    assert.deepStrictEqual(yield* contentsOf(memory, target), some.map(plain))
  })

  withStore("keeps holes, so that no older cell is taken for the newest", function*({ memory, storage }) {
    yield* filled(storage)
    memory.damage(`${directory}/000004.sst`, 5)
    yield* Effect.ignore(collect(storage))
    yield* storage.compact
    assert.strictEqual((yield* storage.stats).holes.length, 1)
    yield* storage.snapshot(target)
    assert.strictEqual((yield* Effect.flip(contentsOf(memory, target)))._tag, "Corruption")
  })
})

describe("a snapshot that is disturbed", () => {
  for (const fault of ["EIO", "full"] as const) {
    inVirtualTime(`leaves nothing behind when the disk answers ${fault}, at each of its operations`, function*() {
      let number = 1
      for (let isReached = true; isReached; number++) {
        const memory = DiskMemory.make(number)
        const faulty = FaultyDisk.make(memory.disk)
        const { close, storage } = yield* open(faulty, { blockCacheBytesMax: 0 })
        yield* filled(storage)
        const at = faulty.operations() + number
        faulty.setPlan((operation) => operation.number === at ? fault : undefined)
        const outcome = yield* Effect.result(storage.snapshot(target))
        isReached = faulty.operations() >= at
        faulty.setPlan(() => undefined)
        // The flusher repeats an operation, and some operations need no space.
        if (outcome._tag === "Failure") {
          assert.deepStrictEqual(pathsOf(memory, target), [], `operation ${number}`)
          yield* storage.snapshot(target)
        }
        assert.deepStrictEqual(yield* contentsOf(memory, target), some.map(plain), `operation ${number}`)
        yield* storage.compact
        assert.deepStrictEqual((yield* collect(storage)).map(plain), some.map(plain))
        yield* close
      }
      assert.isAbove(number, 15)
    })
  }

  inVirtualTime("makes the name of its own directory durable", function*() {
    const memory = DiskMemory.make(1)
    const synced: Array<string> = []
    const syncDirectory = (path: string) => {
      synced.push(path)
      return memory.disk.syncDirectory(path)
    }
    const { storage } = yield* stage({}, { ...memory, disk: { ...memory.disk, syncDirectory } })
    yield* filled(storage)
    yield* storage.snapshot(target)
    assert.strictEqual(synced.at(-1), "snapshots")
  })

  inVirtualTime("is never taken for complete while it is removed", function*() {
    const prepare = Effect.fnUntraced(function*(memory: DiskMemory.DiskMemory) {
      const { close, storage } = yield* open(memory)
      yield* filled(storage)
      yield* storage.snapshot(target)
      yield* close
    })
    const incomplete = yield* powerOffEverywhere(prepare, ({ disk }) => Snapshot.remove(disk, target), target, some)
    assert.isAtLeast(incomplete, 1)
  })

  withStore("is removed when its caller is interrupted, and releases its tables", function*({ memory, storage }) {
    yield* filled(storage)
    memory.syncs.closeUnsafe()
    const fiber = yield* Effect.forkChild(storage.snapshot(target))
    for (let turn = 0; turn < 50; turn++) yield* Effect.yieldNow
    memory.syncs.openUnsafe()
    yield* Fiber.interrupt(fiber)
    assert.deepStrictEqual(pathsOf(memory, target), [])
    yield* storage.compact
    yield* Effect.sleep("1 second")
    assert.strictEqual(pathsOf(memory, ".sst").length, 1)
  })
})
