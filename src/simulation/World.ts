/**
 * Virtual time: the processor, the timers and the processes of a simulated cluster, all on the calling thread.
 *
 * Fibers of a process run on a scheduler and a clock of the world's. Nothing else wakes anything: no timer of Node's,
 * no microtask, no I/O. So a run is one synchronous loop, an hour costs what happens in it, and the same seed gives the
 * same run, event for event.
 *
 * A process that is killed is simply never run again: no finalizer, no goodbye, as with `kill -9`.
 */
import { Clock, Context, Duration, Effect, type Exit, type Fiber, Random, References, Scheduler } from "effect"
import type { SeededRandom } from "../domain/SeededRandom.ts"
import * as xxhash64 from "../domain/xxhash64.ts"

/** 2026-01-01T00:00:00Z: where virtual time begins. */
const epochMillis = 1_767_225_600_000

interface Timer {
  readonly atMillis: number
  /** Timers of one moment run in the order in which they were set. */
  readonly sequence: number
  readonly process: Process
  run: (() => void) | undefined
}

interface Task {
  readonly process: Process
  readonly run: () => void
  /** Among tasks that are ready together, lower ones run first. */
  readonly priority: number
}

export class World {
  private elapsedMillis = 0
  private sequence = 0
  private ready: Array<Task> = []
  /** All ready tasks have priority 0. */
  private isOrdered = true
  private readonly timers: Array<Timer> = []
  private readonly hash = xxhash64.stream()
  private readonly sink: ((line: string) => void) | undefined
  events = 0

  constructor(sink?: (line: string) => void) {
    this.sink = sink
  }

  /** Virtual milliseconds since the run began. */
  now(): number {
    return this.elapsedMillis
  }

  /** Adds a line to the trace. Two runs are the same when the hashes of their traces are. */
  trace(line: string): void {
    this.events++
    const stamped = `${this.elapsedMillis.toFixed(3)} ${line}\n`
    this.hash.update(stamped)
    this.sink?.(stamped)
  }

  traceHash(): string {
    return this.hash.digest().toString(16).padStart(16, "0")
  }

  /** A number that rises with each call: a place in the order of all events. */
  nextSequence(): number {
    return ++this.sequence
  }

  post(process: Process, run: () => void, priority = 0): void {
    this.ready.push({ process, run, priority })
    this.isOrdered &&= priority === 0
  }

  /** Runs it in the process after this time. The returned function cancels it. */
  after(process: Process, millis: number, run: () => void): () => void {
    const timer: Timer = {
      atMillis: this.elapsedMillis + Math.max(0, millis),
      sequence: ++this.sequence,
      process,
      run
    }
    push(this.timers, timer)
    return () => {
      timer.run = undefined
    }
  }

  /** Lets time pass until the condition holds, at most until that moment; returns whether it held. */
  runUntil(isDone: () => boolean, untilMillis: number): boolean {
    for (;;) {
      this.runReady()
      if (isDone()) return true
      const timer = this.timers[0]
      if (timer === undefined || timer.atMillis > untilMillis) {
        this.elapsedMillis = Math.max(this.elapsedMillis, untilMillis)
        return false
      }
      pop(this.timers)
      if (timer.run === undefined) continue
      this.elapsedMillis = timer.atMillis
      timer.process.execute(timer.run)
    }
  }

  private runReady(): void {
    while (this.ready.length > 0) {
      const tasks = this.ready
      if (!this.isOrdered) tasks.sort((left, right) => left.priority - right.priority)
      this.ready = []
      this.isOrdered = true
      for (const { process, run } of tasks) process.execute(run)
    }
  }
}

/** An operating-system process: it runs, stands still or is dead, and it has a clock of its own. */
export class Process {
  readonly name: string
  private readonly world: World
  private readonly base: Context.Context<never>
  private state: "running" | "paused" | "dead" = "running"
  private backlog: Array<() => void> = []
  private tasks = 0
  private killAt = Number.POSITIVE_INFINITY
  private onKilled: (() => void) | undefined
  /** How far its wall clock is ahead of the world's time. */
  clockOffsetMillis = 0
  /** Its timers take this many times as long. */
  slowness = 1

  constructor(world: World, name: string, random: SeededRandom, references: Context.Context<never>) {
    this.world = world
    this.name = name
    this.base = references.pipe(
      Context.add(Scheduler.Scheduler, this.scheduler()),
      Context.add(Clock.Clock, this.clock()),
      Context.add(Random.Random, {
        nextIntUnsafe: () => Math.floor((random.next() * 2 - 1) * Number.MAX_SAFE_INTEGER),
        nextDoubleUnsafe: random.next
      }),
      Context.add(References.TracerEnabled, false)
    )
  }

  isAlive(): boolean {
    return this.state !== "dead"
  }

  execute(run: () => void): void {
    if (this.state === "running") {
      run()
      if (++this.tasks >= this.killAt) this.kill()
    } else if (this.state === "paused") this.backlog.push(run)
  }

  pause(): void {
    if (this.state === "running") this.state = "paused"
  }

  resume(): void {
    if (this.state !== "paused") return
    this.state = "running"
    const backlog = this.backlog
    this.backlog = []
    for (const run of backlog) this.world.post(this, run)
  }

  kill(): void {
    if (this.state === "dead") return
    this.state = "dead"
    this.backlog = []
    this.onKilled?.()
  }

  /** Dies after this many further steps, between any two of its awaits. */
  killAfter(steps: number, onKilled: () => void): void {
    this.onKilled = onKilled
    if (steps <= 0) this.kill()
    else this.killAt = this.tasks + steps
  }

  /** Runs an effect in this process, and `onExit` too, unless it dies before. */
  run<A, E, R>(
    effect: Effect.Effect<A, E, R>,
    services: Context.Context<R>,
    onExit: (exit: Exit.Exit<A, E>) => void
  ): Fiber.Fiber<A, E> {
    const fiber = Effect.runForkWith(Context.merge(services, this.base))(effect)
    fiber.addObserver(onExit)
    return fiber
  }

  private scheduler(): Scheduler.Scheduler {
    const dispatcher: Scheduler.SchedulerDispatcher = {
      scheduleTask: (task, priority) => this.world.post(this, task, priority),
      flush: () => {}
    }
    return {
      executionMode: "async",
      shouldYield: (fiber) => fiber.currentOpCount >= yieldAfterOperations,
      makeDispatcher: () => dispatcher
    }
  }

  private clock(): Clock.Clock {
    const millis = () => Math.floor(epochMillis + this.world.now() + this.clockOffsetMillis)
    const nanos = () => BigInt(Math.floor((epochMillis + this.world.now() + this.clockOffsetMillis) * 1000)) * 1000n
    const monotonic = () => BigInt(Math.floor(this.world.now() * 1000)) * 1000n
    return {
      currentTimeMillisUnsafe: millis,
      currentTimeMillis: Effect.sync(millis),
      currentTimeNanosUnsafe: nanos,
      currentTimeNanos: Effect.sync(nanos),
      monotonicTimeNanosUnsafe: monotonic,
      monotonicTimeNanos: Effect.sync(monotonic),
      sleep: (duration) =>
        Effect.callback((resume) => {
          const cancel = this.world.after(
            this,
            Duration.toMillis(duration) * this.slowness,
            () => resume(Effect.void)
          )
          return Effect.sync(cancel)
        })
    }
  }
}

/** As the platform's own scheduler does. */
const yieldAfterOperations = 2048

const isEarlier = (left: Timer, right: Timer): boolean =>
  left.atMillis < right.atMillis || (left.atMillis === right.atMillis && left.sequence < right.sequence)

const push = (heap: Array<Timer>, timer: Timer): void => {
  let index = heap.length
  heap.push(timer)
  while (index > 0) {
    const parent = (index - 1) >> 1
    if (!isEarlier(timer, heap[parent]!)) break
    heap[index] = heap[parent]!
    index = parent
  }
  heap[index] = timer
}

const pop = (heap: Array<Timer>): void => {
  const last = heap.pop()!
  if (heap.length === 0) return
  let index = 0
  for (;;) {
    let child = 2 * index + 1
    if (child >= heap.length) break
    if (child + 1 < heap.length && isEarlier(heap[child + 1]!, heap[child]!)) child++
    if (!isEarlier(heap[child]!, last)) break
    heap[index] = heap[child]!
    index = child
  }
  heap[index] = last
}
