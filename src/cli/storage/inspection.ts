/** The inspection of a store, as programs get it and as people read it. Pure. */
import { compare } from "../../domain/Key.ts"
import * as Levels from "../../storage/Levels.ts"
import * as Manifest from "../../storage/manifest/Manifest.ts"
import * as describe from "../../storage/offline/describeDamage.ts"
import type { ReadOnly } from "../../storage/offline/ReadOnly.ts"
import type { Table } from "../../storage/sstable/Table.ts"
import * as TableIndex from "../../storage/sstable/TableIndex.ts"
import { bytes, columnsOf } from "../statusTable.ts"
import { count, counted } from "../Tally.ts"

/** The newest cell of each key alone. */
export interface Newest {
  readonly cells: number
  readonly tombstones: number
  readonly bytes: number
}

export type Inspection = ReturnType<typeof inspectionOf>
type TableView = ReturnType<typeof tableView>

/** `cells` counts older cells of a key too. `newest` is present when everything was read. */
export const inspectionOf = (store: ReadOnly, names: ReadonlyArray<string>, newest: Newest | undefined) => {
  const tables = Levels.all(store.levels)
  const cells = sum(tables, (table) => table.cells)
  const sizeBytes = Levels.bytesOf(tables)
  return {
    directory: store.directory,
    kind: names.includes("identity.json") ? "data directory" : store.logs.length > 0 ? "store" : "snapshot",
    format: Manifest.format,
    cells,
    tombstones: sum(tables, (table) => table.tombstones),
    bytes: sizeBytes,
    counterMax: store.counterMax,
    /** Sorted runs in which a key may have to be looked for. */
    readAmplification: Levels.runs(store.levels).length,
    bloomBitsPerKey: cells === 0 ? 0 : 8 * sum(tables, ({ index }) => index.bloom.bits.length) / cells,
    blocks: sum(tables, ({ index }) => TableIndex.blockCount(index)),
    levels: store.levels.flatMap((level, number) =>
      level.length === 0 ? [] : [{
        level: number,
        cells: sum(level, (table) => table.cells),
        tombstones: sum(level, (table) => table.tombstones),
        bytes: Levels.bytesOf(level),
        tables: level.map(tableView)
      }]
    ),
    logs: store.logs.map(({ problem, ...log }) => problem === undefined ? log : { ...log, problem }),
    /** Different keys. */
    cellsInLogs: store.memtable.entries.size,
    problems: describe.problems(store),
    ...(newest && { newest, spaceAmplification: newest.bytes === 0 ? 1 : sizeBytes / newest.bytes })
  }
}

const tableView = ({ cells, id, index, keyMax, keyMin, path, sizeBytes, tombstones }: Table) => ({
  table: id,
  path,
  bytes: sizeBytes,
  cells,
  tombstones,
  blocks: TableIndex.blockCount(index),
  keyMin,
  keyMax
})

export const sum = <A>(list: ReadonlyArray<A>, of: (one: A) => number): number =>
  list.reduce((total, one) => total + of(one), 0)

const keyWidthMax = 28

/** Long keys are cut at the end. */
const shortened = (key: string): string => {
  const text = JSON.stringify(key)
  return text.length <= keyWidthMax ? text : `${text.slice(0, keyWidthMax - 2)}…"`
}

const levelRow = ({ bytes: size, cells, level, tables, tombstones }: Inspection["levels"][number]) => [
  String(level),
  count(tables.length),
  bytes(size),
  count(cells),
  count(tombstones),
  shortened(tables.reduce((least, { keyMin }) => compare(keyMin, least) < 0 ? keyMin : least, tables[0]!.keyMin)),
  shortened(tables.reduce((most, { keyMax }) => compare(keyMax, most) > 0 ? keyMax : most, tables[0]!.keyMax))
]

const tableRow = (level: number) => (table: TableView) => [
  String(level),
  String(table.table).padStart(6, "0"),
  bytes(table.bytes),
  count(table.cells),
  count(table.tombstones),
  shortened(table.keyMin),
  shortened(table.keyMax)
]

const amplifications = ({ blocks, bloomBitsPerKey, bytes: size, newest, ...rest }: Inspection) => [
  `a read looks into up to ${counted(rest.readAmplification, "sorted run")}; filters have ` +
  `${bloomBitsPerKey.toFixed(1)} bits a key; blocks have ${bytes(blocks === 0 ? 0 : size / blocks)}`,
  newest === undefined
    ? "space amplification: --full measures it, by reading everything"
    : `space amplification ${rest.spaceAmplification!.toFixed(2)}: the newest ${counted(newest.cells, "cell")} ` +
      `(${counted(newest.tombstones, "tombstone")}) take ${bytes(newest.bytes)}`
]

export const render = (inspection: Inspection, withTables: boolean): string => {
  const { levels, logs, newest } = inspection
  const tables = levels.reduce((sum, level) => sum + level.tables.length, 0)
  const rows = withTables
    ? levels.flatMap(({ level, tables }) => tables.map(tableRow(level)))
    : levels.map(levelRow)
  return [
    `${inspection.directory}: ${inspection.kind}, format ${inspection.format}, ${counted(tables, "table")} of ` +
    `${bytes(inspection.bytes)} with ${counted(inspection.cells, "cell")} (${
      counted(inspection.tombstones, "tombstone")
    })`,
    ...(rows.length === 0 ? [] : [
      "",
      columnsOf([["level", withTables ? "table" : "tables", "size", "cells", "tombstones", "from", "to"], ...rows])
    ]),
    "",
    ...logs.map(({ bytes: size, cells, path, tornBytes }) =>
      `${path}: ${bytes(size)}, ${counted(cells, "cell")}${
        tornBytes > 0 ? `, and ${counted(tornBytes, "byte")} of an unfinished write` : ""
      }`
    ),
    ...(logs.length > 0
      ? [
        tables === 0
          ? `no tables yet: ${counted(inspection.cellsInLogs, "cell is", "cells are")} in logs`
          : `${counted(inspection.cellsInLogs, "key is", "keys are")} in logs, of which tables may hold older cells`
      ]
      : []),
    ...(tables === 0 ? [] : amplifications(inspection)),
    ...(inspection.problems.length > 0
      ? ["", ...inspection.problems]
      : newest === undefined
      ? ["nothing is known to be lost (the tables were not read: rondo storage verify does)"]
      : ["nothing was lost in what was read"])
  ].join("\n")
}
