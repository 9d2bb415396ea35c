/**
 * This node's answers to a peer that compares itself with it: digests of its partitions, versions, and cells, all as
 * far as it can read them.
 */
import { Context, Effect, Layer, Stream } from "effect"
import { ClusterConfig } from "../config/ClusterConfig.ts"
import type { StorageError } from "../disk/StorageError.ts"
import type { Cell } from "../domain/cell/Cell.ts"
import type { Key } from "../domain/Key.ts"
import * as Partition from "../domain/Partition.ts"
import type { Digests, KeyRange } from "../peer/PeerClient.ts"
import { PeerFailed } from "../peer/PeerError.ts"
import * as Holes from "../storage/manifest/Holes.ts"
import { Storage } from "../storage/Storage.ts"
import * as PartitionDigest from "./PartitionDigest.ts"
import { Recovery } from "./Recovery.ts"
import type { KeyVersion } from "./Replica.ts"

export class Holdings extends Context.Service<Holdings, {
  readonly digests: Effect.Effect<Digests, StorageError>
  /** In key order, of these partitions. With a range, only its keys, and only if this node can vouch for it. */
  readonly versions: (
    partitions: ReadonlyArray<number>,
    vouchedFor?: KeyRange
  ) => Stream.Stream<KeyVersion, StorageError | PeerFailed>
  /** Fails when this node may once have stored something of the range that it lacks or cannot read now. */
  readonly vouch: (range: KeyRange) => Effect.Effect<void, PeerFailed>
  readonly cells: (keys: ReadonlyArray<Key>) => Stream.Stream<Cell, StorageError>
}>()("rondo/anti-entropy/Holdings") {
  static readonly layer = Layer.effect(
    Holdings,
    Effect.gen(function*() {
      const { partitions } = yield* ClusterConfig
      const { isRecovering, refusal } = yield* Recovery
      const storage = yield* Storage

      const digestsOf = (damage: "fail" | "skip"): Effect.Effect<Digests, StorageError> =>
        Effect.suspend(() => {
          const accumulated = PartitionDigest.make(partitions)
          return Effect.map(
            Stream.runForEachArray(storage.scan({ damage }), (cells) =>
              Effect.sync(() => {
                for (const cell of cells) accumulated.add(Partition.of(cell.key, partitions), cell)
              })),
            () => ({ digests: accumulated.format(), isDamaged: damage === "skip" })
          )
        })

      const vouch = ({ from, to }: KeyRange) =>
        Effect.flatMap(storage.stats, ({ holes }) => {
          if (isRecovering()) return Effect.fail(refusal())
          const hole = holes.find((hole) => Holes.meets(hole, from, to))
          return hole === undefined ? Effect.void : Effect.fail(
            new PeerFailed({ peer: refusal().peer, reason: "storage", detail: Holes.corruption(hole).message })
          )
        })

      const scan = (range: KeyRange | undefined) =>
        range === undefined
          ? storage.scan({ damage: "skip" })
          : Stream.unwrap(Effect.as(vouch(range), storage.scan(range)))

      return Holdings.of({
        // A scan that skips damage cannot know that its digests are complete.
        digests: Effect.catchTag(digestsOf("fail"), "Corruption", () => digestsOf("skip")),
        versions: (wanted, range) => {
          const isWanted = new Set(wanted)
          return Stream.filter(scan(range), ({ key }) => isWanted.has(Partition.of(key, partitions)))
        },
        vouch,
        cells: (keys) =>
          Stream.fromIterable(keys).pipe(
            Stream.mapEffect((key) => Effect.catchTag(storage.get(key), "Corruption", () => Effect.undefined)),
            Stream.filter((cell) => cell !== undefined)
          )
      })
    })
  )
}
