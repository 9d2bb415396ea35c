/**
 * The one writer: group commit. Calls queue; each round takes all that wait, decides for every cell, appends what was
 * accepted in one write, syncs once, and only then lets it be seen and answers. While a sync is under way the next
 * round collects.
 *
 * Nothing here is an effect per cell: a caller waits in one callback, and a round is plain loops over arrays.
 *
 * Invariants
 * - A cell is visible, and its call answered, only when its record is as durable as `FSYNC` asks.
 * - The memtable is turned over between rounds only, so a cell is always in the memtable whose logs hold it.
 * - A round whose append or sync failed leaves nothing visible, and its log takes no further records.
 *
 * Source: DeWitt et al., "Implementation Techniques for Main Memory Database Systems" (SIGMOD 1984), section 5.2.
 */
import { type Cause, Effect } from "effect"
import { DiskError, type StorageError } from "../disk/StorageError.ts"
import type { Cell } from "../domain/cell/Cell.ts"
import * as ActiveLog from "./ActiveLog.ts"
import type { Applied } from "./Applied.ts"
import * as assertions from "./assertions.ts"
import * as decide from "./decide.ts"
import type { Hole } from "./manifest/Holes.ts"
import type { State } from "./State.ts"

export interface Writer {
  readonly apply: (
    cells: ReadonlyArray<Cell>,
    options?: { readonly fills: ReadonlyArray<Hole> }
  ) => Effect.Effect<ReadonlyArray<Applied>, StorageError>
  /** Completes when everything applied before it is in tables. */
  readonly flush: Effect.Effect<void, StorageError>
  /** Runs for as long as the store is open. */
  readonly run: Effect.Effect<never>
  /** Once a second: syncs with `FSYNC=interval`, and tries whether a log that refused takes writes again. */
  readonly tick: Effect.Effect<void>
  /** Why writes are refused at the moment, if they are. */
  readonly refusing: () => StorageError | undefined
  /** Refuses what waits and what comes, and closes the log. */
  readonly close: Effect.Effect<void>
}

/** One call of `apply`, waiting. */
interface Write extends decide.Write {
  readonly resume: (answer: Effect.Effect<ReadonlyArray<Applied>, StorageError>) => void
}

/** One call of `flush`, waiting. */
type FlushRequest = (outcome: Effect.Effect<void, StorageError>) => void

const noHoles: ReadonlyArray<Hole> = []

/** A round larger than this would hold the event loop for long; the rest goes in the next. */
const cellsPerRoundMax = 4096

/** Values taken into one round, give or take one write: each is in memory a second time while the round is logged. */
const valueBytesPerRoundMax = 8 * 1024 * 1024

/** Waiting at most this long, a writer is slowed but no request runs into its timeout. */
const slowdownMillisMax = 50

/** How much larger than its memtable a log may grow. */
const logFactor = 4

/** How many times the flushed tables that start a compaction may wait for one before writers are slowed. */
const level0Slack = 3

export const make = (state: State): Writer => {
  const { compactions, flushes, memtables, settings, tables } = state
  let waiting: Array<Write> = []
  let flushRequests: Array<FlushRequest> = []
  let ticked = false
  let wake: (() => void) | undefined
  const log = ActiveLog.make(state)
  /** Why the latest write to the log failed; `undefined` once one has succeeded. */
  let logFailure: StorageError | undefined
  let closed = false
  /** At which size the active memtable is full. */
  let memtableBytes = settings.memtableBytesMax

  const wakeUp = () => {
    const waker = wake
    wake = undefined
    waker?.()
  }

  const awaitWork = Effect.callback<void>((resume) => {
    if (waiting.length > 0 || flushRequests.length > 0 || ticked) resume(Effect.void)
    else wake = () => resume(Effect.void)
  })

  /** Made when it is needed: an error holds what was on the stack, here the memtable that was just recovered. */
  const closedError = () => new DiskError({ operation: "apply", path: settings.directory, code: "CLOSED" })

  // --- a round -------------------------------------------------------------------------------------------------

  const takeRound = (): Array<Write> => {
    let cells = 0
    let valueBytes = 0
    let count = 0
    while (count < waiting.length && cells < cellsPerRoundMax && valueBytes < valueBytesPerRoundMax) {
      const write = waiting[count++]!
      cells += write.cells.length
      for (const { value } of write.cells) valueBytes += value === undefined ? 0 : value.bytes.length
    }
    const taken = count === waiting.length ? waiting : waiting.slice(0, count)
    waiting = count === waiting.length ? [] : waiting.slice(count)
    return taken
  }

  const commit = Effect.fnUntraced(function*(writes: ReadonlyArray<Write>, round: decide.Round) {
    if (!round.decide(writes)) yield* round.complete()
    if (round.accepted.length > 0) {
      logFailure = yield* failureOf(log.append(round.accepted))
      if (logFailure !== undefined) return refuseRound(writes, round, logFailure)
    }
    round.publish()
    for (const write of writes) write.resume(decide.answerOf(write))
  })

  /** A defect leaves nobody waiting, and nothing pending. */
  const abandon = (writes: ReadonlyArray<Write>, round: decide.Round, cause: Cause.Cause<never>) =>
    Effect.sync(() => {
      round.withdraw()
      for (const write of writes) write.resume(Effect.failCause(cause))
    })

  /** Answers that do not depend on the cells of this round still hold. */
  const refuseRound = (writes: ReadonlyArray<Write>, round: decide.Round, failure: StorageError) => {
    round.withdraw()
    for (const write of writes) write.resume(write.needsLog ? Effect.fail(failure) : decide.answerOf(write))
  }

  // --- the memtable's turn -------------------------------------------------------------------------------------

  /** Puts an empty memtable in the place of the active one. Only while none is being flushed. */
  const turnOver = Effect.andThen(
    log.end,
    Effect.map(settings.fullShare, (share) => {
      memtableBytes = Math.ceil(share * settings.memtableBytesMax)
      memtables.turnOver()
      flushes.request()
    })
  )

  /** Whether `makeRoom` would do nothing, as before nearly every round. */
  const hasRoom = () =>
    memtables.active.sizeBytes < memtableBytes &&
    memtables.active.logBytes < logFactor * memtableBytes &&
    lagOf() <= 0

  /** How far the flusher or the compactor is behind: above 0, writers are slowed, at 1 as much as is bearable. */
  const lagOf = () => {
    const level0Most = level0Slack * settings.level0Tables
    return Math.max(
      memtables.active.sizeBytes / settings.memtableBytesMax - 1,
      (tables.levels[0]!.length - level0Most) / level0Most
    )
  }

  /** Makes room in memory: turns the memtable over when it is full, and slows writers down while flushes lag. */
  const makeRoom = Effect.gen(function*() {
    const { active, flushing } = memtables
    // Overwrites of a few keys fill the log and not the memtable; recovery reads the log, so it is bounded as well.
    const isFull = active.sizeBytes >= memtableBytes || active.logBytes >= logFactor * memtableBytes
    if (isFull && flushing === undefined) return yield* Effect.uninterruptible(turnOver)
    if (isBlocked()) {
      const failure = flushes.failure ?? (yield* failureOf(flushes.waiters.outcome))
      if (failure !== undefined) refuseAll(failure)
      return
    }
    const lag = lagOf()
    if (lag > 0) yield* Effect.sleep(Math.min(slowdownMillisMax, Math.ceil(lag * slowdownMillisMax)))
  })

  /** Memory is full of cells that cannot go to a table. */
  const isBlocked = () => memtables.active.sizeBytes >= 2 * settings.memtableBytesMax

  const refuseAll = (failure: StorageError) => {
    const refused = waiting
    waiting = []
    for (const write of refused) write.resume(Effect.fail(failure))
  }

  /** Never waits for a flush, or writes would wait as well. */
  const serveFlushes = Effect.gen(function*() {
    const requests = flushRequests
    flushRequests = []
    if (memtables.flushing !== undefined) {
      // The memtable that is being flushed comes first.
      flushes.waiters.add((failure) => failure === undefined ? askAgain(requests) : tell(requests, failure))
    } else if (memtables.active.entries.size > 0) {
      flushes.waiters.add((failure) => tell(requests, failure))
      yield* turnOver
    } else tell(requests, undefined)
  })

  const askAgain = (requests: ReadonlyArray<FlushRequest>) => {
    flushRequests.push(...requests)
    wakeUp()
  }

  const tell = (requests: ReadonlyArray<FlushRequest>, failure: StorageError | undefined) => {
    for (const request of requests) request(failure === undefined ? Effect.void : Effect.fail(failure))
  }

  const syncNow = Effect.gen(function*() {
    const failure = yield* failureOf(log.sync)
    if (failure === undefined) return
    // Acknowledged cells may be lost from the log now; a table brings them to the disk another way.
    logFailure = failure
    if (memtables.flushing === undefined && memtables.active.entries.size > 0) yield* turnOver
  })

  const serveTick = Effect.gen(function*() {
    ticked = false
    if (settings.fsync === "interval" && log.needsSync()) yield* syncNow
    else if (logFailure !== undefined) logFailure = yield* failureOf(log.append([]))
  })

  return {
    apply: (cells, options) =>
      Effect.callback((resume) => {
        if (closed) return resume(Effect.fail(closedError()))
        // Here, so that it costs no other call of its round anything.
        const broken = assertions.ofBatch(cells)
        if (broken !== undefined) return resume(assertions.stop("a write", broken))
        const fills = options?.fills ?? noHoles
        waiting.push({ cells, applied: [], needsLog: false, failure: undefined, fills, resume })
        wakeUp()
      }),
    flush: Effect.callback((resume) => closed ? resume(Effect.fail(closedError())) : askAgain([resume])),
    run: Effect.forever(Effect.gen(function*() {
      yield* awaitWork
      // Other calls in this turn of the event loop go in the same round.
      yield* Effect.yieldNow
      if (ticked) yield* Effect.uninterruptible(serveTick)
      if (flushRequests.length > 0) yield* Effect.uninterruptible(serveFlushes)
      if (waiting.length === 0) return
      if (!hasRoom()) yield* makeRoom
      const taken = takeRound()
      const round = new decide.Round(state)
      yield* Effect.uninterruptible(Effect.onError(commit(taken, round), (cause) => abandon(taken, round, cause)))
    })),
    tick: Effect.sync(() => {
      ticked = true
      wakeUp()
    }),
    refusing: () => logFailure ?? (isBlocked() ? flushes.failure : undefined),
    close: Effect.suspend(() => {
      closed = true
      const failure = closedError()
      refuseAll(failure)
      tell(flushRequests, failure)
      flushes.waiters.tell(failure)
      compactions.refuse(failure)
      return log.close
    })
  }
}

const failureOf = (attempt: Effect.Effect<void, StorageError>): Effect.Effect<StorageError | undefined> =>
  Effect.match(attempt, { onFailure: (failure): StorageError | undefined => failure, onSuccess: () => undefined })
