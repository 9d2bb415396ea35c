import { assert, describe } from "@effect/vitest"
import { Effect, Exit, Fiber, Latch, Scope } from "effect"
import * as DiskMemory from "../../../src/disk/DiskMemory.ts"
import type { Cell } from "../../../src/domain/cell/Cell.ts"
import * as Engine from "../../../src/storage/Engine.ts"
import * as Snapshot from "../../../src/storage/snapshot/Snapshot.ts"
import type { Storage } from "../../../src/storage/Storage.ts"
import { inVirtualTime } from "../../inVirtualTime.ts"
import * as FaultyDisk from "../crashes/FaultyDisk.ts"
import { orGiveUp } from "../crashes/giveUp.ts"
import { cell, collect, crash, directory, open, openScoped, plain, tombstone, until } from "../store.ts"

const target = "snapshots/one"
const manifest = `${target}/MANIFEST`

const filesIn = (memory: DiskMemory.DiskMemory, parent: string) =>
  Array.from(memory.files().keys()).filter((path) => path.startsWith(`${parent}/`))

/** What a store in that directory holds. Nothing is written there, or the test fails. */
const contentsOf = Effect.fnUntraced(function*(memory: DiskMemory.DiskMemory, path: string) {
  const before = filesIn(memory, path)
  const scope = yield* Scope.make()
  const storage = yield* Engine.open(memory.disk, {
    directory: path,
    fsync: "always",
    memtableBytesMax: 1024 * 1024,
    blockCacheBytesMax: 0
  }).pipe(Scope.provide(scope))
  const cells = yield* collect(storage)
  yield* Scope.close(scope, Exit.void)
  assert.deepStrictEqual(filesIn(memory, path), before)
  return cells.map(plain)
})

const some: ReadonlyArray<Cell> = [cell("a", 1), cell("b", 2), tombstone("c", 3), cell("d", 4)]

/** A store with two tables and a memtable. */
const filled = Effect.fnUntraced(function*(storage: Storage["Service"]) {
  yield* storage.apply([cell("a", 0), cell("b", 0)])
  yield* storage.flush
  yield* storage.apply(some.slice(0, 2))
  yield* storage.flush
  yield* storage.apply(some.slice(2))
})

describe("a snapshot", () => {
  inVirtualTime("holds what was there, of memory too, whatever the store does next", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const storage = yield* openScoped(memory)
      yield* filled(storage)
      const report = yield* storage.snapshot(target)
      assert.strictEqual(report.tables, 3)
      assert.strictEqual(report.cells, 6)
      assert.strictEqual(report.bytesCopied, 0)
      assert.isAbove(report.bytes, 200)
      yield* storage.apply([cell("a", 10), tombstone("b", 11), cell("e", 12)])
      yield* storage.compact
      assert.deepStrictEqual(yield* contentsOf(memory, target), some.map(plain))
    }))

  inVirtualTime(
    "keeps its tables while a compaction replaces them, and lets them go afterwards",
    () =>
      Effect.gen(function*() {
        const memory = DiskMemory.make(1)
        const linksAllowed = Latch.makeUnsafe(false)
        const link: typeof memory.disk.link = (from, to) =>
          Effect.andThen(linksAllowed.await, memory.disk.link(from, to))
        const storage = yield* Engine.open({ ...memory.disk, link }, {
          directory,
          fsync: "always",
          memtableBytesMax: 1024 * 1024,
          blockCacheBytesMax: 0
        })
        yield* filled(storage)
        const fiber = yield* Effect.forkChild(storage.snapshot(target))
        yield* until(Effect.map(storage.stats, ({ flushes }) => flushes === 3))
        yield* storage.compact
        for (let turn = 0; turn < 200; turn++) yield* Effect.yieldNow
        linksAllowed.openUnsafe()
        yield* Fiber.join(fiber)
        assert.deepStrictEqual(yield* contentsOf(memory, target), some.map(plain))
        yield* until(
          Effect.sync(() => filesIn(memory, directory).filter((path) => path.endsWith(".sst")).length === 1)
        )
      })
  )

  inVirtualTime("of an empty store is one too", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const storage = yield* openScoped(memory)
      assert.strictEqual((yield* storage.snapshot(target)).tables, 0)
      assert.deepStrictEqual(yield* contentsOf(memory, target), [])
    }))

  inVirtualTime("has every call whole or not at all, and all that were answered before", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const storage = yield* openScoped(memory, { memtableBytesMax: 4000 })
      let answered = 0
      const write = Effect.gen(function*() {
        for (let call = 1; call <= 200; call++) {
          yield* storage.apply([cell("left", call), cell(`k${call % 13}`, call), cell("right", call)])
          answered = call
        }
      })
      const writer = yield* Effect.forkChild(write)
      const snapshots: Array<{ readonly path: string; readonly answeredBefore: number }> = []
      while (answered < 150) {
        const path = `snapshots/${snapshots.length}`
        snapshots.push({ path, answeredBefore: answered })
        yield* storage.snapshot(path)
      }
      yield* Fiber.join(writer)
      assert.isAbove(snapshots.length, 3)
      for (const { answeredBefore, path } of snapshots) {
        const cells = new Map((yield* contentsOf(memory, path)).map((one) => [one!.key, one!.version.counter]))
        const last = cells.get("left") ?? 0
        assert.isAtLeast(last, answeredBefore)
        assert.strictEqual(cells.get("right") ?? 0, last)
        for (let call = Math.max(1, last - 12); call <= last; call++) {
          assert.strictEqual(cells.get(`k${call % 13}`), call)
        }
      }
    }))

  inVirtualTime("refuses a directory that has something, which it leaves as it is", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const storage = yield* openScoped(memory)
      yield* filled(storage)
      const handle = yield* memory.disk.openAppend(`${target}/notes.txt`)
      yield* handle.append(Buffer.from("mine"))
      const error = yield* Effect.flip(storage.snapshot(target))
      assert.strictEqual(error._tag, "SnapshotDirectoryTaken")
      assert.strictEqual(error.message, `${target} is not empty: name a directory that does not exist yet`)
      assert.deepStrictEqual(filesIn(memory, target), [`${target}/notes.txt`])
    }))

  inVirtualTime("of two into one directory at once, one is made and the other refused", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const storage = yield* openScoped(memory)
      yield* filled(storage)
      const both = yield* Effect.all([1, 2].map(() => Effect.result(storage.snapshot(target))), {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(both.map(({ _tag }) => _tag).toSorted(), ["Failure", "Success"])
      assert.deepStrictEqual(yield* contentsOf(memory, target), some.map(plain))
    }))

  inVirtualTime(
    "keeps what is known to be lost, so that no older cell is taken for the newest",
    () =>
      Effect.gen(function*() {
        const memory = DiskMemory.make(1)
        const first = yield* open(memory)
        yield* filled(first.storage)
        yield* first.close
        memory.damage(`${directory}/000004.sst`, 5)
        const storage = yield* openScoped(memory)
        yield* Effect.ignore(collect(storage))
        yield* storage.compact
        const { holes } = yield* storage.stats
        assert.strictEqual(holes.length, 1)
        yield* storage.snapshot(target)
        const error = yield* Effect.flip(contentsOf(memory, target))
        assert.strictEqual(error._tag, "Corruption")
      })
  )
})

/** Snapshots with a disk that fails the operation of a number, until no operation has that number. */
const everyOperation = Effect.fnUntraced(function*(
  attempt: (number: number) => Effect.Effect<boolean, unknown>
) {
  let number = 1
  while (yield* attempt(number)) number++
  return number - 1
})

describe("a snapshot that is disturbed", () => {
  for (const fault of ["EIO", "full"] as const) {
    inVirtualTime(
      `leaves nothing behind when the disk answers ${fault}, at each of its operations`,
      () =>
        Effect.gen(function*() {
          const failures = yield* everyOperation(Effect.fnUntraced(function*(number) {
            const memory = DiskMemory.make(number)
            const faulty = FaultyDisk.make(memory.disk)
            const scope = yield* Scope.make()
            const storage = yield* Engine.open(faulty.disk, {
              directory,
              fsync: "always",
              memtableBytesMax: 1024 * 1024,
              blockCacheBytesMax: 0
            }).pipe(Scope.provide(scope))
            yield* filled(storage)
            const first = faulty.operations() + number
            faulty.setPlan(({ number }) => number === first ? fault : undefined)
            const outcome = yield* Effect.result(storage.snapshot(target))
            const reached = faulty.operations() >= first
            faulty.setPlan(() => undefined)
            // What the flusher repeats, or a fault that does not need space, harms nobody.
            if (outcome._tag === "Failure") {
              assert.isFalse(memory.files().has(manifest), `operation ${number}`)
              assert.deepStrictEqual(filesIn(memory, target), [], `operation ${number}`)
              yield* storage.snapshot(target)
            }
            assert.deepStrictEqual(yield* contentsOf(memory, target), some.map(plain), `operation ${number}`)
            yield* storage.compact
            assert.deepStrictEqual((yield* collect(storage)).map(plain), some.map(plain))
            yield* Scope.close(scope, Exit.void)
            return reached
          }))
          assert.isAtLeast(failures, 15)
        })
    )
  }

  inVirtualTime(
    "is whole or has no manifest when the power fails at any of its operations",
    () =>
      Effect.gen(function*() {
        const outcomes = { whole: 0, incomplete: 0 }
        yield* everyOperation(Effect.fnUntraced(function*(number) {
          const memory = DiskMemory.make(1000 + number)
          const opened = yield* open(memory)
          yield* filled(opened.storage)
          memory.powerOffAt(number)
          yield* Effect.exit(orGiveUp(opened.storage.snapshot(target), memory.isOff))
          const reached = memory.isOff()
          yield* crash(memory, opened)
          if (memory.files().has(manifest)) {
            assert.deepStrictEqual(yield* contentsOf(memory, target), some.map(plain), `operation ${number}`)
            outcomes.whole++
          } else outcomes.incomplete++
          const again = yield* open(memory)
          assert.deepStrictEqual((yield* collect(again.storage)).map(plain), some.map(plain), `operation ${number}`)
          yield* again.close
          return reached
        }))
        assert.isAtLeast(outcomes.incomplete, 10)
        assert.isAtLeast(outcomes.whole, 1)
      })
  )

  inVirtualTime("is never taken for whole while it is removed", () =>
    Effect.gen(function*() {
      const outcomes = { whole: 0, incomplete: 0 }
      yield* everyOperation(Effect.fnUntraced(function*(number) {
        const memory = DiskMemory.make(2000 + number)
        const opened = yield* open(memory)
        yield* filled(opened.storage)
        yield* opened.storage.snapshot(target)
        memory.powerOffAt(number)
        yield* Effect.exit(Snapshot.remove(memory.disk, target))
        const reached = memory.isOff()
        yield* crash(memory, opened)
        if (memory.files().has(manifest)) {
          assert.deepStrictEqual(yield* contentsOf(memory, target), some.map(plain), `operation ${number}`)
          outcomes.whole++
        } else outcomes.incomplete++
        return reached
      }))
      assert.isAtLeast(outcomes.incomplete, 1)
      assert.isAtLeast(outcomes.whole, 1)
    }))

  inVirtualTime("goes away when whoever asked for it leaves, and lets the tables go", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const storage = yield* openScoped(memory)
      yield* filled(storage)
      memory.syncs.closeUnsafe()
      const fiber = yield* Effect.forkChild(storage.snapshot(target))
      for (let turn = 0; turn < 50; turn++) yield* Effect.yieldNow
      memory.syncs.openUnsafe()
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(filesIn(memory, target), [])
      yield* storage.compact
      for (let turn = 0; turn < 200; turn++) yield* Effect.yieldNow
      assert.strictEqual(filesIn(memory, directory).filter((path) => path.endsWith(".sst")).length, 1)
    }))
})
