/**
 * The inspection of a store as people read it.
 *
 * Pure.
 */
import { compare } from "../../domain/Key.ts"
import { bytes, columnsOf } from "../statusTable.ts"
import { count } from "../Tally.ts"

export interface TableView {
  readonly table: number
  readonly path: string
  readonly bytes: number
  readonly cells: number
  readonly tombstones: number
  readonly blocks: number
  readonly keyMin: string
  readonly keyMax: string
}

export interface LevelView {
  readonly level: number
  readonly cells: number
  readonly tombstones: number
  readonly bytes: number
  readonly tables: ReadonlyArray<TableView>
}

/** The newest cell of each key alone. */
export interface Newest {
  readonly cells: number
  readonly tombstones: number
  readonly bytes: number
}

export interface Inspection {
  readonly directory: string
  readonly kind: "data directory" | "store" | "snapshot"
  readonly format: number
  /** Of all tables: older cells of a key count too. */
  readonly cells: number
  readonly tombstones: number
  readonly bytes: number
  readonly counterMax: number
  /** Sorted runs in which a key may have to be looked for. */
  readonly readAmplification: number
  readonly bloomBitsPerKey: number
  readonly blocks: number
  readonly levels: ReadonlyArray<LevelView>
  readonly logs: ReadonlyArray<{
    readonly path: string
    readonly bytes: number
    readonly cells: number
    readonly tornBytes: number
    readonly problem?: string
  }>
  /** Different keys. */
  readonly cellsInLogs: number
  readonly problems: ReadonlyArray<string>
  readonly newest?: Newest
  /** Bytes of tables for each byte of the newest cells. */
  readonly spaceAmplification?: number
}

const keyWidthMax = 28

/** Long keys are cut: the beginning tells most. */
const shortened = (key: string): string => {
  const text = JSON.stringify(key)
  return text.length <= keyWidthMax ? text : `${text.slice(0, keyWidthMax - 2)}…"`
}

const levelRow = ({ bytes: size, cells, level, tables, tombstones }: LevelView) => [
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

export const render = (inspection: Inspection, withTables: boolean): string => {
  const { levels, logs, newest } = inspection
  const tables = levels.reduce((sum, level) => sum + level.tables.length, 0)
  const rows = withTables
    ? levels.flatMap(({ level, tables }) => tables.map(tableRow(level)))
    : levels.map(levelRow)
  return [
    `${inspection.directory}: ${inspection.kind}, format ${inspection.format}, ${count(tables)} tables of ` +
    `${bytes(inspection.bytes)} with ${count(inspection.cells)} cells (${count(inspection.tombstones)} tombstones)`,
    ...(rows.length === 0 ? [] : [
      "",
      columnsOf([["level", withTables ? "table" : "tables", "size", "cells", "tombstones", "from", "to"], ...rows])
    ]),
    "",
    ...logs.map(({ bytes: size, cells, path, tornBytes }) =>
      `${path}: ${bytes(size)}, ${count(cells)} cells${
        tornBytes > 0 ? `, and ${tornBytes} bytes of an unfinished write` : ""
      }`
    ),
    ...(logs.length > 0
      ? [`${count(inspection.cellsInLogs)} keys are in logs, of which tables may have older cells`]
      : []),
    `a key is in one of ${inspection.readAmplification} sorted runs; filters have ` +
    `${inspection.bloomBitsPerKey.toFixed(1)} bits a key; blocks have ${
      bytes(inspection.blocks === 0 ? 0 : inspection.bytes / inspection.blocks)
    }`,
    newest === undefined
      ? "space amplification: --full measures it, by reading everything"
      : `space amplification ${inspection.spaceAmplification!.toFixed(2)}: the newest ${count(newest.cells)} cells ` +
        `(${count(newest.tombstones)} tombstones) take ${bytes(newest.bytes)}`,
    ...(inspection.problems.length === 0 ? ["nothing is known to be lost"] : ["", ...inspection.problems])
  ].join("\n")
}
