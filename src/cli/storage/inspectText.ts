/**
 * The inspection of a store as people read it.
 *
 * Pure.
 */
import { compare } from "../../domain/Key.ts"
import { bytes, columnsOf } from "../statusTable.ts"
import { count, counted } from "../Tally.ts"

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
  /** In all tables, older cells of a key included. */
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

/** Long keys are cut at the end. */
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
