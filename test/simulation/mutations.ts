/** Mistakes that somebody could make, each as a change of the sources that a reviewer could pass over. */
import type { FaultKind } from "../../src/simulation/Schedule.ts"

export interface Mutation {
  readonly name: string
  /** `find` stands in the file exactly once. Files are named from `src`. */
  readonly changes: ReadonlyArray<{ readonly file: string; readonly find: string; readonly replace: string }>
  /** Draws only from these kinds, for mistakes that few of all runs would touch. */
  readonly faults?: ReadonlyArray<FaultKind>
}

/** Tables rot in most of these runs, instead of in one of thirty. */
const rot: ReadonlyArray<FaultKind> = ["bit-rot", "bit-rot", "bit-rot", "bit-rot", "kill", "isolate", "loss"]
/** A machine comes back with an empty disk in most of these runs. */
const emptyDisk: ReadonlyArray<FaultKind> = [
  "lost-disk",
  "lost-disk",
  "lost-disk",
  "lost-disk",
  "kill",
  "isolate",
  "loss"
]
const powerLoss: ReadonlyArray<FaultKind> = ["power", "power-all"]

const one = (
  name: string,
  file: string,
  find: string,
  replace: string,
  faults?: ReadonlyArray<FaultKind>
): Mutation => ({
  name,
  changes: [{ file, find, replace }],
  ...(faults && { faults })
})

export const mutations: ReadonlyArray<Mutation> = [
  // --- durability of one node ------------------------------------------------------------------------------------
  one(
    "acknowledge before the sync",
    "storage/ActiveLog.ts",
    `if (fsync === "always") yield* syncOf(current)`,
    `if (fsync !== "always") yield* syncOf(current)`
  ),
  one(
    "skip the directory sync after a new log",
    "storage/wal/RecordLog.ts",
    `  yield* Effect.tapError(disk.syncDirectory(directoryOf(path)), () => handle.close)\n`,
    ``,
    powerLoss
  ),
  one(
    "skip the directory sync after the manifest",
    "disk/Disk.ts",
    `    yield* disk.syncDirectory(directoryOf(path))\n`,
    ``
  ),
  one(
    "remove the log before the table is in the manifest",
    "storage/Flusher.ts",
    `        yield* assertions.onBroken(discard)(untilDone(state, adopt(state, table)))
`,
    `        for (const log of memtable.logs) yield* Effect.ignore(state.disk.remove(pathOf(directory, log)))
        yield* assertions.onBroken(discard)(untilDone(state, adopt(state, table)))
`
  ),
  one(
    "cut more than the torn tail",
    "storage/wal/RecordLog.ts",
    `payloads: payloadsOf(reading.frames), sizeBytes, tornBytes`,
    `payloads: payloadsOf(reading._tag === "TornTail" ? reading.frames.slice(0, -1) : reading.frames), sizeBytes, tornBytes`
  ),
  one(
    "recover only the newest log",
    "storage/recover.ts",
    `  for (const log of stored.logs) {`,
    `  for (const log of stored.logs.slice(-1)) {`
  ),
  one(
    "forget in the manifest which logs there are",
    "storage/Flusher.ts",
    `      logs: state.memtables.active.logs
`,
    `      logs: []
`
  ),
  one(
    "go on with a log whose append failed",
    "storage/wal/RecordLog.ts",
    `Effect.tapError(handle.append(bytes), () => undo)`,
    `handle.append(bytes)`
  ),
  // --- the merge ------------------------------------------------------------------------------------------------
  one(
    "compare versions by their counters alone",
    "domain/Version.ts",
    `  if (left.nodeId !== right.nodeId) return left.nodeId < right.nodeId ? -1 : 1\n`,
    `  if (left.counter === right.counter) return 0\n`
  ),
  one(
    "resolve ties by who came last",
    "domain/Version.ts",
    `  if (left.nodeId !== right.nodeId) return left.nodeId < right.nodeId ? -1 : 1\n`,
    `  if (left.nodeId !== right.nodeId) return 1\n`
  ),
  one(
    "let a stale cell replace a newer one",
    "storage/decide.ts",
    `    const isNewer = Version.compare(write.cells[index]!.version, stored.version) > 0`,
    `    const isNewer = Version.compare(write.cells[index]!.version, stored.version) !== 0`
  ),
  one(
    "keep the older cell in compaction",
    "storage/compaction/LineSource.ts",
    `    ? byVersion > 0
    : Cell.compare(cellLines`,
    `    ? byVersion < 0
    : Cell.compare(cellLines`
  ),
  one(
    "purge a tombstone at the first compaction",
    "storage/compaction/mergeTables.ts",
    `cellLines.isTombstoneAt(block, end) && leavesOut(source)`,
    `cellLines.isTombstoneAt(block, end)`
  ),
  one(
    "a filter that forgets keys",
    "storage/lookUp.ts",
    `!Bloom.admits(table.index.bloom, hash) ?`,
    `!Bloom.admits(table.index.bloom, hash) || key.endsWith("7") ?`
  ),
  one(
    "look into the first table only",
    "storage/lookUp.ts",
    `  newest !== undefined && cellLines.counterOf(newest) > counterMax`,
    `  newest !== undefined && counterMax > 0`
  ),
  one(
    "publish a cell without telling those who follow",
    "storage/memtable/Memtables.ts",
    `      if (isFollowed) {`,
    `      if (isFollowed && cell.value !== undefined) {`
  ),
  // --- quorums --------------------------------------------------------------------------------------------------
  one(
    "acknowledge at W-1",
    "coordinator/quorum.ts",
    `    if (acks >= wanted) return`,
    `    if (acks >= wanted - 1) return`
  ),
  one(
    "count a superseded write as accepted",
    "coordinator/quorum.ts",
    `      if (answer._tag === "Accepted") {
        acks++
        replaced ||= answer.replaced`,
    `      if (answer._tag !== "Uncounted") {
        acks++
        replaced ||= answer._tag === "Accepted" && answer.replaced`
  ),
  one(
    "acknowledge a superseded write instead of stamping it again",
    "coordinator/Coordinator.ts",
    `          if (verdict._tag === "Acknowledged") {
            return { version, acks: verdict.acks, replicas, replaced: verdict.replaced }`,
    `          if (verdict._tag !== "NotEnough") {
            return { version, acks: 2, replicas, replaced: false }`
  ),
  one(
    "count a hint as an acknowledgement",
    "replicator/Replicator.ts",
    `Effect.tapError(peers.write(replica, cell), () => Effect.sync(() => hints.add(replica, cell)))`,
    `Effect.catch(peers.write(replica, cell), () => Effect.sync(() => {
          hints.add(replica, cell)
          return { _tag: "Accepted", replaced: false }
        }))`
  ),
  one(
    "answer a read with one replica",
    "coordinator/Coordinator.ts",
    `          rule: quorum.count(wanted)`,
    `          rule: quorum.count(1)`
  ),
  one(
    "repair behind the answer",
    "coordinator/ReadRepair.ts",
    `    yield* repairStale(options, cell, stale, wanted - (answers.length - stale.length))`,
    `    attempts.inBackground(
      Effect.ignore(repairStale(options, cell, stale, wanted - (answers.length - stale.length)))
    )`
  ),
  // --- identity and clocks --------------------------------------------------------------------------------------
  one(
    "lose the Lamport clock at restart",
    "clock/LamportClock.ts",
    `      let counter = Math.max(reserved, yield* storage.counterMax)`,
    `      let counter = 0`
  ),
  {
    name: "reuse a version after the loss of a disk",
    changes: [
      {
        file: "disk/Identity.ts",
        find: `incarnation: yield* drawIncarnation, generation: 1`,
        replace: `incarnation: Incarnation.make("000000000000"), generation: 1`
      },
      {
        file: "clock/LamportClock.ts",
        find: `          if (seen <= counter) return true`,
        replace: `          if (seen <= counter || reserved < 200_000) return true`
      }
    ]
  },
  one(
    "measure time by the wall clock",
    "observability/uptime.ts",
    `Number(clock.monotonicTimeNanosUnsafe()) / nanosPerMilli`,
    `clock.currentTimeMillisUnsafe()`
  ),
  // --- recovery and repair --------------------------------------------------------------------------------------
  one(
    "serve reads while recovering",
    "replicator/Replicator.ts",
    `          if (isRecovering()) return Effect.fail(refusal())\n`,
    ``,
    emptyDisk
  ),
  one(
    "count towards writes while recovering",
    "replicator/Replicator.ts",
    `        isRecovering() ? Effect.map(answers, (all) => all.map(uncounted)) : answers`,
    `        answers`,
    emptyDisk
  ),
  one(
    "end recovery after the first comparison",
    "anti-entropy/Reconciler.ts",
    `    if (!partners.othersOf(snapshot, self).every((node) =>`,
    `    if (!partners.othersOf(snapshot, self).some((node) =>`,
    emptyDisk
  ),
  one(
    "drop hints at restart",
    "replication/Hints.ts",
    `    if (!isLoaded) continue\n`,
    `    if (isLoaded) continue\n`
  ),
  one(
    "never compare as a matter of routine",
    "anti-entropy/Reconciler.ts",
    `    known.dueAtMillis = beganAtMillis + restMillis * (yield* Random.nextBetween(0.75, 1.25))`,
    `    known.dueAtMillis = Number.POSITIVE_INFINITY`
  ),
  one(
    "compare without tombstones",
    "anti-entropy/Holdings.ts",
    `              for (const cell of cells) accumulated.add(Partition.of(cell.key, partitions), cell)`,
    `              for (const cell of cells) {
                if (cell.value !== undefined) accumulated.add(Partition.of(cell.key, partitions), cell)
              }`
  ),
  one(
    "close a hole after one replica answered",
    "anti-entropy/LostRanges.ts",
    `  return replicas.length === 0 ? "for`,
    `  replicas.splice(1)
  return replicas.length === 0 ? "for`,
    rot
  ),
  one(
    "close a hole before anybody answered",
    "anti-entropy/LostRanges.ts",
    `    const cells = yield* getBack(`,
    `    const cells = 0 && (`,
    rot
  ),
  one(
    "keep what is there instead of what was given back",
    "anti-entropy/LostRanges.ts",
    `      return order > 0 || (order === 0 && left === mine)`,
    `      return left === mine || (order > 0 && right !== mine)`,
    rot
  ),
  one(
    "serve reads inside holes",
    "storage/lookUp.ts",
    `  holes.find((hole) => Holes.covers(hole, key) && !isSettled(newest, hole.counterMax))`,
    `  holes.find((hole) => Holes.covers(hole, key) && !isSettled(newest, hole.counterMax) && key === "")`,
    rot
  ),
  one(
    "never repair damage",
    "anti-entropy/LostRanges.ts",
    `    if (due.length === 0) return`,
    `    if (due.length >= 0) return`,
    rot
  ),
  // --- messages and membership ----------------------------------------------------------------------------------
  one(
    "hand the answers of a batch to the wrong callers",
    "replication/Batcher.ts",
    `          answer(batch, (index) => Exit.succeed(answers[index]!))`,
    `          answer(batch, (index) => Exit.succeed(answers[answers.length - 1 - index]!))`
  ),
  one(
    "wait for ever for a peer",
    "replication/Peers.ts",
    `  return half.pipe(Effect.andThen(half), Effect.andThen(Effect.suspend(() => Effect.fail(failure()))))`,
    `  return half.pipe(Effect.andThen(Effect.never), Effect.andThen(Effect.suspend(() => Effect.fail(failure()))))`
  )
]
