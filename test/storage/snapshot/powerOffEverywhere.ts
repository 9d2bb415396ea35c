/** Power failures at each disk operation of work on a snapshot. */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import * as DiskMemory from "../../../src/disk/DiskMemory.ts"
import type { StorageError } from "../../../src/disk/StorageError.ts"
import type { Cell } from "../../../src/domain/cell/Cell.ts"
import { contentsOf, plain } from "../store.ts"

/** For each operation: the seed decides how much of the work before it is lost. */
const seeds = 6

/**
 * The directory `target` has no manifest, or is a store with these cells, when the power fails at any operation of
 * `act`. Returns how often it had no manifest.
 */
export const powerOffEverywhere = Effect.fnUntraced(function*<E, A, F>(
  prepare: (memory: DiskMemory.DiskMemory) => Effect.Effect<void, E>,
  act: (memory: DiskMemory.DiskMemory) => Effect.Effect<A, F>,
  target: string,
  cells: ReadonlyArray<Cell>
): Effect.fn.Return<number, E | StorageError> {
  let [complete, incomplete] = [0, 0]
  for (let run = 0, isReached = true; isReached; run++) {
    const number = 1 + Math.floor(run / seeds)
    const memory = DiskMemory.make(run)
    yield* prepare(memory)
    memory.powerOffAt(number)
    yield* Effect.exit(act(memory))
    isReached = memory.isOff()
    memory.powerOff()
    memory.powerOn()
    if (memory.files().has(`${target}/MANIFEST`)) {
      assert.deepStrictEqual(yield* contentsOf(memory, target), cells.map(plain), `operation ${number}`)
      complete++
    } else incomplete++
  }
  assert.isAtLeast(complete, 1)
  return incomplete
})
