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
import * as Bytes from "../domain/bytes.ts"
import type { Cell } from "../domain/cell/Cell.ts"
import * as cellCodec from "../domain/cell/cellCodec.ts"
import * as Metrics from "../observability/Metrics.ts"
import type { Applied } from "./Applied.ts"
import * as decide from "./decide.ts"
import * as Memtable from "./memtable/Memtable.ts"
import { install, logPath, type State } from "./State.ts"
import * as frame from "./wal/frame.ts"
import * as RecordLog from "./wal/RecordLog.ts"

export interface Writer {
  readonly apply: (
    cells: ReadonlyArray<Cell>,
    options?: { readonly ignoreDamage: boolean }
  ) => Effect.Effect<ReadonlyArray<Applied>, StorageError>
  /** Completes when everything applied before it is in tables. */
  readonly flush: Effect.Effect<void, StorageError>
  /** Runs for as long as the store is open. */
  readonly run: Effect.Effect<never>
  /** Once a second: syncs with `FSYNC=interval`, and tries whether a log that refused takes writes again. */
  readonly tick: Effect.Effect<void>
  /** Refuses what waits and what comes, and closes the log. */
  readonly close: Effect.Effect<void>
}

/** One call of `apply`, waiting. */
interface Write extends decide.Write {
  readonly resume: (answer: Effect.Effect<ReadonlyArray<Applied>, StorageError>) => void
}

/** One call of `flush`, waiting. */
type FlushRequest = (outcome: Effect.Effect<void, StorageError>) => void

/** A round larger than this would hold the event loop for long; the rest goes in the next. */
const cellsPerRoundMax = 4096

/** Values taken into one round, give or take one write: each is in memory a second time while the round is logged. */
const valueBytesPerRoundMax = 8 * 1024 * 1024

/** Waiting at most this long, a writer is slowed but no request runs into its timeout. */
const slowdownMillisMax = 50

/** Holds the usual round. */
const bufferBytes = 1024 * 1024

/** How much larger than its memtable a log may grow. */
const logFactor = 4

/** How many times the flushed tables that start a compaction may wait for one before writers are slowed. */
const level0Slack = 3

export const make = (state: State): Writer => {
  const { disk, settings } = state
  let waiting: Array<Write> = []
  let flushRequests: Array<FlushRequest> = []
  let ticked = false
  let wake: (() => void) | undefined
  let log: RecordLog.RecordLog | undefined
  /** Whether the log holds cells that were acknowledged, so that it must not be removed when it breaks. */
  let logHoldsCells = false
  /** Created, but not known to be in the manifest: it takes no record before. */
  let unnamed: { readonly id: number; readonly opened: RecordLog.RecordLog } | undefined
  /** Empty logs that broke: removed once the manifest no longer names them. */
  const discarded: Array<number> = []
  let syncNeeded = false
  let closed = false
  const buffer = Bytes.allocateOwn(bufferBytes)

  const wakeUp = () => {
    const waker = wake
    wake = undefined
    waker?.()
  }

  const awaitWork = Effect.callback<void>((resume) => {
    if (waiting.length > 0 || flushRequests.length > 0 || ticked) resume(Effect.void)
    else wake = () => resume(Effect.void)
  })

  const closedError = new DiskError({ operation: "apply", path: settings.directory, code: "CLOSED" })

  // --- the log -------------------------------------------------------------------------------------------------

  const discardBrokenLog = Effect.suspend(() => {
    const broken = log
    if (broken === undefined) return Effect.void
    log = undefined
    // Without cells it is of no use, and while the disk refuses syncs there would be one more at each attempt.
    if (!logHoldsCells) discarded.push(state.active.logs.pop()!)
    return broken.close
  })

  const usableLog = Effect.suspend((): Effect.Effect<RecordLog.RecordLog, StorageError> => {
    if (log !== undefined && !log.isBroken()) return Effect.succeed(log)
    return Effect.andThen(discardBrokenLog, openLog)
  })

  /** A log is named in the manifest before it holds anything, so that its loss is noticed. */
  const openLog = Effect.gen(function*() {
    const { id, opened } = unnamed ??= yield* createLog
    yield* install(state, (now) => ({ ...now, logs: [...now.logs, id] }), () => state.active.logs.push(id))
    unnamed = undefined
    log = opened
    logHoldsCells = false
    for (const broken of discarded.splice(0)) yield* Effect.ignore(disk.remove(logPath(settings.directory, broken)))
    return opened
  })

  const createLog = Effect.suspend(() => {
    const id = state.nextFile++
    const path = logPath(settings.directory, id)
    return RecordLog.open(disk, path, 0).pipe(
      Effect.tapError(() => Effect.ignore(disk.remove(path))),
      Effect.map((opened) => ({ id, opened }))
    )
  })

  const syncLog = (current: RecordLog.RecordLog) =>
    Effect.suspend(() => {
      state.syncs++
      return Metrics.timed(current.sync, Metrics.logSynced)
    })

  /** Room for a header, then the cells. A large round gets a buffer of its own, which is not kept. */
  const encode = (cells: ReadonlyArray<Cell>): Uint8Array => {
    let needed = frame.headerBytes
    for (const cell of cells) needed += cellCodec.sizeMax(cell)
    const target = needed > buffer.length ? Bytes.allocateOwn(needed) : buffer
    let end = frame.headerBytes
    for (const cell of cells) end = cellCodec.encode(cell, target, end)
    return target.subarray(0, end)
  }

  const append = Effect.fnUntraced(function*(cells: ReadonlyArray<Cell>) {
    const current = yield* usableLog
    const before = current.sizeBytes()
    yield* current.appendFramed(encode(cells))
    if (settings.fsync === "always") yield* syncLog(current)
    else syncNeeded = true
    logHoldsCells ||= cells.length > 0
    state.active.logBytes += current.sizeBytes() - before
  })

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
      const failure = yield* Effect.match(append(round.accepted), { onFailure: same, onSuccess: nothing })
      state.logFailure = failure
      if (failure !== undefined) return refuseRound(writes, round, failure)
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

  /** What was decided without the cells of this round still holds. */
  const refuseRound = (writes: ReadonlyArray<Write>, round: decide.Round, failure: StorageError) => {
    round.withdraw()
    for (const write of writes) write.resume(write.needsLog ? Effect.fail(failure) : decide.answerOf(write))
  }

  // --- the memtable's turn -------------------------------------------------------------------------------------

  /** Puts an empty memtable in the place of the active one. Only while none is being flushed. */
  const turnOver = Effect.gen(function*() {
    if (log !== undefined) {
      if (!log.isBroken() && settings.fsync !== "never") yield* Effect.ignore(log.vouch)
      yield* log.close
      log = undefined
    }
    syncNeeded = false
    state.flushing = state.active
    state.active = Memtable.make()
    state.flushWanted.openUnsafe()
  })

  const flushOutcome = Effect.callback<StorageError | undefined>((resume) => {
    if (state.flushing === undefined) resume(Effect.undefined)
    else state.flushWaiters.push((failure) => resume(Effect.succeed(failure)))
  })

  /** Whether `makeRoom` would do nothing, as before nearly every round. */
  const hasRoom = () =>
    state.active.sizeBytes < settings.memtableBytesMax &&
    state.active.logBytes < logFactor * settings.memtableBytesMax &&
    lagOf() <= 0

  /** How far the flusher or the compactor is behind: above 0, writers are slowed, at 1 as much as is bearable. */
  const lagOf = () => {
    const level0Most = level0Slack * settings.level0Tables
    return Math.max(
      state.active.sizeBytes / settings.memtableBytesMax - 1,
      (state.levels[0]!.length - level0Most) / level0Most
    )
  }

  /** Makes room in memory: turns the memtable over when it is full, and slows writers down while flushes lag. */
  const makeRoom = Effect.gen(function*() {
    const { memtableBytesMax } = settings
    // Overwrites of a few keys fill the log and not the memtable; recovery reads the log, so it is bounded as well.
    const isFull = state.active.sizeBytes >= memtableBytesMax || state.active.logBytes >= logFactor * memtableBytesMax
    if (isFull && state.flushing === undefined) {
      return yield* Effect.uninterruptible(turnOver)
    }
    if (state.active.sizeBytes >= 2 * memtableBytesMax) {
      const failure = state.flushFailure ?? (yield* flushOutcome)
      if (failure !== undefined) refuseAll(failure)
      return
    }
    const lag = lagOf()
    if (lag > 0) yield* Effect.sleep(Math.min(slowdownMillisMax, Math.ceil(lag * slowdownMillisMax)))
  })

  const refuseAll = (failure: StorageError) => {
    const refused = waiting
    waiting = []
    for (const write of refused) write.resume(Effect.fail(failure))
  }

  /** Never waits for a flush, or writes would wait as well. */
  const serveFlushes = Effect.gen(function*() {
    const requests = flushRequests
    flushRequests = []
    if (state.flushing !== undefined) {
      // What is on its way to a table has to be out of the way first.
      state.flushWaiters.push((failure) => failure === undefined ? askAgain(requests) : tell(requests, failure))
    } else if (state.active.entries.size > 0) {
      state.flushWaiters.push((failure) => tell(requests, failure))
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
    if (log === undefined || log.isBroken()) return
    const failure = yield* Effect.match(syncLog(log), { onFailure: same, onSuccess: nothing })
    syncNeeded = false
    if (failure === undefined) return
    // Acknowledged cells may be lost from the log now; a table brings them to the disk another way.
    state.logFailure = failure
    if (state.flushing === undefined && state.active.entries.size > 0) yield* turnOver
  })

  const serveTick = Effect.suspend(() => {
    ticked = false
    if (settings.fsync === "interval" && syncNeeded) return syncNow
    return state.logFailure === undefined ? Effect.void : probe
  })

  const probe = Effect.gen(function*() {
    state.logFailure = yield* Effect.match(append([]), { onFailure: same, onSuccess: nothing })
  })

  return {
    apply: (cells, options) =>
      Effect.callback((resume) => {
        if (closed) return resume(Effect.fail(closedError))
        const ignoreDamage = options?.ignoreDamage === true
        waiting.push({ cells, applied: [], needsLog: false, failure: undefined, ignoreDamage, resume })
        wakeUp()
      }),
    flush: Effect.callback((resume) => closed ? resume(Effect.fail(closedError)) : askAgain([resume])),
    run: Effect.forever(Effect.gen(function*() {
      yield* awaitWork
      // Whatever else arrives in this turn of the event loop goes in the same round.
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
    close: Effect.suspend(() => {
      closed = true
      refuseAll(closedError)
      tell(flushRequests, closedError)
      for (const waiter of state.flushWaiters) waiter(closedError)
      for (const waiter of state.compactionRequests.splice(0)) waiter(closedError)
      for (const waiter of state.compactionWaiters.splice(0)) waiter(closedError)
      const unused = unnamed === undefined ? Effect.void : unnamed.opened.close
      if (log === undefined) return unused
      const vouched = log.isBroken() || settings.fsync === "never" ? Effect.void : Effect.ignore(log.vouch)
      return Effect.andThen(vouched, Effect.andThen(log.close, unused))
    })
  }
}

const same = (failure: StorageError): StorageError | undefined => failure
const nothing = (): StorageError | undefined => undefined
