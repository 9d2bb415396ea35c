/** Performs an operation on the store and on the model, and compares the answers. */
import { Cause, Effect, Exit, Scope, Stream } from "effect"
import { DiskError, type StorageError } from "../../src/disk/StorageError.ts"
import type { Cell } from "../../src/domain/cell/Cell.ts"
import * as CellModule from "../../src/domain/cell/Cell.ts"
import type { Key } from "../../src/domain/Key.ts"
import { orGiveUp } from "../storage/crashes/giveUp.ts"
import * as compare from "./compare.ts"
import * as Model from "./Model.ts"
import { cellOf, type Operation } from "./Operation.ts"
import * as Run from "./Run.ts"
import * as Slots from "./Slots.ts"

type Of<Tag extends Operation["_tag"]> = Extract<Operation, { readonly _tag: Tag }>
type Performed = Effect.Effect<void, StorageError | Run.Mismatch>

const ensure = (problem: string | undefined): Effect.Effect<void, Run.Mismatch> =>
  problem === undefined ? Effect.void : Effect.fail(new Run.Mismatch({ problem }))

/** `isRetry`: a crash interrupted the operation, so it may have happened already. */
export const perform = (run: Run.Run, operation: Operation, isRetry: boolean): Performed => {
  switch (operation._tag) {
    case "apply":
      return apply(run, operation, isRetry)
    case "get":
      return get(run, operation.key)
    case "version":
      return version(run, operation.key)
    case "scan":
      return scan(run, operation)
    case "open stream":
      return openStream(run, operation)
    case "pull":
      return pull(run, operation.slot)
    case "close stream":
      return Slots.closeStream(run.slots, operation.slot)
    case "open view":
      return openView(run, operation.slot)
    case "close view":
      return Slots.closeView(run.slots, operation.slot)
    case "view get":
      return viewGet(run, operation)
    case "open cursor":
      return openCursor(run, operation)
    case "next":
      return next(run, operation)
    case "seek":
      return seek(run, operation)
    case "flush":
      return orGiveUp(run.life.subject.flush, () => Run.isDead(run))
    case "compact":
      return Effect.andThen(orGiveUp(run.life.subject.compact, () => Run.isDead(run)), Run.checkFollower(run))
    case "verify":
      return verify(run)
    case "snapshot":
      return snapshot(run)
    case "pause":
      return pause(operation)
    case "restart":
      return Run.restart(run)
    case "crash":
      return Run.crash(run, operation.kill, operation.againAt)
    case "crash soon":
      return Effect.sync(() => Run.crashAt(run, operation.disk, operation.kill, operation.againAt))
  }
}

/** The calls of an operation, without cells to which this store's answer is open. */
export const callsOf = (run: Run.Run, { calls }: Of<"apply">): ReadonlyArray<ReadonlyArray<Cell>> => {
  const cells = calls.map((call) => call.map(cellOf))
  if (!run.purges) return cells
  // A purging store may or may not know the tombstone that supersedes an older cell.
  const model = Model.copy(run.model)
  return cells.map((call) =>
    call.filter((cell) => {
      const before = Model.get(model, cell.key)
      if (before !== undefined && before.value === undefined && CellModule.compare(cell, before) <= 0) return false
      Model.take(model, cell)
      return true
    })
  )
}

const apply = Effect.fnUntraced(function*(run: Run.Run, operation: Of<"apply">, isRetry: boolean) {
  const calls = callsOf(run, operation)
  const { subject } = run.life
  const answers = yield* Effect.all(calls.map((call) => subject.apply(call)), { concurrency: "unbounded" })
  for (const [index, call] of calls.entries()) {
    for (const [place, cell] of call.entries()) {
      const problem = compare.applied(Model.take(run.model, cell), answers[index]![place])
      if (!isRetry && problem !== undefined) {
        yield* ensure(`${compare.describe(cell)}, number ${place + 1} of call ${index + 1}: ${problem}`)
      }
    }
    if (answers[index]!.length !== call.length) yield* ensure(`${call.length} cells, ${answers[index]!.length} answers`)
  }
})

const get = Effect.fnUntraced(function*(run: Run.Run, key: string) {
  const found = yield* run.life.subject.get(key as Key)
  yield* ensure(compare.cells(Model.get(run.model, key), found, run.purges))
})

const version = Effect.fnUntraced(function*(run: Run.Run, key: string) {
  const found = yield* run.life.subject.version(key as Key)
  yield* ensure(compare.versions(Model.get(run.model, key), found, run.purges))
})

const scan = Effect.fnUntraced(function*(run: Run.Run, { limit, range }: Of<"scan">) {
  const expected = Model.select(run.model, range)
  const stream = run.life.subject.scan(range)
  const found = yield* Stream.runCollect(limit === undefined ? stream : Stream.take(stream, limit))
  const at = compare.walk(expected, 0, found, run.purges)
  if (typeof at === "string") return yield* ensure(at)
  const isEnd = compare.isEnd(expected, at, run.purges)
  if (limit !== undefined && found.length > limit) return yield* ensure(`${found.length} cells of ${limit}`)
  if (found.length !== limit && !isEnd) yield* ensure(missing(expected, at))
  if (limit === undefined) yield* Run.checkFollower(run)
})

const missing = (expected: ReadonlyArray<Cell>, at: number) =>
  `it ends at place ${at} of ${expected.length}, before ${compare.describe(expected[at])}`

const openStream = Effect.fnUntraced(function*(run: Run.Run, { range, slot }: Of<"open stream">) {
  yield* Slots.closeStream(run.slots, slot)
  const scope = yield* Scope.make()
  const pulling = yield* Stream.toPull(run.life.subject.scan(range)).pipe(Scope.provide(scope))
  run.slots.streams.set(slot, { pull: pulling, scope, expected: Model.select(run.model, range), at: 0 })
  // A stream begins with its first cells.
  yield* pull(run, slot)
})

const pull = Effect.fnUntraced(function*(run: Run.Run, slot: number) {
  const open = run.slots.streams.get(slot)
  if (open === undefined) return
  const exit = yield* Effect.exit(open.pull)
  if (Exit.isFailure(exit)) {
    const failure = exit.cause.reasons.find(Cause.isFailReason)?.error
    if (failure === undefined) return yield* Effect.die(Cause.squash(exit.cause))
    if (!Cause.isDone(failure)) return yield* Effect.fail(failure)
    yield* Slots.closeStream(run.slots, slot)
    if (!compare.isEnd(open.expected, open.at, run.purges)) yield* ensure(missing(open.expected, open.at))
    return
  }
  const at = compare.walk(open.expected, open.at, exit.value, run.purges)
  if (typeof at === "string") return yield* ensure(at)
  open.at = at
})

const openView = Effect.fnUntraced(function*(run: Run.Run, slot: number) {
  yield* Slots.closeView(run.slots, slot)
  const scope = yield* Scope.make()
  const view = yield* run.life.subject.view.pipe(Scope.provide(scope))
  run.slots.views.set(slot, { view, scope, model: Model.copy(run.model) })
})

const viewGet = Effect.fnUntraced(function*(run: Run.Run, { key, slot }: Of<"view get">) {
  const open = run.slots.views.get(slot)
  if (open === undefined) return
  const found = yield* open.view.get(key as Key)
  yield* ensure(compare.cells(Model.get(open.model, key), found, run.purges))
})

const openCursor = Effect.fnUntraced(function*(run: Run.Run, { range, slot, view }: Of<"open cursor">) {
  const open = run.slots.views.get(view)
  if (open === undefined) return
  const cursor = yield* open.view.cursor(range)
  const expected = Model.select(open.model, range)
  run.slots.cursors.set(slot, { cursor, view, expected, at: 0, reverse: range.reverse === true })
})

const next = Effect.fnUntraced(function*(run: Run.Run, { count, slot }: Of<"next">) {
  const open = run.slots.cursors.get(slot)
  if (open === undefined) return
  const found = yield* open.cursor.next(count)
  if (found.length > count) yield* ensure(`${found.length} cells, asked for ${count}`)
  const at = compare.walk(open.expected, open.at, found, run.purges)
  if (typeof at === "string") return yield* ensure(at)
  open.at = at
  if (found.length === 0 && !compare.isEnd(open.expected, at, run.purges)) yield* ensure(missing(open.expected, at))
})

const seek = Effect.fnUntraced(function*(run: Run.Run, { key, slot }: Of<"seek">) {
  const open = run.slots.cursors.get(slot)
  if (open === undefined) return
  yield* open.cursor.seek(key)
  open.at = Model.positionAt(open.expected, key, open.reverse)
})

/** A read that fails because the disk is off is no damage. */
const verify = Effect.fnUntraced(function*(run: Run.Run) {
  const { damage, holes } = yield* run.life.subject.verify
  if (Run.isDead(run)) return yield* new DiskError({ operation: "verify", path: "data", code: "KILLED" })
  const found = [...damage, ...holes][0]
  if (found !== undefined) yield* ensure(`${found.file} is damaged: ${found.reason}`)
})

const snapshot = Effect.fnUntraced(function*(run: Run.Run) {
  const directory = `snapshots/${run.snapshots++}`
  yield* Effect.catchTag(run.life.subject.snapshot(directory), "SnapshotDirectoryTaken", Effect.die)
  const expected = Model.select(run.model, {})
  const at = compare.walk(expected, 0, yield* Run.readSnapshot(run, directory), run.purges)
  if (typeof at === "string") return yield* ensure(`of the snapshot ${at}`)
  if (!compare.isEnd(expected, at, run.purges)) yield* ensure(`the snapshot: ${missing(expected, at)}`)
})

const pause = Effect.fnUntraced(function*({ millis, turns }: Of<"pause">) {
  for (let turn = 0; turn < turns; turn++) yield* Effect.yieldNow
  if (millis > 0) yield* Effect.sleep(millis)
})
