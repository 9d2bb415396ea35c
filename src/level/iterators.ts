/** Level's three iterators, of entries, keys and values, each over a walk. */
import { AbstractIterator, AbstractKeyIterator, AbstractValueIterator } from "abstract-level"
import type { Cell } from "../domain/cell/Cell.ts"
import type { Database } from "./Database.ts"
import * as keys from "./keys.ts"
import { hold, type Snapshot } from "./Snapshot.ts"
import * as values from "./values.ts"
import * as Walk from "./Walk.ts"

type Stored = string | Buffer
type Entry = [Stored | undefined, Stored | undefined]

/** Level's own, with bounds encoded and encodings named by their format. */
export interface Options extends Walk.Options {
  readonly keys: boolean
  readonly values: boolean
  readonly keyEncoding: keys.Format
  readonly valueEncoding: keys.Format
  readonly snapshot?: Snapshot | undefined
}

/** The walk and what it holds: a view of its own, unless the caller brought a snapshot. */
interface Held<Item> {
  readonly walk: Walk.Walk<Item>
  readonly release: () => void | Promise<void>
}

const open = <Item>(database: Database, options: Options, itemOf: (cell: Cell) => Item): Held<Item> => {
  const { release, view } = options.snapshot === undefined
    ? hold(database)
    : { view: options.snapshot.view, release: () => undefined }
  return { walk: new Walk.Walk(database.bridge, view, options, itemOf), release }
}

export class EntryIterator extends AbstractIterator<object, unknown, unknown> {
  private readonly held: Held<Entry>

  constructor(level: object, database: Database, options: Options) {
    super(level, passedOn(options))
    this.held = open(database, options, (cell) => [
      options.keys ? keys.decode(cell.key, options.keyEncoding) : undefined,
      options.values ? values.decode(cell.value!, options.valueEncoding) : undefined
    ])
  }

  _next() {
    return this.held.walk.take()
  }

  _nextv(size: number) {
    return this.held.walk.takeMany(size)
  }

  _seek(target: keys.Bytes) {
    this.held.walk.seek(target)
  }

  async _close() {
    await this.held.release()
  }
}

export class KeyIterator extends AbstractKeyIterator<object, unknown> {
  private readonly held: Held<Stored>

  constructor(level: object, database: Database, options: Options) {
    super(level, passedOn(options))
    this.held = open(database, options, (cell) => keys.decode(cell.key, options.keyEncoding))
  }

  _next() {
    return this.held.walk.take()
  }

  _nextv(size: number) {
    return this.held.walk.takeMany(size)
  }

  _seek(target: keys.Bytes) {
    this.held.walk.seek(target)
  }

  async _close() {
    await this.held.release()
  }
}

export class ValueIterator extends AbstractValueIterator<object, unknown, unknown> {
  private readonly held: Held<Stored>

  constructor(level: object, database: Database, options: Options) {
    super(level, passedOn(options))
    this.held = open(database, options, (cell) => values.decode(cell.value!, options.valueEncoding))
  }

  _next() {
    return this.held.walk.take()
  }

  _nextv(size: number) {
    return this.held.walk.takeMany(size)
  }

  _seek(target: keys.Bytes) {
    this.held.walk.seek(target)
  }

  async _close() {
    await this.held.release()
  }
}

/** Level's declarations know these options only as callers write them. */
const passedOn = (options: Options): object => options
