/**
 * Runs effects for Level: gives a value if the engine answers at once, or else a promise.
 *
 * Most answers come from memory and cost no promise here. But the microtasks of a caller that reads in a loop would
 * starve the event loop, so some answers wait for its next turn.
 */
import { type Context, Effect, Exit, type Fiber } from "effect"
import * as LevelError from "./LevelError.ts"
import type { ProcessHold } from "./ProcessHold.ts"

export interface RunOptions {
  readonly signal?: AbortSignal | undefined
  /** How many cells are read, 1 by default. */
  readonly cells?: number
}

/** Cells read from memory in one turn of the event loop: about a millisecond of work. */
const cellsPerTurnMax = 512

export class Bridge {
  private readonly fork: <A, E>(effect: Effect.Effect<A, E>, options?: Effect.RunOptions) => Fiber.Fiber<A, E>
  private cells = 0
  private readonly process: ProcessHold
  private underWay = 0
  private whenIdle: Array<() => void> = []

  constructor(context: Context.Context<never>, process: ProcessHold) {
    this.process = process
    this.fork = Effect.runForkWith(context)
  }

  /** Throws, or rejects with, the errors of Level. */
  run<A, E>(effect: Effect.Effect<A, E>, options?: RunOptions): A | Promise<A> {
    const fiber = this.fork(effect, options?.signal === undefined ? undefined : { signal: options.signal })
    const exit = fiber.pollUnsafe()
    this.cells += options?.cells ?? 1
    if (exit !== undefined && this.cells < cellsPerTurnMax) return valueOf(exit)
    this.cells = 0
    return this.wait(exit === undefined ? fiber : this.fork(Effect.andThen(Effect.yieldNow, exit)))
  }

  /** For effects that never wait. */
  runSync<A, E>(effect: Effect.Effect<A, E>): A {
    return valueOf(Effect.runSyncExit(effect))
  }

  /** Completes when no effect is under way. */
  idle(): Promise<void> {
    return new Promise((resolve) => this.underWay === 0 ? resolve() : this.whenIdle.push(resolve))
  }

  private wait<A, E>(fiber: Fiber.Fiber<A, E>): Promise<A> {
    this.underWay++
    this.process.hold()
    return new Promise((resolve, reject) => {
      fiber.addObserver((exit) => {
        if (Exit.isSuccess(exit)) resolve(exit.value)
        else reject(LevelError.ofCause(exit.cause))
        this.process.release()
        if (--this.underWay === 0) this.tellIdle()
      })
    })
  }

  private tellIdle(): void {
    const waiting = this.whenIdle
    this.whenIdle = []
    for (const tell of waiting) tell()
  }
}

const valueOf = <A, E>(exit: Exit.Exit<A, E>): A => {
  if (Exit.isSuccess(exit)) return exit.value
  throw LevelError.ofCause(exit.cause)
}
