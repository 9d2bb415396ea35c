/** Parts of services, for code that needs no more of them; the rest dies with a sentence that names it. */
import { type Context, Effect, Layer, Stream } from "effect"
import type { StorageError } from "../../src/disk/StorageError.ts"
import type { Cell } from "../../src/domain/cell/Cell.ts"
import { compare as compareKeys, type Key } from "../../src/domain/Key.ts"
import type { NodeId } from "../../src/domain/NodeId.ts"
import * as Version from "../../src/domain/Version.ts"
import type { Gossip, Liveness } from "../../src/gossip/Gossip.ts"
import * as Holes from "../../src/storage/manifest/Holes.ts"
import type { Hole } from "../../src/storage/manifest/Holes.ts"
import type { Applied, Storage, StorageStats } from "../../src/storage/Storage.ts"
import { stranger } from "../gossip/messages.ts"

/** `parts` of a service. A use of any other part is a mistake of the test. */
export const mock = <Service extends object>(parts: Partial<Service>): Service =>
  new Proxy(parts as Service, {
    get: (target, name) => {
      if (name in target) return target[name as keyof Service]
      throw new Error(`the test does not provide ${String(name)}`)
    }
  })

/** Keys whose cells were lost to damage. */
export const hole = (from: string, to: string, offsetBytes = 0): Hole => ({
  from,
  to,
  counterMax: 9,
  file: "data/000007.sst",
  offsetBytes,
  reason: "the block's checksum does not match"
})

export const layerMock = <Id, Service extends object>(tag: Context.Service<Id, Service>, parts: Partial<Service>) =>
  Layer.succeed(tag, mock(parts))

export interface FakeStorage {
  readonly service: Storage["Service"]
  readonly cells: ReadonlyMap<Key, Cell>
  /** Every operation fails with it from now on. */
  failure: StorageError | undefined
  /** Keys in them cannot be read, and are written only by `fills`. */
  holes: ReadonlyArray<Hole>
}

/** Merges cells in memory, as the real one does on disk. */
export const storage = (initial: ReadonlyArray<Cell> = []): FakeStorage => {
  const cells = new Map(initial.map((cell) => [cell.key, cell]))
  const sorted = () => Array.from(cells.values()).toSorted((left, right) => compareKeys(left.key, right.key))
  const work = <A>(run: () => A) =>
    Effect.suspend(() => fake.failure === undefined ? Effect.sync(run) : Effect.fail(fake.failure))
  const apply = (cell: Cell): Applied => {
    const held = cells.get(cell.key)
    if (held !== undefined && Version.compare(held.version, cell.version) > 0) {
      return { _tag: "Superseded", newest: held.version }
    }
    cells.set(cell.key, cell)
    return { _tag: "Accepted", replaced: held?.value !== undefined }
  }
  const intact = (from: string, to: string | undefined) =>
    Effect.suspend(() => {
      const hole = fake.holes.find((hole) => Holes.meets(hole, from, to))
      return hole === undefined ? Effect.void : Effect.fail(Holes.corruption(hole))
    })
  const readable = (key: Key) => intact(key, Holes.after(key))
  const fake: FakeStorage = {
    cells,
    failure: undefined,
    holes: [],
    service: mock<Storage["Service"]>({
      apply: (batch, options) =>
        Effect.andThen(
          options?.fills !== undefined ? Effect.void : Effect.forEach(batch, ({ key }) => readable(key)),
          work(() => batch.map(apply))
        ),
      get: (key) => Effect.andThen(readable(key), work(() => cells.get(key))),
      version: (key) => Effect.andThen(readable(key), work(() => cells.get(key)?.version)),
      scan: ({ damage, from = "", to } = {}) =>
        Stream.unwrap(
          Effect.andThen(
            damage === "skip" ? Effect.void : intact(from, to),
            work(() =>
              Stream.fromIterable(sorted()).pipe(
                Stream.filter(({ key }) =>
                  compareKeys(from, key) <= 0 && (to === undefined || compareKeys(key, to) < 0)
                )
              )
            )
          )
        ),
      counterMax: Effect.succeed(0),
      stats: Effect.sync(() => mock<StorageStats>({ holes: fake.holes, damage: undefined })),
      closeHoles: (closed) =>
        work(() => {
          fake.holes = fake.holes.filter((hole) => !closed.includes(hole))
        }),
      salvaged: false
    })
  }
  return fake
}

/** Members that know each other as a test says. Addresses are the node ids with a port. */
export const gossip = (
  self: NodeId,
  state: {
    readonly liveness: Map<NodeId, Liveness>
    readonly generation?: Map<NodeId, number>
    readonly reported?: Array<NodeId>
  },
  unknown: ReadonlyArray<NodeId> = []
): Gossip["Service"] =>
  mock<Gossip["Service"]>({
    self,
    liveness: (node) => state.liveness.get(node) ?? "up",
    address: (node) => unknown.includes(node) ? undefined : `${node}:1`,
    members: () =>
      Array.from(state.generation ?? [], ([nodeId, generation]) => ({
        record: { ...stranger, nodeId, generation, address: `${nodeId}:1` },
        liveness: "up",
        heardAtMillis: 0
      })),
    reportFailure: (node) => Effect.sync(() => state.reported?.push(node))
  })
