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

/** Level passes bounds encoded, and names encodings by their format. */
export interface Options extends Walk.Options {
  readonly keys: boolean
  readonly values: boolean
  readonly keyEncoding: keys.Format
  readonly valueEncoding: keys.Format
  readonly snapshot?: Snapshot | undefined
}

export const entries = (level: object, database: Database, options: Options) =>
  walking(
    new AbstractIterator<object, unknown, unknown>(level, passedOn(options)),
    database,
    options,
    (cell): Entry => [
      options.keys ? keys.decode(cell.key, options.keyEncoding) : undefined,
      options.values ? values.decode(cell.value!, options.valueEncoding) : undefined
    ]
  )

export const keysOnly = (level: object, database: Database, options: Options) =>
  walking(
    new AbstractKeyIterator<object, unknown>(level, passedOn(options)),
    database,
    options,
    ({ key }) => keys.decode(key, options.keyEncoding)
  )

export const valuesOnly = (level: object, database: Database, options: Options) =>
  walking(
    new AbstractValueIterator<object, unknown, unknown>(level, passedOn(options)),
    database,
    options,
    (cell) => values.decode(cell.value!, options.valueEncoding)
  )

/** Gives an iterator the methods that Level expects of it. It walks a view of its own, or the caller's snapshot. */
const walking = <Iterator extends object, Item>(
  iterator: Iterator,
  database: Database,
  options: Options,
  itemOf: (cell: Cell) => Item
): Iterator => {
  const { release, view } = options.snapshot === undefined
    ? hold(database)
    : { view: options.snapshot.view, release: () => undefined }
  const walk = new Walk.Walk(database.bridge, view, options, itemOf)
  return Object.assign(iterator, {
    _next: () => walk.take(),
    _nextv: (size: number) => walk.takeMany(size),
    _seek: (target: keys.Bytes) => walk.seek(target),
    _close: async () => {
      await walk.close()
      release()
    }
  })
}

/** Level's declarations know these options only as callers write them. */
const passedOn = (options: Options): object => options
