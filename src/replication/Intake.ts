/**
 * Takes cells of peers into storage.
 *
 * Invariant
 * - The clock stays above every version that is stored.
 */
import { Context, Effect, Layer } from "effect"
import { LamportClock } from "../clock/LamportClock.ts"
import type { StorageError } from "../disk/StorageError.ts"
import type { Cell } from "../domain/cell/Cell.ts"
import type { Version } from "../domain/Version.ts"
import type { WriteAnswer } from "../peer/PeerClient.ts"
import { PeerFailed } from "../peer/PeerError.ts"
import type { Hole } from "../storage/manifest/Holes.ts"
import { Storage } from "../storage/Storage.ts"

type Taken = Effect.Effect<ReadonlyArray<WriteAnswer>, StorageError | PeerFailed>

export class Intake extends Context.Service<Intake, {
  /** Merges cells that a peer sent. It fails with `refused` for a version absurdly far ahead of this node's clock. */
  readonly takeIn: (cells: ReadonlyArray<Cell>) => Taken
  /** As `takeIn`, for the newest cells that all other replicas have of these holes. */
  readonly giveBack: (cells: ReadonlyArray<Cell>, fills: ReadonlyArray<Hole>) => Taken
}>()("rondo/replication/Intake") {
  static readonly layer = Layer.effect(
    Intake,
    Effect.gen(function*() {
      const clock = yield* LamportClock
      const storage = yield* Storage

      const observed = (cells: ReadonlyArray<Cell>, apply: Taken) =>
        Effect.suspend((): Taken => {
          let newest: Version | undefined
          for (const { version } of cells) {
            if (newest === undefined || version.counter > newest.counter) newest = version
          }
          return newest === undefined || clock.observe(newest.counter) ? apply : Effect.fail(counterRefused(newest))
        })

      const applyOne = (cell: Cell) => Effect.catchTag(storage.apply([cell]), "Corruption", () => unreadable)

      /** A key that cannot be read is no reason to refuse the others that came with it. */
      const applyEach = (cells: ReadonlyArray<Cell>) =>
        Effect.map(Effect.forEach(cells, applyOne), (answers) => answers.flat())

      return Intake.of({
        takeIn: (cells) => observed(cells, Effect.catchTag(storage.apply(cells), "Corruption", () => applyEach(cells))),
        giveBack: (cells, fills) => observed(cells, storage.apply(cells, { fills }))
      })
    })
  )
}

const unreadable = Effect.succeed<ReadonlyArray<WriteAnswer>>([{ _tag: "Uncounted", reason: "storage" }])

const counterRefused = ({ counter, nodeId }: Version) =>
  new PeerFailed({
    peer: nodeId,
    reason: "refused",
    detail: `its counter ${counter} is absurdly far ahead of this node's clock`
  })
