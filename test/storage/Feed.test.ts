import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Latch, Schema } from "effect"
import * as DiskMemory from "../../src/disk/DiskMemory.ts"
import type { Cell } from "../../src/domain/cell/Cell.ts"
import type * as Version from "../../src/domain/Version.ts"
import * as Follower from "../../src/simulation/Follower.ts"
import type { Change } from "../../src/storage/Feed.ts"
import { inVirtualTime, run } from "../inVirtualTime.ts"
import { accepted, cell, numbered, pathsOf, stage, tombstone, withSettings, withStore, writeTable } from "./store.ts"

/** A short form of a change. */
const brief = (change: Change): string => {
  switch (change._tag) {
    case "Applied":
      return `${change.cell.key} ${nameOf(change.before)} -> ${nameOf(change.cell.version)}`
    case "Purged":
      return `${change.key} ${nameOf(change.before)} -> gone`
    case "Lost":
      return `lost ${change.from} to ${change.to}`
    case "Missed":
      return "missed"
  }
}

const nameOf = (version: Version.Version | "unknown" | undefined) =>
  version === undefined ? "nothing" : version === "unknown" ? version : String(version.counter)

describe("the feed", () => {
  const withoutReplaced = withSettings({ tellsReplaced: false })

  withStore("gives each visible change once, in order, with the previous version", function*({ memory, storage }) {
    yield* writeTable(storage, cell("table", 1), cell("other", 1))
    const changes = yield* storage.changes()
    yield* storage.apply([cell("new", 2), cell("table", 3), cell("new", 4)])
    yield* storage.apply([cell("table", 2)])
    yield* storage.apply([tombstone("table", 5)])
    yield* writeTable(storage, tombstone("table", 5))
    yield* storage.apply([cell("table", 6)])
    const found = changes.takeNow()
    assert.deepStrictEqual(found.map(brief), ["new nothing -> 4", "table 1 -> 3", "table 3 -> 5", "table 5 -> 6"])
    assert.deepStrictEqual(found.map(({ sequence }) => sequence), [3, 4, 5, 6])
    memory.setFull(true)
    yield* Effect.flip(storage.apply([cell("refused", 7)]))
    assert.deepStrictEqual(changes.takeNow(), [])
  })

  withStore("wakes a waiting subscriber once a round is complete", function*({ storage }) {
    const changes = yield* storage.changes()
    const taker = yield* Effect.forkChild(changes.take, { startImmediately: true })
    yield* storage.apply([cell("a", 1), cell("b", 1)])
    assert.deepStrictEqual((yield* Fiber.join(taker)).map(brief), ["a nothing -> 1", "b nothing -> 1"])
  })

  withoutReplaced("looks up what a cell replaces, even without `tellsReplaced`", function*({ storage }) {
    yield* writeTable(storage, cell("a", 1))
    const changes = yield* storage.changes()
    yield* storage.apply([cell("a", 2), cell("b", 3)])
    assert.deepStrictEqual(changes.takeNow().map(brief), ["a 1 -> 2", "b nothing -> 3"])
  })

  withoutReplaced(
    "does not know what a cell replaced that was decided before anybody followed",
    function*({ memory, storage }) {
      yield* writeTable(storage, cell("a", 1))
      memory.syncs.closeUnsafe()
      const writing = yield* Effect.forkChild(storage.apply([cell("a", 2)]))
      yield* Effect.sleep("1 second")
      const changes = yield* storage.changes()
      memory.syncs.openUnsafe()
      yield* Fiber.join(writing)
      assert.deepStrictEqual(changes.takeNow().map(brief), ["a unknown -> 2"])
    }
  )

  withStore("drops what a slow subscriber has not taken, and says so; writers do not wait", function*({ storage }) {
    const few = yield* storage.changes({ changesMax: 3 })
    const small = yield* storage.changes({ bytesMax: 5000 })
    const patient = yield* storage.changes()
    for (let counter = 1; counter <= 4; counter++) yield* storage.apply([cell("a", counter, "x".repeat(1000))])
    assert.deepStrictEqual(few.takeNow(), [{ _tag: "Missed", sequence: 4 }])
    assert.deepStrictEqual(small.takeNow(), [{ _tag: "Missed", sequence: 4 }])
    assert.lengthOf(patient.takeNow(), 4)
    yield* storage.apply([cell("a", 5)])
    assert.deepStrictEqual(few.takeNow().map(brief), ["a 4 -> 5"])
    const closed = yield* Effect.scoped(storage.changes())
    yield* storage.apply([cell("a", 6)])
    assert.deepStrictEqual(closed.takeNow(), [])
  })
})

describe("the feed and purged tombstones", () => {
  const purging = withSettings({ tombstones: "purge" })

  purging("reports those that were the newest of their keys", function*({ storage }) {
    yield* storage.apply([cell("a", 1), cell("b", 1), tombstone("c", 1)])
    const changes = yield* storage.changes()
    yield* storage.apply([tombstone("a", 2)])
    yield* storage.compact
    assert.deepStrictEqual(changes.takeNow().map(brief), ["a 1 -> 2", "a 2 -> gone", "c 1 -> gone"])
    yield* storage.apply([cell("a", 1)])
    assert.deepStrictEqual(changes.takeNow().map(brief), ["a nothing -> 1"])
  })

  purging("does not report one that is replaced before the compaction ends", function*({ memory, storage }) {
    yield* writeTable(storage, tombstone("a", 1), tombstone("b", 1), cell("c", 1))
    const changes = yield* storage.changes()
    yield* storage.apply([cell("z", 1)])
    memory.syncs.closeUnsafe()
    const compacting = yield* Effect.forkChild(storage.compact)
    const writing = yield* Effect.forkChild(storage.apply([cell("a", 2)]))
    memory.syncs.openUnsafe()
    yield* Fiber.join(writing)
    yield* Fiber.join(compacting)
    const ofTombstones = changes.takeNow().map(brief).filter((change) => !change.startsWith("z"))
    assert.deepStrictEqual(ofTombstones.sort(), ["a 1 -> 2", "b 1 -> gone"])
  })

  purging("says that changes were missed if nobody followed when the purge began", function*({ memory, storage }) {
    yield* writeTable(storage, tombstone("a", 1), cell("c", 1))
    memory.syncs.closeUnsafe()
    const compacting = yield* Effect.forkChild(storage.compact)
    yield* Effect.sleep("1 second")
    const changes = yield* storage.changes()
    memory.syncs.openUnsafe()
    yield* Fiber.join(compacting)
    assert.deepStrictEqual(changes.takeNow().map(brief), ["missed"])
  })
})

describe("the feed and damage", () => {
  const uncached = withSettings({ blockCacheBytesMax: 0 })

  uncached("reports the range, and does not claim to know what a cell in it replaces", function*({ memory, storage }) {
    const cells = numbered(60, 300)
    yield* writeTable(storage, ...cells)
    const changes = yield* storage.changes()
    const follower = yield* Follower.start(storage)
    memory.damage(pathsOf(memory, ".sst")[0]!, 1000)
    assert.deepStrictEqual(yield* storage.apply([cell("k0001", 100)]), [accepted])
    yield* storage.verify
    yield* Effect.sleep("1 second")
    const { holes } = yield* storage.stats
    yield* storage.apply(cells.slice(0, 3), { fills: holes })
    yield* storage.closeHoles(holes)
    yield* storage.apply([cell("k0000", 200)])
    assert.deepStrictEqual(changes.takeNow().map(brief), [
      "k0001 unknown -> 100",
      `lost ${holes[0]!.from} to ${holes[0]!.to}`,
      "k0000 unknown -> 1",
      "k0002 unknown -> 3",
      "k0000 1 -> 200"
    ])
    assert.isUndefined(yield* follower.check)
  })

  inVirtualTime("tells nothing twice when a tombstone is purged while a round still reads", function*() {
    const memory = DiskMemory.make(1)
    const latch = Latch.makeUnsafe(true)
    let slow = ""
    const openRead: typeof memory.disk.openRead = (path) =>
      Effect.map(memory.disk.openRead(path), (handle) => ({
        ...handle,
        readNow: () => false,
        read: (offset, length) =>
          path === slow ? Effect.andThen(latch.await, handle.read(offset, length)) : handle.read(offset, length)
      }))
    const { storage } = yield* stage(
      { tombstones: "purge", blockCacheBytesMax: 0 },
      { ...memory, disk: { ...memory.disk, openRead } }
    )
    yield* writeTable(storage, tombstone("a", 1))
    yield* writeTable(storage, cell("slow", 1))
    slow = pathsOf(memory, ".sst").toSorted()[1]!
    const changes = yield* storage.changes()
    memory.syncs.closeUnsafe()
    const compacting = yield* Effect.forkChild(storage.compact)
    yield* Effect.sleep("1 second")
    latch.closeUnsafe()
    const writing = yield* Effect.forkChild(storage.apply([cell("a", 2), cell("slow", 2)]))
    yield* Effect.sleep("1 second")
    memory.syncs.openUnsafe()
    yield* Fiber.join(compacting)
    latch.openUnsafe()
    yield* Fiber.join(writing)
    assert.deepStrictEqual(changes.takeNow().map(brief), ["a 1 -> gone", "a unknown -> 2", "slow unknown -> 2"])
  })

  const Step = Schema.Struct({
    step: Schema.Literals(["write", "write", "flush", "compact", "rot", "give back", "check"]),
    draw: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 10_000 }))
  })

  it.prop(
    "a follower equals the store after any sequence of writes, damage and repairs",
    { seed: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 ** 31 })), steps: Schema.Array(Step) },
    ({ seed, steps }) =>
      run(Effect.gen(function*() {
        const { memory, storage } = yield* stage(
          { tombstones: seed % 2 === 0 ? "keep" : "purge" },
          DiskMemory.make(seed)
        )
        const follower = yield* Follower.start(storage)
        const others = new Map<string, Cell>()
        let counter = 0
        const write = Effect.fnUntraced(function*(draw: number) {
          for (let index = 0; index < 8; index++) {
            const name = `k${(draw + index * 7) % 40}`
            const one = (draw + index) % 5 === 0 ? tombstone(name, ++counter) : cell(name, ++counter, "x".repeat(900))
            others.set(name, one)
            yield* Effect.ignore(storage.apply([one]))
          }
        })
        const rot = Effect.fnUntraced(function*(draw: number) {
          const paths = pathsOf(memory, ".sst")
          const path = paths[draw % paths.length]
          if (path === undefined) return
          memory.damage(path, draw % memory.files().get(path)!.length)
          yield* storage.verify
        })
        const giveBack = Effect.gen(function*() {
          const { holes } = yield* storage.stats
          if (holes.length === 0) return
          // Damage that is no hole yet has to become one first.
          yield* storage.apply(Array.from(others.values()), { fills: holes }).pipe(
            Effect.andThen(storage.closeHoles(holes)),
            Effect.catchTag("Corruption", () => Effect.void)
          )
        })
        const check = Effect.gen(function*() {
          // A table may have rotted before it was live: when it is, somebody has to find that.
          yield* Effect.sleep("10 seconds")
          yield* storage.verify
          yield* Effect.sleep("10 seconds")
          assert.isUndefined(yield* follower.check)
        })
        yield* write(0)
        for (const { draw, step } of steps) {
          if (step === "write") yield* write(draw)
          else if (step === "flush") yield* storage.flush
          else if (step === "compact") yield* storage.compact
          else if (step === "rot") yield* rot(draw)
          else if (step === "give back") yield* giveBack
          else yield* check
        }
        yield* check
      })),
    { arbitrary: { runs: 60 } }
  )
})
