/**
 * Reads a table again from the disk, index and all, and compares checksums: what verification and the scrub share.
 *
 * It looks at what the system gives, which for bytes that were read or written lately is its page cache and not the
 * device.
 */
import { Effect } from "effect"
import { type Disk, writeAtomically } from "../../disk/Disk.ts"
import * as Holes from "../manifest/Holes.ts"
import * as Table from "../sstable/Table.ts"
import * as TableIndex from "../sstable/TableIndex.ts"
import { LineCheck } from "./LineCheck.ts"

export interface TableCheck {
  /** Checks some more, and says how many bytes that took; `undefined` when there is nothing left. */
  readonly step: Effect.Effect<number | undefined>
  /** Found so far. */
  readonly damage: ReadonlyArray<Holes.Hole>
}

export interface Options {
  readonly disk: Disk["Service"]
  readonly directory: string
  /** Read at once, unless a block is larger. */
  readonly spanBytes: number
  /** Replace a damaged index by the one in memory: without it the next start would lose the table. */
  readonly repairIndex: boolean
  /** Look at each line too, which takes ten times as long. */
  readonly lines?: boolean
}

/** The caller retains the table meanwhile. */
export const make = (table: Table.Table, options: Options): TableCheck => {
  const damage: Array<Holes.Hole> = []
  const blocks = TableIndex.blockCount(table.index)
  const lines = options.lines === true ? new LineCheck(table) : undefined
  /** -1 stands for the index. */
  let block = -1

  const checkIndex = Effect.gen(function*() {
    const path = Table.indexPath(options.directory, table.id)
    const found = yield* Effect.result(options.disk.readFile(path))
    const bytes = found._tag === "Success" ? found.success : undefined
    if (bytes !== undefined && TableIndex.isIntact(bytes)) return bytes.length
    const reason = found._tag === "Failure"
      ? found.failure.message
      : bytes === undefined
      ? "it is missing"
      : "the checksum does not match"
    const repaired = options.repairIndex && (yield* writeIndex(options.disk, path, table.index))
    damage.push(Holes.ofTable(table, {
      path,
      offsetBytes: 0,
      reason: repaired ? `${reason}; it was written again from memory` : reason
    }))
    return bytes?.length ?? 0
  })

  const wrong = (number: number, reason: string) => {
    const offsetBytes = table.index.offsets[number]!
    damage.push(Holes.ofBlock(table, number, { path: table.path, offsetBytes, reason }))
  }

  const checkLines = (first: number, end: number, bytes: Uint8Array) => {
    const { offsets } = table.index
    const base = offsets[first]!
    for (let number = first; number < end && lines !== undefined; number++) {
      const problem = lines.block(number, bytes.subarray(offsets[number]! - base, offsets[number + 1]! - base))
      if (problem !== undefined) {
        wrong(number, problem)
        lines.skip()
      }
    }
  }

  const checkBlock = (number: number) =>
    Effect.match(table.span(number, 1), {
      onFailure: (error) => {
        wrong(number, error._tag === "Corruption" ? error.reason : error.message)
        lines?.skip()
      },
      onSuccess: (bytes) => checkLines(number, number + 1, bytes)
    })

  /** One bad block must not hide those beside it. */
  const checkSpan = Effect.fnUntraced(function*(first: number, end: number) {
    const whole = yield* Effect.result(table.span(first, end - first))
    if (whole._tag === "Success") return checkLines(first, end, whole.success)
    for (let number = first; number < end; number++) yield* checkBlock(number)
  })

  const finish = () => {
    const problem = lines?.end()
    if (problem !== undefined) damage.push(Holes.ofTable(table, { path: table.path, offsetBytes: 0, reason: problem }))
  }

  return {
    damage,
    step: Effect.suspend((): Effect.Effect<number | undefined> => {
      const first = block
      if (first === blocks) return Effect.undefined
      block = first === -1 ? 0 : TableIndex.spanEnd(table.index, first, options.spanBytes)
      if (first === -1) return checkIndex
      const bytes = table.index.offsets[block]! - table.index.offsets[first]!
      return Effect.map(checkSpan(first, block), () => {
        if (block === blocks) finish()
        return bytes
      })
    })
  }
}

/** Whether it succeeded. */
const writeIndex = (disk: Disk["Service"], path: string, index: TableIndex.TableIndex) =>
  Effect.match(Effect.suspend(() => writeAtomically(disk, path, TableIndex.encode(index))), {
    onFailure: () => false,
    onSuccess: () => true
  })
