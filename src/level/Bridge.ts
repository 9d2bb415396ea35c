/**
 * From effects to what Level expects: a value where the engine answers at once, a promise where it has to wait.
 *
 * Most answers come out of memory. They cost no promise of their own here, but then the microtasks of a caller that
 * reads in a loop would keep the event loop from everything else, so now and then an answer waits for its next turn.
 */
import { type Context, Effect, Exit, type Fiber } from "effect"
import * as LevelError from "./LevelError.ts"
import type { ProcessHold } from "./ProcessHold.ts"

export interface RunOptions {
  readonly signal?: AbortSignal | undefined
  /** The cells asked for, when they are more than one. */
  readonly cells?: number
}

/** Cells read out of memory between two turns of the event loop: about a millisecond of work. */
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

  /** Runs up to where the effect has to wait. Throws, or rejects with, what a user of Level expects. */
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

  /** Completes when nothing that was run is under way. */
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
