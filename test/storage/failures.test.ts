import { assert, describe } from "@effect/vitest"
import { Effect, Exit } from "effect"
import * as DiskMemory from "../../src/disk/DiskMemory.ts"
import { inVirtualTime } from "../inVirtualTime.ts"
import {
  accepted,
  assertAbsent,
  assertHolds,
  atOnce,
  cell,
  key,
  pathsOf,
  replacing,
  stage,
  superseded,
  until,
  withHandles,
  withSettings,
  withStore,
  writeTable
} from "./store.ts"

const logsOf = (memory: DiskMemory.DiskMemory) => pathsOf(memory, "wal-")

/** A disk on which the next append to a file whose path contains `armed` is a defect. */
const defective = () => {
  const fault: { armed: string | undefined } = { armed: undefined }
  const memory = withHandles(DiskMemory.make(1), (path, handle) => ({
    ...handle,
    append: (bytes) => {
      if (fault.armed === undefined || !path.includes(fault.armed)) return handle.append(bytes)
      fault.armed = undefined
      return Effect.die(new Error("a defect"))
    }
  }))
  return { fault, memory }
}

describe("a defect", () => {
  inVirtualTime("of the writer fails its round, and later writes succeed after a second", function*() {
    const { fault, memory } = defective()
    const { storage } = yield* stage({}, memory)
    yield* storage.apply([cell("a", 1)])
    fault.armed = "wal-"
    assert.isTrue(Exit.hasDies(yield* Effect.exit(storage.apply([cell("b", 2)]))))
    yield* storage.apply([cell("c", 3)])
    yield* assertHolds(storage, cell("c", 3))
  })

  inVirtualTime("of the flusher or the compactor stops neither", function*() {
    const { fault, memory } = defective()
    const { storage } = yield* stage({}, memory)
    for (const counter of [1, 2, 3]) {
      fault.armed = ".sst"
      yield* writeTable(storage, cell("a", counter))
      assert.isUndefined(fault.armed)
    }
    yield* writeTable(storage, cell("a", 4))
    fault.armed = ".sst"
    yield* Effect.sleep("10 seconds")
    assert.strictEqual((yield* storage.stats).tables, 1)
    assert.isUndefined(fault.armed)
    yield* assertHolds(storage, cell("a", 4))
  })
})

describe("a full disk", () => {
  withStore("refuses writes and serves reads until space returns", function*({ crash, memory, storage }) {
    yield* storage.apply([cell("a", 1)])
    memory.setFull(true)
    for (let attempt = 0; attempt < 5; attempt++) {
      assert.strictEqual((yield* Effect.flip(storage.apply([cell("b", 2)])))._tag, "DiskFull")
    }
    assert.isUndefined(yield* storage.get(key("b")), "a refused cell is not visible")
    yield* assertHolds(storage, cell("a", 1))
    assert.strictEqual((yield* storage.stats).refusing?._tag, "DiskFull")
    assert.strictEqual(logsOf(memory).length, 1, "attempts leave no files behind")
    memory.setFull(false)
    yield* storage.apply([cell("b", 3)])
    assert.isUndefined((yield* storage.stats).refusing)
    yield* assertHolds(yield* crash, cell("a", 1), cell("b", 3))
  })

  withStore("still answers what needs no space: superseded cells and retries", function*({ memory, storage }) {
    yield* storage.apply([cell("a", 5)])
    memory.setFull(true)
    const calls = [cell("a", 4), cell("a", 5), cell("b", 6)].map((one) => Effect.exit(storage.apply([one])))
    const [older, retried, refused] = yield* atOnce(calls)
    assert.deepStrictEqual([older, retried], [Exit.succeed([superseded(5)]), Exit.succeed([accepted])])
    assert.include(String(refused), "DiskFull")
  })

  withSettings({ memtableBytesMax: 2000 })(
    "refuses writes when memory is full and cannot be flushed, until space returns",
    function*({ memory, storage }) {
      for (let flush = 0; flush < 50; flush++) memory.failNext("openAppend", ".sst", "full")
      const filling = Effect.gen(function*() {
        for (let index = 0; index < 100; index++) yield* storage.apply([cell(`k${index}`, index + 1)])
      })
      assert.strictEqual((yield* Effect.flip(filling))._tag, "DiskFull")
      assert.strictEqual((yield* storage.stats).refusing?._tag, "DiskFull")
      yield* assertHolds(storage, cell("k0", 1))
      yield* Effect.sleep("1 minute")
      yield* until(Effect.map(storage.stats, ({ flushes }) => flushes >= 1))
      yield* storage.apply([cell("again", 1000)])
      assert.isUndefined((yield* storage.stats).refusing)
    }
  )
})

describe("I/O errors", () => {
  withStore("a failed sync loses its round, and the next goes to a new log", function*({ crash, memory, storage }) {
    yield* storage.apply([cell("a", 1)])
    memory.failNext("sync", "wal-")
    const error = yield* Effect.flip(storage.apply([cell("a", 2), cell("b", 2)]))
    assert.deepInclude(error, { _tag: "DiskError", code: "EIO" })
    yield* assertHolds(storage, cell("a", 1))
    yield* assertAbsent(storage, "b")
    const [brokenLog] = logsOf(memory)
    const brokenBytes = memory.files().get(brokenLog!)!.length
    yield* storage.apply([cell("b", 3)])
    assert.strictEqual(memory.files().get(brokenLog!)!.length, brokenBytes, "the broken log takes nothing more")
    assert.strictEqual(logsOf(memory).length, 2)
    const reopened = yield* crash
    assert.isAtLeast((yield* reopened.version(key("a")))!.counter, 1)
    yield* assertHolds(reopened, cell("b", 3))
  })

  withStore("cells of a failed round supersede nothing afterwards", function*({ memory, storage }) {
    yield* storage.apply([cell("a", 1)])
    memory.failNext("sync", "wal-")
    yield* Effect.flip(storage.apply([cell("a", 9), cell("b", 9), cell("b", 10)]))
    assert.strictEqual((yield* storage.stats).memtableCells, 1)
    assert.deepStrictEqual(yield* storage.apply([cell("a", 2), cell("b", 2)]), [replacing, accepted])
    yield* storage.flush
    yield* assertHolds(storage, cell("a", 2), cell("b", 2))
  })

  withStore("a log that never took a cell is removed when its sync fails", function*({ memory, storage }) {
    for (let attempt = 0; attempt < 4; attempt++) {
      memory.failNext("sync", "wal-")
      yield* Effect.flip(storage.apply([cell("a", 1)]))
    }
    yield* storage.apply([cell("a", 2)])
    assert.strictEqual(logsOf(memory).length, 1)
  })

  withStore("a half-written append is cut off, and the log stays in use", function*({ crash, memory, storage }) {
    yield* storage.apply([cell("a", 1)])
    memory.failNext("append", "wal-")
    assert.strictEqual((yield* Effect.flip(storage.apply([cell("b", 2)])))._tag, "DiskError")
    yield* storage.apply([cell("c", 3)])
    assert.strictEqual(logsOf(memory).length, 1)
    const reopened = yield* crash
    yield* assertHolds(reopened, cell("a", 1), cell("c", 3))
    yield* assertAbsent(reopened, "b")
  })

  withStore("a half-written append that cannot be cut off ends the log", function*({ crash, memory, storage }) {
    yield* storage.apply([cell("a", 1)])
    memory.failNext("append", "wal-")
    memory.failNext("truncate", "wal-")
    yield* Effect.flip(storage.apply([cell("b", 2)]))
    yield* storage.apply([cell("c", 3)])
    assert.strictEqual(logsOf(memory).length, 2)
    yield* assertHolds(yield* crash, cell("a", 1), cell("c", 3))
  })

  for (
    const [path, operations] of [
      [".sst", ["openAppend", "append", "sync"]],
      [".idx", ["append", "sync", "readFile"]],
      ["MANIFEST", ["append", "sync", "rename"]],
      ["data", ["syncDirectory"]]
    ] as const
  ) {
    for (const operation of operations) {
      withStore(
        `a flush reports a failed ${operation} of ${path} and is repeated`,
        function*({ crash, memory, storage }) {
          yield* storage.apply([cell("a", 1)])
          memory.failNext(operation, path)
          assert.strictEqual((yield* Effect.flip(storage.flush))._tag, "DiskError")
          yield* assertHolds(storage, cell("a", 1))
          yield* storage.apply([cell("b", 2)])
          yield* Effect.sleep("1 seconds")
          yield* until(Effect.map(storage.stats, ({ tables }) => tables === 1))
          yield* assertHolds(storage, cell("a", 1))
          yield* assertHolds(yield* crash, cell("a", 1), cell("b", 2))
        }
      )
    }
  }

  withStore("a failed compaction changes nothing and is tried again", function*({ memory, storage }) {
    for (let counter = 1; counter <= 4; counter++) {
      if (counter === 4) memory.failNext("append", "000009.sst")
      yield* writeTable(storage, cell("a", counter))
    }
    yield* Effect.sleep("4 seconds")
    assert.strictEqual((yield* storage.stats).tables, 4)
    yield* assertHolds(storage, cell("a", 4))
    yield* Effect.sleep("1 seconds")
    yield* until(Effect.map(storage.stats, ({ tables }) => tables === 1))
    yield* assertHolds(storage, cell("a", 4))
  })

  withStore("a call with a cell that cannot be decided changes nothing", function*({ memory, storage }) {
    yield* writeTable(storage, cell("a", 1), cell("b", 1))
    memory.failNext("read", ".sst")
    const calls = [[cell("new", 2), cell("a", 2), cell("b", 2)], [cell("else", 3)]]
    const [failed, other] = yield* atOnce(calls.map((cells) => Effect.exit(storage.apply(cells))))
    assert.isTrue(Exit.isFailure(failed!))
    assert.deepStrictEqual(other, Exit.succeed([accepted]))
    yield* assertHolds(storage, cell("a", 1), cell("b", 1), cell("else", 3))
    yield* assertAbsent(storage, "new")
  })
})
