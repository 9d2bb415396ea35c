import { assert, describe, it } from "@effect/vitest"
import { Clock, Context, Effect, Exit, Option } from "effect"
import * as SeededRandom from "../../src/domain/SeededRandom.ts"
import { Process, World } from "../../src/simulation/World.ts"

/** A world with one process, and `begin`, which runs an effect in that process. */
const make = () => {
  const world = new World()
  const process = new Process(world, "node", SeededRandom.make(1), Context.empty())
  const begin = <A, E>(effect: Effect.Effect<A, E>, onExit: (exit: Exit.Exit<A, E>) => void = () => {}) =>
    process.run(effect, Context.empty(), onExit)
  const pass = (untilMillis: number) => world.runUntil(() => false, untilMillis)
  return { world, process, begin, pass }
}

/** Counts seconds from now on. */
const counting = ({ begin, pass, world }: ReturnType<typeof make>) => {
  const counted = { times: 0 }
  begin(Effect.forever(Effect.andThen(Effect.sleep("1 second"), Effect.sync(() => counted.times++))))
  pass(world.now())
  return counted
}

describe("virtual time", () => {
  it("runs what sleeps in the order of its times, and at once", () => {
    const { begin, pass, world } = make()
    const seen: Array<string> = []
    const say = (text: string) => Effect.sync(() => void seen.push(`${text} at ${world.now()}`))
    begin(Effect.andThen(Effect.sleep("2 hours"), say("late")))
    begin(Effect.andThen(Effect.sleep("1 second"), say("soon")))
    assert.isFalse(pass(10_000_000))
    assert.deepStrictEqual(seen, ["soon at 1000", "late at 7200000"])
    assert.strictEqual(world.now(), 10_000_000)
  })

  it("stops when the condition holds, and forgets a sleep that is interrupted", () => {
    const { begin, world } = make()
    const exits: Array<Exit.Exit<unknown>> = []
    begin(Effect.timeoutOption(Effect.sleep("1 hour"), "1 second"), (exit) => exits.push(exit))
    assert.isTrue(world.runUntil(() => exits.length > 0, 10_000))
    assert.strictEqual(world.now(), 1000)
    assert.isTrue(Exit.isSuccess(exits[0]!))
  })

  it("runs what is ready in the order of priorities, then in that of arrival", () => {
    const { begin, pass } = make()
    const seen: Array<string> = []
    for (const [name, priority] of [["patient", 10], ["first", 0], ["urgent", -1], ["second", 0]] as const) {
      begin(Effect.andThen(Effect.yieldNowWith(priority), Effect.sync(() => void seen.push(name))))
    }
    pass(0)
    assert.deepStrictEqual(seen, ["urgent", "first", "second", "patient"])
  })

  it("gives two worlds of one program the same trace, and of another a different one", () => {
    const hashOf = (millis: number) => {
      const { begin, pass, world } = make()
      begin(Effect.andThen(Effect.sleep(millis), Effect.sync(() => world.trace("woke"))))
      pass(5000)
      return world.traceHash()
    }
    assert.strictEqual(hashOf(10), hashOf(10))
    assert.notStrictEqual(hashOf(10), hashOf(11))
  })
})

describe("a process", () => {
  it("that is killed never runs again, finalizers included", () => {
    const made = make()
    let finalized = false
    made.begin(Effect.ensuring(Effect.never, Effect.sync(() => finalized = true)))
    const counted = counting(made)
    made.pass(2500)
    made.process.kill()
    made.pass(10_000)
    assert.strictEqual(counted.times, 2)
    assert.isFalse(finalized)
  })

  it("dies after the number of steps that it was given", () => {
    const made = make()
    const counted = counting(made)
    let died = 0
    made.process.killAfter(3, () => died++)
    made.pass(10_000)
    assert.deepStrictEqual([died, made.process.isAlive()], [1, false])
    assert.isTrue(counted.times >= 1 && counted.times <= 3)
  })

  it("that stands still does late what was due meanwhile", () => {
    const made = make()
    const counted = counting(made)
    made.pass(1500)
    made.process.pause()
    made.pass(60_000)
    assert.strictEqual(counted.times, 1)
    made.process.resume()
    made.pass(60_000)
    assert.strictEqual(counted.times, 2)
  })

  it("has a wall clock that jumps and a monotonic one that does not", () => {
    const { begin, pass, process } = make()
    pass(1000)
    const read = () => {
      const fiber = begin(Effect.all([Clock.currentTimeMillis, Clock.monotonicTimeNanos]))
      pass(1000)
      return Exit.getSuccess(fiber.pollUnsafe()!)
    }
    const before = read()
    process.clockOffsetMillis = -3_600_000
    const after = read()
    assert.deepStrictEqual(after, Option.map(before, ([wall, uptime]) => [wall - 3_600_000, uptime] as const))
  })

  it("that runs slowly sleeps longer", () => {
    const { begin, process, world } = make()
    process.slowness = 1.25
    const fiber = begin(Effect.sleep("1 second"))
    world.runUntil(() => fiber.pollUnsafe() !== undefined, 5000)
    assert.strictEqual(world.now(), 1250)
  })
})
