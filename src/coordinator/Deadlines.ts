/**
 * All deadlines of this node's requests, watched by one fiber that sleeps until the earliest. A fiber and a timer for
 * each would cost more than the rest of the request, and almost all of them are cancelled.
 *
 * Deadlines equally far away when they are set expire in the order in which they were set. So each distance has a list
 * of its own, which is always sorted, and a cancelled deadline leaves its list at once. (Varghese and Lauck, "Hashed
 * and Hierarchical Timing Wheels", SOSP 1987, scheme 2, with a list for each interval.)
 *
 * Invariants
 * - No deadline expires early, except when the scope closes: then all do at once, so that nobody waits for ever.
 * - No deadline expires later than a millisecond after the sleeper wakes.
 * - Nothing sleeps once every deadline has expired or was cancelled and the last sleep is over.
 */
import { Clock, Duration, Effect, type Fiber, type Scope } from "effect"
import { uptimeMillisUnsafe } from "../observability/uptime.ts"

export interface Deadlines {
  /** Milliseconds on a clock that nobody sets. */
  readonly nowMillis: () => number
  /** Calls `expire`, which must not throw, when `nowMillis` reaches `dueAtMillis`, unless it is cancelled before. */
  readonly at: (dueAtMillis: number, expire: () => void) => Deadline
}

export interface Deadline {
  readonly cancel: () => void
}

class Entry implements Deadline {
  previous: Entry = this
  next: Entry = this
  readonly dueAtMillis: number
  readonly expire: () => void

  constructor(dueAtMillis: number, expire: () => void) {
    this.dueAtMillis = dueAtMillis
    this.expire = expire
  }

  cancel(): void {
    this.previous.next = this.next
    this.next.previous = this.previous
    this.previous = this.next = this
  }
}

/** A circle of entries. The first one stands for the list itself. */
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
  let sleepsUntilMillis = Number.POSITIVE_INFINITY
  let isClosed = false

  const nowMillis = () => uptimeMillisUnsafe(clock)

  const listOf = (distanceMillis: number): Entry => {
    const known = lists.get(distanceMillis)
    if (known !== undefined) return known
    const list = makeList()
    lists.set(distanceMillis, list)
    return list
  }

  const sleepUntil = (dueAtMillis: number, fromMillis: number) => {
    sleeper?.interruptUnsafe()
    sleepsUntilMillis = dueAtMillis
    const millis = Math.ceil(dueAtMillis - fromMillis)
    sleeper = run(Effect.andThen(millis > 0 ? clock.sleep(Duration.millis(millis)) : Effect.yieldNow, sweep))
  }

  const expireUntil = (untilMillis: number) => {
    for (const list of lists.values()) {
      for (let first = list.next; first !== list && first.dueAtMillis <= untilMillis; first = list.next) {
        first.cancel()
        first.expire()
      }
    }
  }

  const sleepUntilEarliest = () => {
    let earliestMillis = Number.POSITIVE_INFINITY
    for (const [distanceMillis, list] of lists) {
      if (list.next === list) lists.delete(distanceMillis)
      else earliestMillis = Math.min(earliestMillis, list.next.dueAtMillis)
    }
    sleepsUntilMillis = Number.POSITIVE_INFINITY
    if (earliestMillis < sleepsUntilMillis) sleepUntil(earliestMillis, nowMillis())
  }

  const sweep = Effect.sync(() => {
    sleeper = undefined
    // An expiring deadline may set new ones. The next sleep is chosen when all have expired.
    sleepsUntilMillis = Number.NEGATIVE_INFINITY
    try {
      expireUntil(nowMillis())
    } finally {
      sleepUntilEarliest()
    }
  })

  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      isClosed = true
      sleeper?.interruptUnsafe()
      // Otherwise a deadline set after this would wait for a sleeper that is gone.
      sleeper = undefined
      sleepsUntilMillis = Number.POSITIVE_INFINITY
      expireUntil(Number.POSITIVE_INFINITY)
    })
  )

  return {
    nowMillis,
    at: (dueAtMillis, expire) => {
      const setAtMillis = nowMillis()
      const distanceMillis = isClosed ? 0 : Math.max(0, Math.ceil(dueAtMillis - setAtMillis))
      const entry = new Entry(setAtMillis + distanceMillis, expire)
      append(listOf(distanceMillis), entry)
      if (entry.dueAtMillis < sleepsUntilMillis) sleepUntil(entry.dueAtMillis, setAtMillis)
      return entry
    }
  }
})
