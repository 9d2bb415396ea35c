/**
 * Prints the table of docs/decisions/0008-leveled-compaction.md:
 *
 *     node bench/compaction/main.ts
 *
 * Fills stores of several sizes in random order, then overwrites full ones at random until their figures are stable.
 */
import { Console, Effect } from "effect"
import { parseArgs } from "node:util"
import { type Figures, type Load, Store, type Strategy } from "./Model.ts"
import { leveled, sizeTiered, tableBytesOf } from "./strategies.ts"

const mebibyte = 1024 * 1024

/** A key of 16 bytes, a value of 100 and the rest of the line; a memtable of 32 MiB holds 20 MiB of lines. */
const load: Load = { lineBytes: 200, flushBytes: 20 * mebibyte, logBytesMax: 128 * mebibyte }

const sizes = [10_000, 100_000, 1_000_000, 10_000_000, 100_000_000]

const strategies: ReadonlyArray<readonly [name: string, strategy: Strategy]> = [
  ["size-tiered", sizeTiered],
  ["leveled, 4", leveled({ level0Tables: 4 })],
  ["**leveled, 6**", leveled({ level0Tables: 6 })],
  ["leveled, 8", leveled({ level0Tables: 8 })],
  ["leveled, 6, base 64 MiB", leveled({ levelBytes: 64 * mebibyte })],
  ["leveled, 6, base 1 GiB", leveled({ levelBytes: 1024 * mebibyte })]
]

/** Writes before and during the measurement: proportional to the keys, and enough to flush small stores often. */
const writesBefore = (cells: number) => Math.max(cells, 20_000_000)
const writesMeasured = (cells: number) => Math.max(2 * cells, 100_000_000)

const filled = (strategy: Strategy, cells: number): Figures => {
  const store = new Store(load, strategy)
  store.fill(cells)
  return store.figures()
}

const overwritten = (strategy: Strategy, cells: number): Figures => {
  const store = new Store(
    load,
    strategy,
    cells,
    strategy === sizeTiered ? undefined : tableBytesOf(cells * load.lineBytes)
  )
  store.overwrite(writesBefore(cells), cells)
  store.resetFigures()
  store.overwrite(writesMeasured(cells), cells)
  return store.figures()
}

const one = (value: number) => value.toFixed(1)
const two = (value: number) => value.toFixed(2)
const mebibytes = (bytes: number) => Math.round(bytes / mebibyte).toLocaleString("en")

const row = (cells: number, name: string, fill: Figures, over: Figures) =>
  [
    cells.toLocaleString("en"),
    name,
    two(fill.writeAmplification),
    `${one(fill.runsMean)} / ${fill.runsMax}`,
    mebibytes(fill.largestMergeBytes),
    fill.tables,
    two(over.writeAmplification),
    `${one(over.runsMean)} / ${over.runsMax}`,
    mebibytes(over.largestMergeBytes),
    `${two(over.spaceMean)} / ${two(over.spaceMax)}`
  ].join(" | ")

const program = Effect.gen(function*() {
  yield* Console.log(
    "| cells | strategy | fill: write amp. | runs, mean / most | largest merge, MiB | tables " +
      "| overwrite: write amp. | runs, mean / most | largest merge, MiB | space, mean / most |\n" +
      `|---:|---|${"---:|".repeat(8)}`
  )
  for (const cells of sizes) {
    for (const [name, strategy] of strategies) {
      yield* Console.log(`| ${row(cells, name, filled(strategy, cells), overwritten(strategy, cells))} |`)
    }
  }
})

// Refuses what it does not know: there is nothing to set.
parseArgs({ options: {} })
await Effect.runPromise(program)
