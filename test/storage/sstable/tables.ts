/** Tables that a test writes and opens without a store. */
import { Effect } from "effect"
import type { DiskMemory } from "../../../src/disk/DiskMemory.ts"
import type { Cell } from "../../../src/domain/cell/Cell.ts"
import * as cellLines from "../../../src/domain/cell/cellLines.ts"
import * as BlockCache from "../../../src/storage/sstable/BlockCache.ts"
import * as Table from "../../../src/storage/sstable/Table.ts"
import * as TableWriter from "../../../src/storage/sstable/TableWriter.ts"
import { directory } from "../store.ts"

type OnDisk = Pick<DiskMemory, "disk">

export const contextOf = ({ disk }: OnDisk): Table.Context => ({
  disk,
  directory,
  cache: BlockCache.make(1024 * 1024),
  onDamage: () => undefined
})

export const write = Effect.fnUntraced(
  function*({ disk }: OnDisk, id: number, cells: ReadonlyArray<Cell>, settings = TableWriter.defaults) {
    const writer = yield* TableWriter.open(disk, directory, id, settings)
    for (const one of cells) {
      writer.add(one)
      if (writer.isFull()) yield* writer.drain
    }
    yield* writer.finish
    return yield* Table.open(contextOf({ disk }), id)
  }
)

/** All cells of a table, read from the disk. */
export const cellsOf = Effect.fnUntraced(function*(table: Table.Table) {
  const cells: Array<Cell> = []
  for (let block = 0; block < table.index.firstKeys.length; block++) {
    for (const line of linesOf(yield* table.read(block))) cells.push(cellLines.cellUnsafe(line))
  }
  return cells
})

/** The lines of a block, one after the other. */
export const linesOf = function*(block: Uint8Array): Generator<cellLines.Line> {
  for (let start = 0; start < block.length;) {
    const line = cellLines.at(block, start)
    yield line
    start = line.end + 1
  }
}
