import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Duration, Effect, Exit, Fiber, Layer, Scope } from "effect"
import { TestClock } from "effect/testing"
import { crc32 } from "node:zlib"
import { NodeConfig } from "../../src/config/NodeConfig.ts"
import { writeAtomically } from "../../src/disk/Disk.ts"
import * as DiskMemory from "../../src/disk/DiskMemory.ts"
import * as Bytes from "../../src/domain/bytes.ts"
import type { Cell } from "../../src/domain/cell/Cell.ts"
import { Key } from "../../src/domain/Key.ts"
import type { NodeId } from "../../src/domain/NodeId.ts"
import type { PeerFailed } from "../../src/peer/PeerError.ts"
import { Hints } from "../../src/replication/Hints.ts"
import { b, c, cellOf, failedBy, settle } from "../coordinator/requests.ts"
import { plain } from "../domain/arbitraries.ts"

const mebibyte = 1024 * 1024

/** The hints of one start of the node; `stop` ends it in good order. */
const start = Effect.fnUntraced(function*(
  memory: DiskMemory.DiskMemory = DiskMemory.make(1),
  options?: { readonly bytesMax?: number; readonly window?: Duration.Duration }
) {
  const scope = yield* Scope.make()
  const config = NodeConfig.layerTest({
    hintsBytesMaxPerPeer: options?.bytesMax ?? mebibyte,
    hintWindow: options?.window ?? Duration.hours(3)
  })
  const layer = Layer.fresh(Hints.layer).pipe(Layer.provide([memory.layer, config]))
  const hints = Context.get(yield* Layer.buildWithScope(layer, scope), Hints)
  yield* settle
  const add = (peer: NodeId, ...counters: ReadonlyArray<number>) => {
    for (const counter of counters) hints.add(peer, cellOf(counter))
  }
  const statusOf = (peer: NodeId) => hints.status().find((status) => status.peer === peer)!
  const files = () => Array.from(memory.files().keys()).filter((path) => path.startsWith("data/hints/")).sort()
  return { ...hints, memory, files, add, addCell: hints.add, statusOf, stop: Scope.close(scope, Exit.void) }
})

type Started = Effect.Success<ReturnType<typeof start>>

/** Time for hints in memory to go to the disk. */
const flush = TestClock.adjust("50 millis")

/** Delivers to the peer: its counters, file by file. */
const delivered = Effect.fnUntraced(function*(hints: Started, peer: NodeId = b) {
  const batches: Array<ReadonlyArray<number>> = []
  yield* hints.deliver(peer, (cells) =>
    Effect.sync(() => {
      batches.push(cells.map(({ version }) => version.counter))
    }))
  return batches
})

/** A delivery that the peer refuses. */
const refusedBy = (hints: Started, reason?: PeerFailed["reason"]) =>
  Effect.flip(hints.deliver(b, () => Effect.fail(failedBy(b, reason))))

describe("Hints", () => {
  it.effect("keeps cells for an absent peer and delivers them whole, oldest first", () =>
    Effect.gen(function*() {
      const hints = yield* start()
      const cells: ReadonlyArray<Cell> = [
        cellOf(1, "first\n\u2028"),
        { ...cellOf(2), value: undefined },
        { ...cellOf(3), key: Key.make("ключ/😀"), value: { bytes: Buffer.from([0xff, 0]), contentType: "image/png" } }
      ]
      for (const cell of cells) hints.addCell(b, cell)
      assert.strictEqual(hints.pending(b), 3)
      const received: Array<Cell> = []
      yield* hints.deliver(b, (batch) => Effect.sync(() => received.push(...batch)))
      assert.deepStrictEqual(received.map(plain), cells.map(plain))
      assert.strictEqual(hints.pending(b), 0)
      assert.deepStrictEqual({ ...hints.statusOf(b) }, {
        peer: b,
        pending: 0,
        pendingBytes: 0,
        dropped: 0,
        delivered: 3
      })
      assert.deepStrictEqual(hints.files(), [])
    }))

  it.effect("gathers hints in memory for 50 ms, then writes and syncs them at once", () =>
    Effect.gen(function*() {
      const hints = yield* start()
      hints.add(b, 1, 2, 3)
      yield* TestClock.adjust("49 millis")
      assert.deepStrictEqual(hints.files(), [])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(hints.files(), ["data/hints/b/50-000001.ndjson"])
      assert.strictEqual(hints.memory.count("append"), 1)
      assert.strictEqual(hints.memory.count("sync"), 1)
      hints.add(b, 4)
      yield* flush
      assert.strictEqual(hints.files().length, 1)
      const lines = hints.memory.files().get("data/hints/b/50-000001.ndjson")!.toString().trimEnd().split("\n")
      assert.strictEqual(lines.length, 5)
      assert.strictEqual(lines[0]!.slice(9), `{"format":"rondo-hints-1"}`)
      assert.match(
        lines[1]!,
        /^[0-9a-f]{8} \{"key":"k","version":"1-a-9f86d081884c","type":"text\/plain","value":"v"\}$/
      )
      assert.deepStrictEqual(yield* delivered(hints), [[1, 2, 3, 4]])
    }))

  it.effect("keeps the hints of each peer apart", () =>
    Effect.gen(function*() {
      const hints = yield* start()
      assert.deepStrictEqual([hints.pending(b), yield* delivered(hints), hints.status()], [0, [], []])
      hints.add(b, 1)
      hints.add(c, 2)
      assert.deepStrictEqual(yield* delivered(hints, c), [[2]])
      assert.strictEqual(hints.pending(b), 1)
      assert.strictEqual(hints.pending(c), 0)
      assert.deepStrictEqual(yield* delivered(hints, b), [[1]])
    }))

  it.effect("drops and counts hints above the bound of a peer, in memory and on disk together", () =>
    Effect.gen(function*() {
      const probe = yield* start()
      probe.add(b, 1)
      const lineBytes = probe.statusOf(b).pendingBytes
      const hints = yield* start(undefined, { bytesMax: 3 * lineBytes })
      hints.add(b, 1, 2)
      yield* flush
      hints.add(b, 3, 4, 5)
      assert.deepInclude(hints.statusOf(b), { pending: 3, pendingBytes: 3 * lineBytes, dropped: 2 })
      hints.add(c, 6)
      assert.strictEqual(hints.pending(c), 1)
      assert.deepStrictEqual((yield* delivered(hints)).flat(), [1, 2, 3])
      hints.add(b, 7)
      assert.deepStrictEqual((yield* delivered(hints)).flat(), [7])
      assert.deepInclude(hints.statusOf(b), { pending: 0, pendingBytes: 0, dropped: 2, delivered: 4 })
    }))

  it.effect("counts bytes as they are on disk, not characters", () =>
    Effect.gen(function*() {
      const hints = yield* start()
      hints.addCell(b, cellOf(1, "€".repeat(1000)))
      const waiting = hints.statusOf(b).pendingBytes
      yield* flush
      assert.strictEqual(waiting, hints.statusOf(b).pendingBytes)
      const bytes = hints.memory.files().get(hints.files()[0]!)!
      assert.strictEqual(waiting, bytes.length - (bytes.indexOf(0x0a) + 1), "all but the first line")
    }))

  it.effect("stops at a file that the peer does not take, and keeps it, but not those before", () =>
    Effect.gen(function*() {
      const hints = yield* start()
      hints.add(b, 1)
      for (let attempt = 0; attempt < 2; attempt++) {
        assert.deepInclude(yield* refusedBy(hints, "unreachable"), { _tag: "PeerFailed", reason: "unreachable" })
        assert.deepInclude(hints.statusOf(b), { pending: 1, delivered: 0, dropped: 0 })
      }
      hints.add(b, 2)
      const sent: Array<number> = []
      const once = hints.deliver(b, (cells) =>
        Effect.suspend((): Effect.Effect<void, PeerFailed> => {
          if (sent.length > 0) return Effect.fail(failedBy(b))
          sent.push(...cells.map(({ version }) => version.counter))
          return Effect.void
        }))
      yield* Effect.flip(once)
      assert.deepStrictEqual(sent, [1])
      assert.strictEqual(hints.pending(b), 1)
      assert.deepStrictEqual(yield* delivered(hints), [[2]])
    }))

  it.effect("survives a restart, with everything that waited in memory, and keeps the order", () =>
    Effect.gen(function*() {
      const before = yield* start()
      before.add(b, 1, 2)
      before.add(c, 3)
      yield* flush
      before.add(b, 4)
      yield* before.stop
      const after = yield* start(before.memory)
      assert.strictEqual(after.pending(b), 3)
      assert.strictEqual(after.pending(c), 1)
      assert.isAbove(after.statusOf(b).pendingBytes, 0)
      after.add(b, 5)
      yield* after.stop
      const again = yield* start(before.memory)
      assert.deepStrictEqual(yield* delivered(again), [[1, 2, 4], [5]])
    }))

  it.effect("survives a loss of power, with all that was flushed and without harm", () =>
    Effect.gen(function*() {
      for (let seed = 1; seed <= 20; seed++) {
        const memory = DiskMemory.make(seed)
        const before = yield* start(memory)
        before.add(b, 1, 2)
        yield* flush
        memory.powerOffAt(1 + seed % 4)
        before.add(b, 3, 4)
        yield* flush
        memory.powerOff()
        memory.powerOn()
        const after = yield* start(memory)
        const counters = (yield* delivered(after)).flat()
        const isKept = (counter: number) => counter <= 2 || counters.includes(counter)
        assert.deepStrictEqual(counters, [1, 2, 3, 4].filter(isKept), `seed ${seed}`)
        after.add(b, 5)
        assert.deepStrictEqual(yield* delivered(after), [[5]])
      }
    }))

  it.effect("drops and counts hints older than the window, not those just as old, also after a restart", () =>
    Effect.gen(function*() {
      const hints = yield* start(undefined, { window: Duration.minutes(1) })
      hints.add(b, 1, 2)
      yield* flush
      yield* TestClock.adjust("1 minute")
      yield* refusedBy(hints)
      assert.deepInclude(hints.statusOf(b), { pending: 2, dropped: 0 })
      yield* TestClock.adjust("1 millis")
      hints.add(b, 3)
      assert.deepStrictEqual(yield* delivered(hints), [[3]])
      assert.deepInclude(hints.statusOf(b), { pending: 0, dropped: 2, delivered: 1 })
      assert.deepStrictEqual(hints.files(), [])
      hints.add(b, 4)
      yield* hints.stop
      yield* TestClock.adjust("4 hours")
      const after = yield* start(hints.memory)
      assert.deepStrictEqual(yield* delivered(after), [])
      assert.deepInclude(after.statusOf(b), { pending: 0, dropped: 1 })
    }))

  it.effect("skips and counts, once, damaged lines, a damaged checksum, a torn line, and leaves other files alone", () =>
    Effect.gen(function*() {
      const before = yield* start()
      before.add(b, 0, 1, 2, 3)
      yield* before.stop
      const [path] = before.files()
      const [first, second] = Bytes.utf8(before.memory.files().get(path!)!).matchAll(/\{"key"/g)
      before.memory.damage(path!, first!.index + 20)
      before.memory.damage(path!, second!.index - 3)
      yield* before.memory.disk.truncate(path!, before.memory.files().get(path!)!.length - 4)
      const other = yield* before.memory.disk.openAppend("data/hints/b/notes.txt")
      yield* other.append(Buffer.from("not a hint\n"))
      const after = yield* start(before.memory)
      assert.strictEqual(after.pending(b), 1)
      yield* refusedBy(after)
      assert.strictEqual(after.statusOf(b).dropped, 0)
      assert.deepStrictEqual(yield* delivered(after), [[2]])
      assert.deepInclude(after.statusOf(b), { pending: 0, dropped: 3, delivered: 1 })
      assert.deepStrictEqual(before.files(), ["data/hints/b/notes.txt"])
    }))

  it.effect("delivers files from before there was a version number", () =>
    Effect.gen(function*() {
      const before = yield* start()
      before.add(b, 1, 2)
      yield* before.stop
      const [path] = before.files()
      const bytes = before.memory.files().get(path!)!
      yield* writeAtomically(before.memory.disk, path!, bytes.subarray(bytes.indexOf(0x0a) + 1))
      const after = yield* start(before.memory)
      assert.strictEqual(after.statusOf(b).pendingBytes, before.statusOf(b).pendingBytes)
      assert.deepStrictEqual(yield* delivered(after), [[1, 2]])
      assert.deepInclude(after.statusOf(b), { pending: 0, dropped: 0, delivered: 2 })
    }))

  it.effect("leaves a file alone that a later version wrote", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const path = "data/hints/b/1-000001.ndjson"
      yield* memory.disk.makeDirectory("data/hints/b")
      const head = `{"format":"rondo-hints-2"}`
      const text = `${crc32(head).toString(16).padStart(8, "0")} ${head}\nwhat nobody knows yet\n`
      yield* writeAtomically(memory.disk, path, Buffer.from(text))
      const hints = yield* start(memory)
      hints.add(b, 1)
      assert.deepStrictEqual(yield* delivered(hints), [[1]])
      assert.deepInclude(hints.statusOf(b), { pending: 0, dropped: 0, delivered: 1 })
      assert.deepStrictEqual(hints.files(), [path])
      assert.strictEqual(memory.files().get(path)!.toString(), text)
    }))

  for (const operation of ["makeDirectory", "openAppend", "append", "sync"] as const) {
    it.effect(`drops and counts what a failing ${operation} did not take, and keeps the next`, () =>
      Effect.gen(function*() {
        const hints = yield* start()
        hints.memory.failNext(operation, "data/hints/b")
        hints.add(b, 1, 2)
        yield* flush
        assert.deepInclude(hints.statusOf(b), { pending: 0, dropped: 2 })
        hints.add(b, 3)
        yield* flush
        assert.strictEqual(hints.pending(b), 1)
        const counters = (yield* delivered(hints)).flat()
        assert.strictEqual(counters.at(-1), 3)
        assert.strictEqual(hints.pending(b), 0)
      }))
  }

  it.effect("keeps the hints when the disk fails while they are read or removed", () =>
    Effect.gen(function*() {
      const hints = yield* start()
      hints.add(b, 1)
      yield* flush
      hints.memory.failNext("readFile", "data/hints/b")
      assert.strictEqual((yield* Effect.flip(delivered(hints)))._tag, "DiskError")
      assert.strictEqual(hints.pending(b), 1)
      hints.memory.failNext("remove", "data/hints/b")
      assert.strictEqual((yield* Effect.flip(delivered(hints)))._tag, "DiskError")
      const after = yield* start(hints.memory)
      assert.deepStrictEqual(yield* delivered(after), [[1]])
    }))

  it.effect("does not start when its directory cannot be listed", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      memory.failNext("list", "data/hints")
      assert.strictEqual((yield* Effect.flip(start(memory)))._tag, "DiskError")
    }))

  it.effect("takes hints and writes them while others are being delivered, and loses none", () =>
    Effect.gen(function*() {
      const hints = yield* start()
      hints.add(b, 1)
      const received: Array<number> = []
      const taken = yield* Deferred.make<void>()
      const delivery = yield* Effect.forkChild(hints.deliver(b, (cells) =>
        Effect.map(Deferred.await(taken), () => {
          received.push(...cells.map(({ version }) => version.counter))
        })))
      yield* settle
      hints.add(b, 2)
      yield* flush
      hints.add(b, 3)
      yield* flush
      assert.strictEqual(hints.files().length, 2)
      assert.strictEqual(hints.pending(b), 3)
      hints.add(b, 4)
      yield* Deferred.succeed(taken, undefined)
      yield* Fiber.join(delivery)
      assert.deepStrictEqual(received, [1, 2, 3])
      assert.strictEqual(hints.pending(b), 1)
      assert.deepStrictEqual(yield* delivered(hints), [[4]])
    }))

  it.effect("waits for a write of the file that is under way before it delivers it", () =>
    Effect.gen(function*() {
      const hints = yield* start()
      yield* hints.memory.syncs.close
      hints.add(b, 1)
      yield* flush
      const delivery = yield* Effect.forkChild(delivered(hints))
      yield* settle
      assert.isUndefined(delivery.pollUnsafe())
      yield* hints.memory.syncs.open
      assert.deepStrictEqual(yield* Fiber.join(delivery), [[1]])
      assert.deepInclude(hints.statusOf(b), { pending: 0, delivered: 1 })
    }))

  it.effect("keeps everything when a delivery is interrupted", () =>
    Effect.gen(function*() {
      const hints = yield* start()
      hints.add(b, 1)
      const delivery = yield* Effect.forkChild(hints.deliver(b, () => Effect.never))
      yield* settle
      yield* Fiber.interrupt(delivery)
      assert.strictEqual(hints.pending(b), 1)
      assert.deepStrictEqual(yield* delivered(hints), [[1]])
    }))

  it.effect("begins a new file at 4 MiB, and delivers file by file", () =>
    Effect.gen(function*() {
      const hints = yield* start(undefined, { bytesMax: 100 * mebibyte })
      for (const counter of [1, 2, 3, 4, 5]) {
        hints.addCell(b, cellOf(counter, "v".repeat(mebibyte)))
        yield* flush
      }
      assert.strictEqual(hints.files().length, 2)
      assert.deepStrictEqual(yield* delivered(hints), [[1, 2, 3, 4], [5]])
    }))
})
