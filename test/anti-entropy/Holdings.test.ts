import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Stream } from "effect"
import { Holdings } from "../../src/anti-entropy/Holdings.ts"
import * as PartitionDigest from "../../src/anti-entropy/PartitionDigest.ts"
import { Recovery } from "../../src/anti-entropy/Recovery.ts"
import { ClusterConfig } from "../../src/config/ClusterConfig.ts"
import { Identity } from "../../src/disk/Identity.ts"
import type { Cell } from "../../src/domain/cell/Cell.ts"
import { Key } from "../../src/domain/Key.ts"
import * as Partition from "../../src/domain/Partition.ts"
import { Storage } from "../../src/storage/Storage.ts"
import { a, cell } from "../coordinator/requests.ts"
import { hole, storage } from "../replicator/fakes.ts"

const partitions = 4

const start = Effect.fnUntraced(function*(options: { readonly fresh?: boolean; readonly cells?: ReadonlyArray<Cell> }) {
  const stored = storage(options.cells)
  const services = yield* Layer.build(
    Layer.fresh(Holdings.layer).pipe(
      Layer.provide(Layer.fresh(Recovery.layer)),
      Layer.provide([
        ClusterConfig.layerTest({ partitions }),
        Identity.layerFixed({ nodeId: a, fresh: options.fresh ?? false }),
        Layer.succeed(Storage, stored.service)
      ])
    )
  )
  return { holdings: Context.get(services, Holdings), stored }
})

const cells = Array.from({ length: 20 }, (_, index) => cell(`key ${index}`))

describe("Holdings", () => {
  it.effect("digests what it holds by partition, and streams versions of some partitions and cells of some keys", () =>
    Effect.gen(function*() {
      const { holdings } = yield* start({ cells })
      const digests = PartitionDigest.make(partitions)
      for (const cell of cells) digests.add(Partition.of(cell.key, partitions), cell)
      assert.deepStrictEqual(yield* holdings.digests, { digests: digests.format(), isDamaged: false })
      const versions = yield* Stream.runCollect(holdings.versions([0, 2]))
      assert.deepStrictEqual(
        versions.map(({ key }) => key).toSorted(),
        cells.map(({ key }) => key).filter((key) => Partition.of(key, partitions) % 2 === 0).toSorted()
      )
      const asked = [Key.make("key 3"), Key.make("none"), Key.make("key 1")]
      const found = yield* Stream.runCollect(holdings.cells(asked))
      assert.deepStrictEqual(found.map(({ key }) => key as string), ["key 3", "key 1"])
    }))

  it.effect("reports all that it can read while it has damage, and that it is incomplete", () =>
    Effect.gen(function*() {
      const { holdings, stored } = yield* start({ cells })
      const { digests } = yield* holdings.digests
      stored.holes = [hole("key 14", "key 16")]
      assert.deepStrictEqual(yield* holdings.digests, { digests, isDamaged: true })
      assert.strictEqual((yield* Stream.runCollect(holdings.versions([0, 1, 2, 3]))).length, cells.length)
      const found = yield* Stream.runCollect(holdings.cells([Key.make("key 15"), Key.make("key 3")]))
      assert.deepStrictEqual(found.map(({ key }) => key as string), ["key 3"])
    }))

  it.effect("vouches for a range only while it has lost nothing of it", () =>
    Effect.gen(function*() {
      const { holdings, stored } = yield* start({ cells })
      stored.holes = [hole("key 14", "key 16")]
      const within = { from: "key 15", to: "key 17" }
      const beside = { from: "key 2", to: "key 4" }
      assert.deepInclude(yield* Effect.flip(holdings.vouch(within)), { peer: a, reason: "storage" })
      assert.deepInclude(yield* Effect.flip(Stream.runCollect(holdings.versions([0, 1, 2, 3], within))), {
        reason: "storage"
      })
      yield* holdings.vouch(beside)
      const versions = yield* Stream.runCollect(holdings.versions([0, 1, 2, 3], beside))
      assert.deepStrictEqual(versions.map(({ key }) => key as string), ["key 2", "key 3"])
    }))

  it.effect("vouches for nothing while it may have lost what it acknowledged", () =>
    Effect.gen(function*() {
      const { holdings } = yield* start({ fresh: true })
      const range = { from: "a", to: "b" }
      assert.deepInclude(yield* Effect.flip(holdings.vouch(range)), { peer: a, reason: "recovering" })
      assert.deepInclude(yield* Effect.flip(Stream.runCollect(holdings.versions([0], range))), {
        reason: "recovering"
      })
      assert.deepStrictEqual(yield* Stream.runCollect(holdings.versions([0])), [])
    }))
})
