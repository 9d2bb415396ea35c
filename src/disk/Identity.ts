/**
 * The owner of this data directory: the node's name, the incarnation drawn when the directory was created, and how
 * often it has been started. Holds the lock that keeps a second process out, so a service that opens files in the
 * directory needs this one first.
 *
 * Invariants
 * - A directory never changes its incarnation; a new directory never has one that was used before.
 * - The generation is raised, durably, before anything else of this start happens.
 */
import { Context, Effect, Layer, Random, Schema } from "effect"
import { NodeConfig } from "../config/NodeConfig.ts"
import { NodeId } from "../domain/NodeId.ts"
import { Incarnation } from "../domain/Version.ts"
import { type DirectoryLocked, Disk } from "./Disk.ts"
import * as jsonFile from "./jsonFile.ts"
import type { StorageError } from "./StorageError.ts"

/** The directory holds the data of another node: writing into it would mix two nodes' promises. */
export class DirectoryOfOtherNode extends Schema.TaggedError<DirectoryOfOtherNode>()("DirectoryOfOtherNode", {
  path: Schema.String,
  owner: NodeId,
  nodeId: NodeId
}) {
  override get message() {
    return `the data directory ${this.path} belongs to ${this.owner}, not to ${this.nodeId}: ` +
      "set NODE_ID back, or DATA_DIR to this node's own directory"
  }
}

export type IdentityError = StorageError | DirectoryLocked | DirectoryOfOtherNode

/** The contents of `identity.json`. */
const File = Schema.Struct({
  format: Schema.Literal(1),
  nodeId: NodeId,
  incarnation: Incarnation,
  generation: Schema.Int,
  /** Whether this node has ever been in sync with the other replicas of its keys. */
  settled: Schema.Boolean
})
type File = typeof File.Type

const FileJson = Schema.fromJsonString(File)

export class Identity extends Context.Service<Identity, {
  readonly nodeId: NodeId
  readonly incarnation: Incarnation
  /** 1 at the first start, one more at each. */
  readonly generation: number
  /** The node was not in sync since its directory was new or salvaged: it may lack cells that it acknowledged. */
  readonly fresh: boolean
  /** Records that the node is in sync: it is not `fresh` at its next start. */
  readonly markSettled: Effect.Effect<void, StorageError>
  /** Records that it has not. */
  readonly markUnsettled: Effect.Effect<void, StorageError>
}>()("rondo/disk/Identity") {
  static readonly layer: Layer.Layer<Identity, IdentityError, Disk | NodeConfig> = Layer.effect(
    Identity,
    Effect.gen(function*() {
      const disk = yield* Disk
      const { dataDirectory, nodeId } = yield* NodeConfig
      yield* disk.makeDirectory(dataDirectory)
      yield* disk.lock(dataDirectory)
      const path = `${dataDirectory}/identity.json`
      const known = yield* jsonFile.read(disk, path, FileJson)
      if (known !== undefined && known.nodeId !== nodeId) {
        return yield* new DirectoryOfOtherNode({ path: dataDirectory, owner: known.nodeId, nodeId })
      }
      const file: File = known === undefined
        ? { format: 1, nodeId, incarnation: yield* drawIncarnation, generation: 1, settled: false }
        : { ...known, generation: known.generation + 1 }
      yield* write(disk, path, file)
      return {
        nodeId,
        incarnation: file.incarnation,
        generation: file.generation,
        fresh: !file.settled,
        markSettled: write(disk, path, { ...file, settled: true }),
        markUnsettled: write(disk, path, { ...file, settled: false })
      }
    })
  )

  /** An identity without a directory. */
  static readonly layerFixed = (identity: Partial<Identity["Service"]> & { readonly nodeId: NodeId }) =>
    Layer.succeed(Identity, {
      incarnation: Incarnation.make("000000000000"),
      generation: 1,
      fresh: false,
      markSettled: Effect.void,
      markUnsettled: Effect.void,
      ...identity
    })
}

const write = (disk: Disk["Service"], path: string, file: File) => jsonFile.write(disk, path, JSON.stringify(file))

const drawIncarnation = Effect.gen(function*() {
  const half = Effect.map(Random.nextIntBetween(0, 2 ** 24 - 1), (drawn) => drawn.toString(16).padStart(6, "0"))
  return Incarnation.make(`${yield* half}${yield* half}`)
})
