/**
 * Rules that always hold, checked while the store runs: for each manifest, each write, and each table that
 * takes the place of a memtable or of other tables. A broken rule is a defect: nothing that breaks it is written.
 *
 * Pure: each check returns the rule that is broken, in words, or `undefined`.
 */
import { Effect, Schema } from "effect"
import { DiskError } from "../disk/StorageError.ts"
import type { Cell } from "../domain/cell/Cell.ts"
import { compare, keyBytesMax } from "../domain/Key.ts"
import type { TableProperties } from "./sstable/TableIndex.ts"

export class BrokenRule extends Schema.TaggedError<BrokenRule>()("BrokenRule", {
  during: Schema.String,
  rule: Schema.String
}) {
  override get message() {
    return `${this.during} was stopped, and nothing of it counts: ${this.rule}`
  }
}

export const stop = (during: string, rule: string): Effect.Effect<never> => Effect.die(new BrokenRule({ during, rule }))

export const holds = (during: string, broken: string | undefined): Effect.Effect<void> =>
  broken === undefined ? Effect.void : stop(during, broken)

/** Undoes preparations when a rule stopped the effect before it wrote anything. */
export const onBroken = (undo: Effect.Effect<void>) =>
  Effect.tapDefect((defect) => defect instanceof BrokenRule ? undo : Effect.void)

/** For callers that wait for work that broke a rule, because it will break the rule again. */
export const refusal = (operation: string, path: string): DiskError =>
  new DiskError({ operation, path, code: "BROKEN_RULE" })

/** The contents of a manifest. */
export interface Contents {
  readonly tables: ReadonlyArray<TableProperties & { readonly id: number; readonly level: number }>
  readonly logs: ReadonlyArray<number>
  readonly holes: ReadonlyArray<{ readonly from: string; readonly to: string; readonly counterMax: number }>
  readonly counterMax: number
}

/** `nextFile` is above the numbers of all files. */
export const ofManifest = (contents: Contents, nextFile = Number.POSITIVE_INFINITY): string | undefined => {
  const { counterMax, holes, logs, tables } = contents
  const files = new Set<number>()
  const ofFile = (id: number): string | undefined => {
    if (!Number.isSafeInteger(id) || id < 1 || id >= nextFile) return `the file ${id} is not below ${nextFile}`
    if (files.has(id)) return `the file ${id} is named twice`
    files.add(id)
    return undefined
  }
  for (let index = 0; index < tables.length; index++) {
    const table = tables[index]!
    const broken = ofFile(table.id) ?? ofTable(table, counterMax) ?? ofNeighbours(tables[index - 1], table)
    if (broken !== undefined) return broken
  }
  for (let index = 0; index < logs.length; index++) {
    if (index > 0 && logs[index - 1]! > logs[index]!) return `the log ${logs[index]} is behind a later one`
    const broken = ofFile(logs[index]!)
    if (broken !== undefined) return broken
  }
  for (const hole of holes) {
    if (compare(hole.from, hole.to) >= 0) return `a hole from ${JSON.stringify(hole.from)} has no keys`
    if (hole.counterMax > counterMax) return `a hole has the counter ${hole.counterMax}, above ${counterMax}`
  }
  return undefined
}

const ofTable = (
  { cells, counterMax, id, keyMax, keyMin, sizeBytes, tombstones }: Contents["tables"][number],
  counterMost: number
): string | undefined => {
  if (cells < 1 || tombstones < 0 || tombstones > cells || sizeBytes < 1) {
    return `the table ${id} has ${cells} cells, ${tombstones} tombstones and ${sizeBytes} bytes`
  }
  if (compare(keyMin, keyMax) > 0) return `the table ${id} ends before it begins`
  return counterMax > counterMost ? `the table ${id} has the counter ${counterMax}, above ${counterMost}` : undefined
}

/** Tables come level by level, and on all but level 0 by key. */
const ofNeighbours = (left: Contents["tables"][number] | undefined, right: Contents["tables"][number]) => {
  if (left === undefined || left.level < right.level || (left.level === 0 && right.level === 0)) return undefined
  return left.level > right.level || compare(left.keyMax, right.keyMin) >= 0
    ? `the tables ${left.id} and ${right.id} of level ${right.level} overlap or are out of order`
    : undefined
}

const nodeIdLengthMax = 255
const incarnationLength = 12

/** Cells that the log can give back as they are. */
export const ofBatch = (cells: ReadonlyArray<Cell>): string | undefined => {
  for (const { key, version: { counter, incarnation, nodeId } } of cells) {
    if (key.length === 0 || key.length > keyBytesMax) return `a key has ${key.length} characters`
    if (!Number.isSafeInteger(counter) || counter < 0) return `a counter is ${counter}`
    if (nodeId.length === 0 || nodeId.length > nodeIdLengthMax || incarnation.length !== incarnationLength) {
      return `a version names the node ${JSON.stringify(nodeId)} and the incarnation ${JSON.stringify(incarnation)}`
    }
  }
  return undefined
}

type Counted = Omit<TableProperties, "sizeBytes">

const describe = ({ cells, counterMax, keyMax, keyMin, tombstones }: Counted) =>
  `${cells} cells (${tombstones} tombstones) from ${JSON.stringify(keyMin)} to ${JSON.stringify(keyMax)} ` +
  `with counters up to ${counterMax}`

/** A table that holds what its memtable held. */
export const ofFlush = (table: Counted, memtable: Counted): string | undefined =>
  describe(table) === describe(memtable)
    ? undefined
    : `the table has ${describe(table)}, the memtable ${describe(memtable)}`

/** Tables that hold what their sources held; less when tombstones were left out or damage took cells (`isLess`). */
export const ofMerge = (
  sources: ReadonlyArray<Counted>,
  merged: ReadonlyArray<Counted>,
  isLess: boolean
): string | undefined => {
  if (merged.length === 0) return isLess || sources.length === 0 ? undefined : "nothing is left of the tables"
  const before = sumOf(sources)
  const after = sumOf(merged)
  const isMore = after.cells > before.cells || after.counterMax > before.counterMax ||
    compare(after.keyMin, before.keyMin) < 0 || compare(after.keyMax, before.keyMax) > 0
  const isWhole = after.counterMax === before.counterMax && after.keyMin === before.keyMin &&
    after.keyMax === before.keyMax && sources.every(({ cells }) => cells <= after.cells)
  return isMore || !(isWhole || isLess) ? `${describe(before)} became ${describe(after)}` : undefined
}

const sumOf = (tables: ReadonlyArray<Counted>): Counted =>
  tables.reduce((left, right) => ({
    cells: left.cells + right.cells,
    tombstones: left.tombstones + right.tombstones,
    keyMin: compare(left.keyMin, right.keyMin) <= 0 ? left.keyMin : right.keyMin,
    keyMax: compare(left.keyMax, right.keyMax) >= 0 ? left.keyMax : right.keyMax,
    counterMax: Math.max(left.counterMax, right.counterMax)
  }))
