/**
 * Rondo's engine as an `abstract-level` database: programs that run on `level` run on it.
 *
 *     import { RondoLevel } from "rondo/level"
 *     const db = new RondoLevel("./db", { valueEncoding: "json" })
 *
 * Level's callers use promises, not effects. docs/abstract-level.md has the promises and the differences to other
 * databases of Level.
 */
import {
  type AbstractBatchOperation,
  type AbstractBatchOptions,
  type AbstractChainedBatch,
  type AbstractDatabaseOptions,
  type AbstractDelOptions,
  AbstractLevel,
  type AbstractPutOptions
} from "abstract-level"
import { Effect } from "effect"
import type { StorageError } from "../disk/StorageError.ts"
import type { Cell } from "../domain/cell/Cell.ts"
import type { Key } from "../domain/Key.ts"
import type { View } from "../storage/Storage.ts"
import { clear, type ClearOptions } from "./clear.ts"
import * as Database from "./Database.ts"
import * as iterators from "./iterators.ts"
import * as keys from "./keys.ts"
import { LevelError } from "./LevelError.ts"
import { hold, Snapshot } from "./Snapshot.ts"
import * as values from "./values.ts"

export interface RondoLevelOptions<K, V> extends AbstractDatabaseOptions<K, V>, Database.EngineOptions {}

export interface SyncOption {
  /** Unless `fsync` is `always`: waits until this write, and all before it, are on the device. */
  readonly sync?: boolean
}

interface ReadOptions {
  readonly valueEncoding: keys.Format
  readonly snapshot?: Snapshot
}

type Operation =
  | { readonly type: "put"; readonly key: keys.Bytes; readonly value: keys.Bytes }
  | { readonly type: "del"; readonly key: keys.Bytes }

/** Keys looked up in one turn of the event loop. */
const keysPerTurn = 256

// oxlint-disable-next-line typescript/no-unsafe-declaration-merging -- see the interface below
export class RondoLevel<K = string, V = string> extends AbstractLevel<keys.Bytes, K, V> {
  /** The directory. */
  readonly location: string
  private database: Database.Database | undefined

  constructor(location: string, options?: RondoLevelOptions<K, V>) {
    if (typeof location !== "string" || location === "") {
      throw new TypeError("The first argument 'location' must be a non-empty string")
    }
    super({
      encodings: { utf8: true, buffer: true, view: true },
      has: true,
      createIfMissing: true,
      errorIfExists: true,
      explicitSnapshots: true,
      signals: { iterators: true }
    }, options)
    this.location = location
  }

  async _open(options: Database.Options) {
    this.database = await Database.open(this.location, options)
  }

  async _close() {
    await this.opened.close()
    this.database = undefined
  }

  _put(key: keys.Bytes, value: keys.Bytes, options: SyncOption) {
    return this.write([this.cellOf({ type: "put", key, value })], options)
  }

  _del(key: keys.Bytes, options: SyncOption) {
    return this.write([this.cellOf({ type: "del", key })], options)
  }

  _batch(operations: ReadonlyArray<Operation>, options: SyncOption) {
    return this.write(operations.map((operation) => this.cellOf(operation)), options)
  }

  _get(key: keys.Bytes, { snapshot, valueEncoding }: ReadOptions) {
    const found = this.find(key, snapshot?.view)
    return found instanceof Promise
      ? found.then((cell) => valueOf(cell, valueEncoding))
      : valueOf(found, valueEncoding)
  }

  async _getMany(many: ReadonlyArray<keys.Bytes>, { snapshot, valueEncoding }: ReadOptions) {
    const cells = await this.findMany(many, snapshot)
    return cells.map((cell) => valueOf(cell, valueEncoding))
  }

  async _has(key: keys.Bytes, { snapshot }: ReadOptions) {
    return isLive(await whileOpen(snapshot, () => this.find(key, snapshot?.view)))
  }

  async _hasMany(many: ReadonlyArray<keys.Bytes>, { snapshot }: ReadOptions) {
    const cells = await whileOpen(snapshot, () => this.findMany(many, snapshot))
    return cells.map(isLive)
  }

  async _clear(options: ClearOptions & { readonly snapshot?: Snapshot }) {
    const database = this.opened
    await this.withView(options.snapshot, (view) => database.bridge.run(clear(database, view, options)))
  }

  _iterator(options: iterators.Options) {
    return iterators.entries(this, this.opened, options)
  }

  _keys(options: iterators.Options) {
    return iterators.keysOnly(this, this.opened, options)
  }

  _values(options: iterators.Options) {
    return iterators.valuesOnly(this, this.opened, options)
  }

  _snapshot(options: object) {
    return new Snapshot(this.opened, options)
  }

  /** Level calls nothing that needs it before `_open` or after `_close`. */
  private get opened(): Database.Database {
    if (this.database === undefined) throw new LevelError("LEVEL_DATABASE_NOT_OPEN", "Database is not open")
    return this.database
  }

  private find(
    key: keys.Bytes,
    from: Pick<View, "get"> = this.opened.engine
  ): Cell | undefined | Promise<Cell | undefined> {
    const stored = keys.encodeKey(key)
    return stored === undefined ? undefined : this.opened.bridge.run(from.get(stored))
  }

  /** Reads all cells from one view. */
  private findMany(many: ReadonlyArray<keys.Bytes>, snapshot: Snapshot | undefined) {
    return this.withView(snapshot, (view) => this.findEach(many, view))
  }

  /** Uses the snapshot's view, or one that is held until `use` is done. */
  private async withView<A>(snapshot: Snapshot | undefined, use: (view: View) => A | Promise<A>): Promise<A> {
    if (snapshot !== undefined) return await use(snapshot.view)
    const { release, view } = hold(this.opened)
    try {
      return await use(view)
    } finally {
      await release()
    }
  }

  private async findEach(many: ReadonlyArray<keys.Bytes>, view: View) {
    const cells: Array<Cell | undefined> = []
    for (let start = 0; start < many.length; start += keysPerTurn) {
      const some = many.slice(start, start + keysPerTurn).map((key) => this.find(key, view))
      for (const cell of await Promise.all(some)) cells.push(cell)
    }
    return cells
  }

  private cellOf(operation: Operation): Cell {
    return {
      key: storable(operation.key),
      version: this.opened.stamp(),
      value: operation.type === "put" ? values.encode(operation.value) : undefined
    }
  }

  private async write(cells: ReadonlyArray<Cell>, { sync }: SyncOption): Promise<void> {
    const { bridge, engine, syncsAlways } = this.opened
    const applied = engine.apply(cells)
    await bridge.run<unknown, StorageError>(
      sync === true && !syncsAlways ? Effect.andThen(applied, engine.flush) : applied
    )
  }
}

/** The same methods, with an option that Level's declarations do not know. */
// oxlint-disable-next-line typescript/no-unsafe-declaration-merging -- declares nothing that the class does not have
export interface RondoLevel<K, V> {
  put(key: K, value: V): Promise<void>
  put<K2 = K, V2 = V>(key: K2, value: V2, options: AbstractPutOptions<K2, V2> & SyncOption): Promise<void>
  del(key: K): Promise<void>
  del<K2 = K>(key: K2, options: AbstractDelOptions<K2> & SyncOption): Promise<void>
  batch(operations: Array<AbstractBatchOperation<this, K, V>>): Promise<void>
  batch<K2 = K, V2 = V>(
    operations: Array<AbstractBatchOperation<this, K2, V2>>,
    options: AbstractBatchOptions<K2, V2> & SyncOption
  ): Promise<void>
  batch(): AbstractChainedBatch<this, K, V>
}

const storable = (key: keys.Bytes): Key => {
  const stored = keys.encodeKey(key)
  if (stored !== undefined) return stored
  throw new LevelError("LEVEL_INVALID_KEY", keys.tooLong(key))
}

const isLive = (cell: Cell | undefined): boolean => cell?.value !== undefined

const valueOf = (cell: Cell | undefined, format: keys.Format) =>
  cell?.value === undefined ? undefined : values.decode(cell.value, format)

/** Level releases the snapshot once it has the promise, before that is settled. */
const whileOpen = async <A>(snapshot: Snapshot | undefined, read: () => A | Promise<A>): Promise<A> => {
  snapshot?.ref()
  try {
    return await read()
  } finally {
    snapshot?.unref()
  }
}
