/**
 * All deadlines of this node's requests, watched by one fiber that sleeps until the earliest: a fiber and a timer for
 * each would cost more than the rest of the request, and almost all of them are cancelled.
 *
 * Deadlines equally far away when they are set fall due in the order in which they are set, so each distance has a
 * list of its own, sorted as it grows, from which a cancelled one is taken at once. (Varghese and Lauck, "Hashed and
 * Hierarchical Timing Wheels", SOSP 1987, scheme 2, with a list for each interval.)
 *
 * Invariants
 * - None falls due early, except when the scope closes: then all do at once, so that nobody waits for ever.
 * - None falls due later than a millisecond and the delay of the sleep.
 * - Nothing sleeps once every deadline was met or cancelled and the one slept for has passed.
 */
import { Clock, Duration, Effect, type Fiber, type Scope } from "effect"
import { uptimeMillisUnsafe } from "../observability/uptime.ts"

export interface Deadlines {
  /** Milliseconds on a clock that nobody sets. */
  readonly now: () => number
  /** Calls `expire` when `now` has reached `due`, unless it was cancelled; it must not throw. */
  readonly at: (due: number, expire: () => void) => Deadline
}

export interface Deadline {
  readonly cancel: () => void
}

class Entry implements Deadline {
  previous: Entry = this
  next: Entry = this
  readonly due: number
  readonly expire: () => void

  constructor(due: number, expire: () => void) {
    this.due = due
    this.expire = expire
  }

  cancel(): void {
    this.previous.next = this.next
    this.next.previous = this.previous
    this.previous = this.next = this
  }
}

/** Circular, through an entry that stands for the list. */
const makeList = () => new Entry(Number.POSITIVE_INFINITY, () => {})

const append = (list: Entry, entry: Entry) => {
  entry.previous = list.previous
  entry.next = list
  list.previous.next = entry
  list.previous = entry
}

/** The sleeping fiber lives in the scope. */
export const make: Effect.Effect<Deadlines, never, Scope.Scope> = Effect.gen(function*() {
  const clock = yield* Clock.Clock
  const run = Effect.runForkWith(yield* Effect.context<never>())
  const lists = new Map<number, Entry>()
  let sleeper: Fiber.Fiber<void> | undefined
  let sleepsUntil = Number.POSITIVE_INFINITY
  let isClosed = false

  const now = () => uptimeMillisUnsafe(clock)

  const listOf = (distanceMillis: number): Entry => {
    const known = lists.get(distanceMillis)
    if (known !== undefined) return known
    const list = makeList()
    lists.set(distanceMillis, list)
    return list
  }

  const sleepUntil = (due: number, nowMillis: number) => {
    sleeper?.interruptUnsafe()
    sleepsUntil = due
    const millis = Math.ceil(due - nowMillis)
    sleeper = run(Effect.andThen(millis > 0 ? clock.sleep(Duration.millis(millis)) : Effect.yieldNow, sweep))
  }

  const expireThose = (nowMillis: number) => {
    for (const list of lists.values()) {
      for (let first = list.next; first !== list && first.due <= nowMillis; first = list.next) {
        first.cancel()
        first.expire()
      }
    }
  }

  const sleepUntilEarliest = () => {
    let earliest = Number.POSITIVE_INFINITY
    for (const [distanceMillis, list] of lists) {
      if (list.next === list) lists.delete(distanceMillis)
      else earliest = Math.min(earliest, list.next.due)
    }
    sleepsUntil = Number.POSITIVE_INFINITY
    if (earliest < sleepsUntil) sleepUntil(earliest, now())
  }

  const sweep = Effect.sync(() => {
    sleeper = undefined
    // Those set by the ones that expire wait until the end.
    sleepsUntil = Number.NEGATIVE_INFINITY
    try {
      expireThose(now())
    } finally {
      sleepUntilEarliest()
    }
  })

  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      isClosed = true
      sleeper?.interruptUnsafe()
      // Or a deadline that is set from now on would count on the one who slept.
      sleeper = undefined
      sleepsUntil = Number.POSITIVE_INFINITY
      expireThose(Number.POSITIVE_INFINITY)
    })
  )

  return {
    now,
    at: (due, expire) => {
      const nowMillis = now()
      const distanceMillis = isClosed ? 0 : Math.max(0, Math.ceil(due - nowMillis))
      const entry = new Entry(nowMillis + distanceMillis, expire)
      append(listOf(distanceMillis), entry)
      if (entry.due < sleepsUntil) sleepUntil(entry.due, nowMillis)
      return entry
    }
  }
})
