import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Exit, Fiber, Layer, Schema } from "effect"
import { TestClock } from "effect/testing"
import { jumpMax, LamportClock } from "../../src/clock/LamportClock.ts"
import { NodeConfig } from "../../src/config/NodeConfig.ts"
import { writeAtomically } from "../../src/disk/Disk.ts"
import * as DiskMemory from "../../src/disk/DiskMemory.ts"
import { Identity } from "../../src/disk/Identity.ts"
import { counterMax } from "../../src/domain/Version.ts"
import { Storage } from "../../src/storage/Storage.ts"
import { a, settle } from "../coordinator/requests.ts"
import { layerMock } from "../replicator/fakes.ts"

const path = "data/clock.json"
const blockSize = 100_000

/** The clock of one start of the node, whose storage holds counters up to `stored`. */
const start = (memory: DiskMemory.DiskMemory = DiskMemory.make(1), stored = 0) =>
  Effect.service(LamportClock).pipe(
    Effect.map((clock) => ({ ...clock, memory })),
    Effect.provide(
      Layer.fresh(LamportClock.layer).pipe(Layer.provide([
        memory.layer,
        NodeConfig.layerTest({ dataDirectory: "data" }),
        Identity.layerFixed({ nodeId: a }),
        layerMock(Storage, { counterMax: Effect.succeed(stored) })
      ]))
    )
  )

const counterOf = (clock: Pick<LamportClock["Service"], "next">) => Effect.map(clock.next, ({ counter }) => counter)

const isAscending = (counters: ReadonlyArray<number>) =>
  counters.every((counter, index) => index === 0 || counter > counters[index - 1]!)

describe("LamportClock", () => {
  it.effect("counts from 1 in the name of this node and its data directory", () =>
    Effect.gen(function*() {
      const clock = yield* start()
      assert.strictEqual(clock.current(), 0)
      assert.deepStrictEqual({ ...(yield* clock.next) }, { counter: 1, nodeId: a, incarnation: "000000000000" })
      assert.strictEqual(yield* counterOf(clock), 2)
      assert.strictEqual(clock.current(), 2)
    }))

  it.effect("stamps above everything that it has observed, and lets lower counters pass", () =>
    Effect.gen(function*() {
      const clock = yield* start()
      assert.isTrue(clock.observe(51))
      assert.strictEqual(yield* counterOf(clock), 52)
      assert.isTrue(clock.observe(7))
      assert.isTrue(clock.observe(52))
      assert.strictEqual(yield* counterOf(clock), 53)
      assert.isTrue(clock.observe(10 * blockSize))
      assert.strictEqual(yield* counterOf(clock), 10 * blockSize + 1)
    }))

  it.effect("stamps above everything in storage after a start", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      assert.strictEqual(yield* counterOf(yield* start(memory, 900)), 901)
      assert.isAbove(yield* counterOf(yield* start(memory, 5_000_000)), 5_000_000)
    }))

  it.effect("refuses a counter absurdly far ahead, by one jump or by many, but for what time allows", () =>
    Effect.gen(function*() {
      const clock = yield* start(undefined, 100)
      assert.isFalse(clock.observe(100 + jumpMax + 1))
      assert.isFalse(clock.observe(counterMax))
      assert.isFalse(clock.observe(counterMax + 2))
      assert.isFalse(clock.observe(Number.POSITIVE_INFINITY))
      assert.strictEqual(yield* counterOf(clock), 101)
      assert.isTrue(clock.observe(100 + jumpMax))
      assert.strictEqual(yield* counterOf(clock), 101 + jumpMax)
      assert.isFalse(clock.observe(100 + jumpMax + 2))
      yield* TestClock.adjust("1 second")
      assert.isTrue(clock.observe(100 + jumpMax + 1_000_000_000))
      assert.isFalse(clock.observe(100 + jumpMax + 1_000_000_001))
    }))

  it.effect("continues above its reserved block after a restart", () =>
    Effect.gen(function*() {
      const clock = yield* start()
      yield* counterOf(clock)
      const next = yield* counterOf(yield* start(clock.memory))
      assert.strictEqual(next, blockSize + 1)
      assert.deepStrictEqual(
        JSON.parse(clock.memory.files().get(path)!.toString()),
        { format: 1, reserved: 2 * blockSize }
      )
    }))

  it.effect("gives each of many callers at a block's border a counter of its own, for one reservation", () =>
    Effect.gen(function*() {
      const clock = yield* start()
      yield* clock.next
      clock.observe(blockSize - 2)
      const counters = yield* Effect.all(Array.from({ length: 50 }, () => counterOf(clock)), {
        concurrency: "unbounded"
      })
      assert.strictEqual(new Set(counters).size, 50)
      assert.strictEqual(Math.min(...counters), blockSize - 1)
      assert.strictEqual(Math.max(...counters), blockSize + 48)
      assert.strictEqual(clock.memory.count("rename"), 2)
    }))

  it.effect.prop("never issues a counter twice, for losses of power at any time and of any unsynced data", {
    seed: Schema.Int,
    cuts: Arbitrary.array(Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 14 }))), {
      minLength: 1,
      maxLength: 5
    })
  }, ({ cuts, seed }) =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(seed)
      const issued: Array<number> = []
      for (const cut of [...cuts, 1000]) {
        memory.powerOffAt(cut)
        const life = Effect.gen(function*() {
          const clock = yield* start(memory)
          for (let write = 0; write < 8; write++) {
            issued.push(yield* counterOf(clock))
            // On to the border of the block, now and then beyond it.
            if (write % 3 === 2) clock.observe(clock.current() + blockSize - 2)
          }
        })
        yield* Effect.exit(life)
        memory.powerOff()
        memory.powerOn()
      }
      assert.isAtLeast(issued.length, 8)
      assert.isTrue(isAscending(issued), issued.join(" "))
    }), { arbitrary: { runs: 300 } })

  it.effect("issues nothing that it could not reserve, and recovers with the disk", () =>
    Effect.gen(function*() {
      const clock = yield* start()
      const { memory } = clock
      memory.setFull(true)
      assert.strictEqual((yield* Effect.flip(clock.next))._tag, "DiskFull")
      memory.setFull(false)
      assert.strictEqual(yield* counterOf(clock), 1)
      for (const operation of ["append", "sync", "rename", "syncDirectory"] as const) {
        clock.observe(Math.ceil(clock.current() / blockSize) * blockSize)
        const before = clock.current()
        memory.failNext(operation, operation === "syncDirectory" ? "data" : path)
        assert.strictEqual((yield* Effect.flip(clock.next))._tag, "DiskError")
        assert.strictEqual(yield* counterOf(clock), before + 1)
      }
    }))

  it.effect("needs no disk within its block, so that a full disk does not stop it at once", () =>
    Effect.gen(function*() {
      const clock = yield* start()
      yield* clock.next
      clock.memory.setFull(true)
      assert.strictEqual(yield* counterOf(clock), 2)
    }))

  it.effect("is not disturbed when a caller that waits for a reservation is interrupted", () =>
    Effect.gen(function*() {
      const clock = yield* start()
      const { memory } = clock
      yield* memory.syncs.close
      const first = yield* Effect.forkChild(clock.next)
      const second = yield* Effect.forkChild(clock.next)
      yield* settle
      const interrupting = yield* Effect.forkChild(Fiber.interrupt(first))
      yield* settle
      yield* memory.syncs.open
      yield* Fiber.join(interrupting)
      const counter = (yield* Fiber.join(second)).counter
      assert.strictEqual(yield* counterOf(clock), counter + 1)
    }))

  it.effect.each([
    "",
    "garbage",
    "{}",
    `{"format":1`,
    `{"format":1}`,
    `{"format":2,"reserved":100}`,
    `{"format":1,"reserved":-1}`,
    `{"format":1,"reserved":1.5}`,
    `{"format":1,"reserved":"100"}`,
    "\0".repeat(32)
  ])("does not start from a reservation that reads %j", (text) =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      yield* writeAtomically(memory.disk, path, Buffer.from(text))
      const error = yield* Effect.flip(start(memory))
      assert.strictEqual(error._tag, text.includes(`"format":2`) ? "UnknownFormat" : "Corruption")
      assert.include(error.message, path)
    }))

  it.effect("does not start when the disk cannot be read", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      memory.failNext("readFile", path)
      assert.strictEqual((yield* Effect.flip(start(memory)))._tag, "DiskError")
    }))

  it.effect("uses the last counter, and then says that there are no more", () =>
    Effect.gen(function*() {
      const clock = yield* start(undefined, counterMax - 2)
      assert.strictEqual(yield* counterOf(clock), counterMax - 1)
      assert.strictEqual(yield* counterOf(clock), counterMax)
      assert.deepStrictEqual(yield* Effect.exit(clock.next), Exit.die("every counter below 2^53 has been used"))
    }))
})
