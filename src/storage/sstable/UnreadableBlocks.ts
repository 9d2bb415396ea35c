/**
 * Tells sectors of one table that cannot be read from a disk that fails.
 *
 * The device may refuse a read for a moment, so a block counts as lost only when it is refused again after a while,
 * when the disk can read the table's index and another of its blocks, and when the block is refused once more behind
 * these. A disk that fails must not make holes of all that it holds, so only a small part of a table is ever given up.
 */
import { Clock, Effect } from "effect"
import { isUnreadable, type StorageError } from "../../disk/StorageError.ts"
import { uptimeMillisUnsafe } from "../../observability/uptime.ts"

/** Controllers are reset and cables fall back to lower rates in less. */
const patienceMillis = 10_000

/** How much of a table may be given up: so many blocks, or that share of them. */
const lostMin = 4
const lostShareMax = 1 / 16

export class UnreadableBlocks {
  /** Those that were refused and not given up, by when that was first. */
  private readonly suspects = new Map<number, number>()
  private readonly lost = new Set<number>()
  private latest: StorageError | undefined
  private readonly blocks: number
  private readonly read: (block: number) => Effect.Effect<unknown, StorageError>
  private readonly readIndex: Effect.Effect<unknown, StorageError>

  constructor(
    blocks: number,
    read: (block: number) => Effect.Effect<unknown, StorageError>,
    readIndex: Effect.Effect<unknown, StorageError>
  ) {
    this.blocks = blocks
    this.read = read
    this.readIndex = readIndex
  }

  isLost(block: number): boolean {
    return this.lost.size > 0 && this.lost.has(block)
  }

  /** Why the disk fails, when it is not a sector. */
  get failing(): StorageError | undefined {
    return this.suspects.size > 0 ? this.latest : undefined
  }

  /** The one to try again next. */
  get suspect(): number | undefined {
    return this.suspects.keys().next().value
  }

  /** The blocks from `first` to before `end` were read. */
  wereRead(first: number, end: number): void {
    for (let block = first; block < end && this.suspects.size > 0; block++) this.suspects.delete(block)
  }

  /** A read of the block was refused: whether the block is given up. */
  refused(block: number, error: StorageError): Effect.Effect<boolean> {
    return Effect.gen({ self: this }, function*() {
      const nowMillis = uptimeMillisUnsafe(yield* Clock.Clock)
      const sinceMillis = this.suspects.get(block) ?? nowMillis
      // To the end, so that others are tried before it.
      this.suspects.delete(block)
      this.suspects.set(block, sinceMillis)
      if (nowMillis - sinceMillis < patienceMillis) return false
      if (!(yield* this.readsOthers(block))) {
        this.latest = error
        return false
      }
      this.latest = undefined
      const again = yield* Effect.result(this.read(block))
      if (again._tag === "Success" || !isUnreadable(again.failure)) return false
      this.suspects.delete(block)
      this.lost.add(block)
      return true
    })
  }

  private readsOthers(block: number): Effect.Effect<boolean> {
    const { blocks, lost } = this
    if (lost.size >= Math.max(lostMin, blocks * lostShareMax)) return Effect.succeed(false)
    if (blocks === 1) return Effect.isSuccess(this.readIndex)
    const others = [0, blocks >> 1, blocks - 1].filter((other) => other !== block && !lost.has(other))
    if (others.length === 0) return Effect.succeed(false)
    return Effect.isSuccess(Effect.andThen(this.readIndex, Effect.firstSuccessOf(others.map(this.read))))
  }
}
