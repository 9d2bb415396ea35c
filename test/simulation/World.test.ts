import { assert, describe, it } from "@effect/vitest"
import { Clock, Context, Effect, Exit } from "effect"
import * as SeededRandom from "../../src/domain/SeededRandom.ts"
import { Process, World } from "../../src/simulation/World.ts"

const make = () => {
  const world = new World()
  const process = (name: string) => new Process(world, name, SeededRandom.make(1), Context.empty())
  return { world, process }
}

const forever = () => false

describe("virtual time", () => {
  it("runs what sleeps in the order of its times, and at once", () => {
    const { process, world } = make()
    const seen: Array<string> = []
    const say = (text: string) => Effect.sync(() => void seen.push(`${text} at ${world.now()}`))
    process("one").run(Effect.andThen(Effect.sleep("2 hours"), say("late")), Context.empty(), () => {})
    process("two").run(Effect.andThen(Effect.sleep("1 second"), say("soon")), Context.empty(), () => {})
    assert.isFalse(world.runUntil(forever, 10_000_000))
    assert.deepStrictEqual(seen, ["soon at 1000", "late at 7200000"])
    assert.strictEqual(world.now(), 10_000_000)
  })

  it("stops when the condition holds, and not later", () => {
    const { process, world } = make()
    let done = false
    process("one").run(Effect.sleep("1 second"), Context.empty(), () => {
      done = true
    })
    assert.isTrue(world.runUntil(() => done, 10_000))
    assert.strictEqual(world.now(), 1000)
  })

  it("forgets a sleep that is interrupted", () => {
    const { process, world } = make()
    const exits: Array<Exit.Exit<unknown, unknown>> = []
    process("one").run(Effect.timeoutOption(Effect.sleep("1 hour"), "1 second"), Context.empty(), (exit) => {
      exits.push(exit)
    })
    world.runUntil(() => exits.length > 0, 10_000)
    assert.strictEqual(world.now(), 1000)
    assert.isTrue(Exit.isSuccess(exits[0]!))
  })

  it("runs what is ready in the order of priorities, then in that of arrival", () => {
    const { process, world } = make()
    const seen: Array<string> = []
    const one = process("one")
    const yielding = (name: string, priority: number) =>
      one.run(
        Effect.andThen(Effect.yieldNowWith(priority), Effect.sync(() => void seen.push(name))),
        Context.empty(),
        () => {}
      )
    yielding("patient", 10)
    yielding("first", 0)
    yielding("urgent", -1)
    yielding("second", 0)
    world.runUntil(forever, 0)
    assert.deepStrictEqual(seen, ["urgent", "first", "second", "patient"])
  })

  it("gives two worlds of one program the same trace, and of another a different one", () => {
    const hashOf = (millis: number) => {
      const { process, world } = make()
      process("one").run(
        Effect.andThen(Effect.sleep(millis), Effect.sync(() => world.trace("woke"))),
        Context.empty(),
        () => {}
      )
      world.runUntil(forever, 5000)
      return world.traceHash()
    }
    assert.strictEqual(hashOf(10), hashOf(10))
    assert.notStrictEqual(hashOf(10), hashOf(11))
  })
})

describe("a process", () => {
  const counting = (world: World, process: Process) => {
    const counted = { times: 0 }
    process.run(
      Effect.forever(Effect.andThen(Effect.sleep("1 second"), Effect.sync(() => counted.times++))),
      Context.empty(),
      () => {}
    )
    world.runUntil(forever, 0)
    return counted
  }

  it("that is killed never runs again, finalizers included", () => {
    const { process, world } = make()
    const victim = process("victim")
    let finalized = false
    victim.run(
      Effect.ensuring(
        Effect.never,
        Effect.sync(() => {
          finalized = true
        })
      ),
      Context.empty(),
      () => {}
    )
    const counted = counting(world, victim)
    world.runUntil(forever, 2500)
    victim.kill()
    world.runUntil(forever, 10_000)
    assert.strictEqual(counted.times, 2)
    assert.isFalse(finalized)
  })

  it("dies after the number of steps that it was given", () => {
    const { process, world } = make()
    const victim = process("victim")
    const counted = counting(world, victim)
    let died = 0
    victim.killAfter(3, () => died++)
    world.runUntil(forever, 10_000)
    assert.deepStrictEqual([died, victim.isAlive()], [1, false])
    assert.isTrue(counted.times >= 1 && counted.times <= 3)
  })

  it("that stands still does late what was due meanwhile", () => {
    const { process, world } = make()
    const sleeper = process("sleeper")
    const counted = counting(world, sleeper)
    world.runUntil(forever, 1500)
    sleeper.pause()
    world.runUntil(forever, 60_000)
    assert.strictEqual(counted.times, 1)
    sleeper.resume()
    world.runUntil(forever, 60_000)
    assert.strictEqual(counted.times, 2)
  })

  it("has a wall clock that jumps and a monotonic one that does not", () => {
    const { process, world } = make()
    const node = process("node")
    const read = () => {
      const seen: Array<number> = []
      node.run(Effect.all([Clock.currentTimeMillis, Clock.monotonicTimeNanos]), Context.empty(), (exit) => {
        if (Exit.isSuccess(exit)) seen.push(exit.value[0], Number(exit.value[1]) / 1_000_000)
      })
      return seen as [number, number]
    }
    world.runUntil(forever, 1000)
    const [wall, uptime] = read()
    node.clockOffsetMillis = -3_600_000
    assert.deepStrictEqual(read(), [wall - 3_600_000, uptime])
  })

  it("that runs slowly sleeps longer", () => {
    const { process, world } = make()
    const slow = process("slow")
    slow.slowness = 1.25
    let woke = 0
    slow.run(Effect.sleep("1 second"), Context.empty(), () => {
      woke = world.now()
    })
    world.runUntil(forever, 5000)
    assert.strictEqual(woke, 1250)
  })
})
