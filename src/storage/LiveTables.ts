/**
 * The tables that are the store, the ranges of keys of which cells were lost, and the numbers of its files: what the
 * manifest says, beside the tables that are open.
 *
 * Everything changes by `install`, which writes the manifest first. Levels and holes are replaced and never
 * changed, so a holder has a consistent set.
 */
import { Effect, type Scope, Semaphore } from "effect"
import type { Disk } from "../disk/Disk.ts"
import type { StorageError } from "../disk/StorageError.ts"
import * as Levels from "./Levels.ts"
import * as lookUp from "./lookUp.ts"
import type { Hole } from "./manifest/Holes.ts"
import * as Manifest from "./manifest/Manifest.ts"
import type { Memtables } from "./memtable/Memtables.ts"
import * as Table from "./sstable/Table.ts"

export interface Contents {
  readonly levels: Levels.Levels
  readonly holes: ReadonlyArray<Hole>
  /** Logs that hold cells which are in no table, oldest first. */
  readonly logs: ReadonlyArray<number>
}

export class LiveTables {
  private contents: Pick<Contents, "levels" | "holes">
  private lookedInto: lookUp.Tables
  private next: number
  /** Opened, and not live so far. */
  private readonly made = new Set<Table.Table>()
  private readonly disk: Disk["Service"]
  private readonly directory: string
  private readonly memtables: Memtables
  /** One change of the manifest at a time. */
  private readonly lock = Semaphore.makeUnsafe(1)

  constructor(
    disk: Disk["Service"],
    directory: string,
    memtables: Memtables,
    recovered: { readonly nextFile: number } & Pick<Contents, "levels" | "holes">
  ) {
    this.disk = disk
    this.directory = directory
    this.memtables = memtables
    // No more than these: what was recovered also holds the first memtable, which would stay in memory with them.
    this.contents = { levels: recovered.levels, holes: recovered.holes }
    this.lookedInto = lookUp.tablesOf(recovered.levels, recovered.holes)
    this.next = recovered.nextFile
  }

  get levels(): Levels.Levels {
    return this.contents.levels
  }

  get holes(): ReadonlyArray<Hole> {
    return this.contents.holes
  }

  /** The same for look-ups. */
  get lookUp(): lookUp.Tables {
    return this.lookedInto
  }

  /** All files, logs and tables alike, have lower numbers. */
  get nextFile(): number {
    return this.next
  }

  /** The number of a new log or table. */
  takeFile(): number {
    return this.next++
  }

  /** Opens a new table. It is closed with the scope if it has not become live by then. */
  open(context: Table.Context, id: number): Effect.Effect<Table.Table, StorageError, Scope.Scope> {
    return Effect.acquireRelease(
      Effect.tap(Table.open(context, id), (table) => Effect.sync(() => this.made.add(table))),
      (table) => this.made.delete(table) ? table.close : Effect.void
    )
  }

  /**
   * Writes the manifest for changed contents and, only when that is durable, makes the change visible. When it fails,
   * nobody knows which manifest the disk holds: try again, and remove no file that either of them names.
   */
  install(change: (now: Contents) => Contents, visible: () => void): Effect.Effect<void, StorageError> {
    return this.lock.withPermit(Effect.suspend(() => {
      const next = change({ ...this.contents, logs: this.memtables.logs })
      return Effect.map(Manifest.write(this.disk, this.directory, this.manifestOf(next), this.next), () => {
        this.contents = next
        this.lookedInto = lookUp.tablesOf(next.levels, next.holes)
        for (const table of Levels.all(next.levels)) this.made.delete(table)
        visible()
      })
    }))
  }

  /** The manifest of these contents. */
  manifestOf({ holes, levels, logs }: Contents): Manifest.Manifest {
    const tables = levels.flatMap((tables, level) => tables.map((table) => ({ ...table, level })))
    return { tables, logs, holes, counterMax: this.memtables.counterMax }
  }
}
