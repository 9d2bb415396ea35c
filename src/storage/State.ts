/**
 * Shared by the engine's parts. Each group of mutable fields has one owner, which says who may change it and how; the
 * rest never changes.
 */
import type { Effect } from "effect"
import type { Fsync } from "../config/NodeConfig.ts"
import type { Disk } from "../disk/Disk.ts"
import type { Metrics } from "../observability/Metrics.ts"
import type { Compactions } from "./Compactions.ts"
import { Figures } from "./Figures.ts"
import { Flushes } from "./Flushes.ts"
import type * as Levels from "./Levels.ts"
import { LiveTables } from "./LiveTables.ts"
import type { Hole } from "./manifest/Holes.ts"
import type * as Memtable from "./memtable/Memtable.ts"
import { Memtables } from "./memtable/Memtables.ts"
import type * as Table from "./sstable/Table.ts"

export interface Settings {
  readonly directory: string
  readonly fsync: Fsync
  readonly memtableBytesMax: number
  /** Drawn for each memtable but the first: it is full at this share of its greatest size. */
  readonly fullShare: Effect.Effect<number>
  readonly blockBytes: number
  readonly bloomBitsPerKey: number
  /** Where compaction splits what it writes. */
  readonly tableBytes: number
  readonly levelBytes: number
  readonly level0Tables: number
  readonly tombstones: "keep" | "purge"
  /**
   * Whether `apply` tells if a value was replaced. Without it, a cell that is newer than all that tables hold is taken
   * without asking any: `replaced` is then `false` unless memory knows better.
   */
  readonly tellsReplaced: boolean
}

export interface State {
  readonly disk: Disk["Service"]
  readonly settings: Settings
  readonly context: Table.Context
  readonly memtables: Memtables
  readonly tables: LiveTables
  readonly flushes: Flushes
  readonly compactions: Compactions
  readonly figures: Figures
  readonly metrics: Metrics["Service"]
}

/** Found in the directory by recovery. */
export interface Recovered {
  readonly active: Memtable.Memtable
  readonly levels: Levels.Levels
  readonly holes: ReadonlyArray<Hole>
  readonly nextFile: number
  readonly counterMax: number
}

export const make = (
  settings: Settings,
  context: Table.Context,
  compactions: Compactions,
  recovered: Recovered,
  metrics: Metrics["Service"]
): State => {
  const { disk } = context
  const memtables = new Memtables(recovered.active, recovered.counterMax)
  return {
    disk,
    settings,
    context,
    memtables,
    tables: new LiveTables(disk, settings.directory, memtables, recovered),
    flushes: new Flushes(),
    compactions,
    figures: new Figures(),
    metrics
  }
}
