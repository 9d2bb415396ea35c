/**
 * Hinted handoff: cells that wait on this node's disk for replicas that are away, in
 * `hints/<nodeId>/<created, milliseconds>-<sequence>.ndjson`.
 *
 * Source: DeCandia et al., "Dynamo" (SOSP 2007), section 4.6.
 *
 * Invariants
 * - A hint never fails or delays a write. One that is too much for the log, too old or not stored is dropped and
 *   counted: the comparison of partitions makes up for it.
 * - A file leaves the disk only when the replica took every cell in it, or it is too old. Delivering one again after a
 *   crash is harmless, since replicas merge by version.
 */
import { Clock, Context, Duration, Effect, Layer, Semaphore } from "effect"
import { NodeConfig } from "../config/NodeConfig.ts"
import { type AppendHandle, Disk } from "../disk/Disk.ts"
import { type StorageError, UnknownFormat } from "../disk/StorageError.ts"
import * as Bytes from "../domain/bytes.ts"
import type { Cell } from "../domain/cell/Cell.ts"
import type { NodeId } from "../domain/NodeId.ts"
import { restarting } from "../observability/restarting.ts"
import type { PeerFailed } from "../peer/PeerError.ts"
import * as hintLines from "./hintLines.ts"

/** A file is delivered or dropped in one piece, so it should be neither large nor long-lived. */
const fileBytesMax = 4 * 1024 * 1024
/** Hints gather this long in memory, so that an absent replica costs one small write now and then. */
const flushInterval = Duration.millis(50)

interface HintFile {
  readonly path: string
  readonly createdAtMillis: number
  sizeBytes: number
  cells: number
}

interface PeerHints {
  readonly peer: NodeId
  readonly directory: string
  /** Oldest first. The last one may be open. */
  readonly files: Array<HintFile>
  open: { readonly file: HintFile; readonly handle: AppendHandle } | undefined
  waiting: Array<string>
  waitingBytes: number
  sequence: number
  dropped: number
  delivered: number
}

/** Cells that wait on this node's disk for one peer. */
export interface HintStatus {
  readonly peer: NodeId
  readonly pending: number
  readonly pendingBytes: number
  /** Since this start: hints that were too many or too old and left to partition comparison. */
  readonly dropped: number
  readonly delivered: number
}

type Send = (cells: ReadonlyArray<Cell>) => Effect.Effect<unknown, PeerFailed>

export class Hints extends Context.Service<Hints, {
  /** Keeps the cell for a replica that is away. Never fails and never waits: a full log drops the hint. */
  readonly add: (peer: NodeId, cell: Cell) => void
  readonly pending: (peer: NodeId) => number
  readonly status: () => ReadonlyArray<HintStatus>
  /** Delivers the peer's hints with `send`, oldest first; stops at its first failure. */
  readonly deliver: (peer: NodeId, send: Send) => Effect.Effect<void, PeerFailed | StorageError>
}>()("rondo/replication/Hints") {
  static readonly layer = Layer.effect(Hints, Effect.suspend(() => make))
}

const make = Effect.gen(function*() {
  const disk = yield* Disk
  const { dataDirectory, hintWindow, hintsBytesMaxPerPeer } = yield* NodeConfig
  const clock = yield* Clock.Clock
  /** Only one fiber at a time opens, writes and closes files. */
  const exclusively = Semaphore.withPermits(yield* Semaphore.make(1), 1)
  const root = `${dataDirectory}/hints`
  const peers = yield* loadAll(disk, root)

  const hintsFor = (peer: NodeId): PeerHints => {
    let hints = peers.get(peer)
    if (hints === undefined) {
      hints = newPeer(root, peer)
      peers.set(peer, hints)
    }
    return hints
  }

  const forEachPeer = <E>(run: (hints: PeerHints) => Effect.Effect<void, E>) =>
    exclusively(Effect.suspend(() => Effect.forEach(peers.values(), run, { discard: true })))
  const flushOne = (hints: PeerHints) => flush(disk, hints, clock.currentTimeMillisUnsafe())
  const flushAll = forEachPeer(flushOne)
  yield* Effect.forkScoped(
    restarting("flush of hints", Effect.forever(Effect.andThen(Effect.sleep(flushInterval), flushAll)))
  )
  yield* Effect.addFinalizer(() => Effect.andThen(flushAll, forEachPeer(closeOpen)))

  return Hints.of({
    add: (peer, cell) => {
      const hints = hintsFor(peer)
      const line = hintLines.encode(cell)
      const sizeBytes = Bytes.utf8Length(line)
      if (pendingBytes(hints) + sizeBytes > hintsBytesMaxPerPeer) {
        hints.dropped++
        return
      }
      hints.waiting.push(line)
      hints.waitingBytes += sizeBytes
    },
    deliver: Effect.fnUntraced(function*(peer, send) {
      const hints = peers.get(peer)
      if (hints === undefined) return
      yield* exclusively(flushOne(hints))
      while (hints.files.length > 0) {
        const file = hints.files[0]!
        if (file === hints.open?.file) yield* exclusively(closeOpen(hints))
        const isExpired = file.createdAtMillis + Duration.toMillis(hintWindow) < clock.currentTimeMillisUnsafe()
        if (isExpired) hints.dropped += file.cells
        else hints.delivered += yield* deliverFile(disk, hints, file, send)
        hints.files.shift()
        yield* disk.remove(file.path)
      }
    }),
    pending: (peer) => {
      const hints = peers.get(peer)
      return hints === undefined ? 0 : pendingCells(hints)
    },
    status: () =>
      Array.from(peers.values(), (hints) => ({
        peer: hints.peer,
        pending: pendingCells(hints),
        pendingBytes: pendingBytes(hints),
        dropped: hints.dropped,
        delivered: hints.delivered
      }))
  })
})

const newPeer = (root: string, peer: NodeId): PeerHints => ({
  peer,
  directory: `${root}/${peer}`,
  files: [],
  open: undefined,
  waiting: [],
  waitingBytes: 0,
  sequence: 0,
  dropped: 0,
  delivered: 0
})

const pendingCells = ({ files, waiting }: PeerHints) => files.reduce((sum, { cells }) => sum + cells, waiting.length)
const pendingBytes = ({ files, waitingBytes }: PeerHints) =>
  files.reduce((sum, { sizeBytes }) => sum + sizeBytes, waitingBytes)

/** Takes up the files that an earlier start left. */
const loadAll = Effect.fnUntraced(function*(disk: Disk["Service"], root: string) {
  const peers = new Map<NodeId, PeerHints>()
  yield* disk.makeDirectory(root)
  for (const name of yield* disk.list(root)) {
    const hints = newPeer(root, name as NodeId)
    // A file in this place is none of ours.
    const isLoaded = yield* load(disk, hints).pipe(
      Effect.as(true),
      Effect.catchIf((error) => error._tag === "DiskError" && error.code === "ENOTDIR", () => Effect.succeed(false))
    )
    if (!isLoaded) continue
    peers.set(hints.peer, hints)
  }
  return peers
})

const load = Effect.fnUntraced(function*(disk: Disk["Service"], hints: PeerHints) {
  for (const name of yield* disk.list(hints.directory)) {
    const match = /^([0-9]+)-([0-9]+)\.ndjson$/.exec(name)
    if (match === null) continue
    const path = `${hints.directory}/${name}`
    const { cells, sizeBytes, unknownFormat } = hintLines.decode((yield* disk.readFile(path)) ?? Bytes.none)
    hints.sequence = Math.max(hints.sequence, Number(match[2]))
    if (unknownFormat === undefined) {
      hints.files.push({ path, createdAtMillis: Number(match[1]), sizeBytes, cells: cells.length })
    } else {
      const { message } = new UnknownFormat({ path, format: unknownFormat, known: hintLines.format })
      yield* Effect.logWarning(`${message}, and its hints are not delivered`)
    }
  }
  hints.files.sort((left, right) => left.createdAtMillis - right.createdAtMillis || (left.path < right.path ? -1 : 1))
})

/** Moves the hints in memory to the peer's open file. The disk may refuse them: then they are dropped. */
const flush = Effect.fnUntraced(function*(disk: Disk["Service"], hints: PeerHints, nowMillis: number) {
  if (hints.waiting.length === 0) return
  const lines = hints.waiting
  hints.waiting = []
  hints.waitingBytes = 0
  const bytes = Bytes.fromUtf8(lines.join(""))
  yield* writableFile(disk, hints, nowMillis).pipe(
    Effect.flatMap(({ file, handle }) => {
      const appended = file.sizeBytes === 0 ? Bytes.concat([hintLines.head, bytes]) : bytes
      return Effect.map(Effect.andThen(handle.append(appended), handle.sync), () => {
        file.sizeBytes += bytes.length
        file.cells += lines.length
      })
    }),
    Effect.catch((error) => {
      hints.dropped += lines.length
      const close = closeOpen(hints)
      return Effect.andThen(close, Effect.logWarning(`hints for ${hints.peer} dropped: ${error.message}`))
    })
  )
})

const writableFile = Effect.fnUntraced(function*(disk: Disk["Service"], hints: PeerHints, nowMillis: number) {
  if (hints.open !== undefined && hints.open.file.sizeBytes < fileBytesMax) return hints.open
  yield* closeOpen(hints)
  yield* disk.makeDirectory(hints.directory)
  const path = `${hints.directory}/${nowMillis}-${String(++hints.sequence).padStart(6, "0")}.ndjson`
  const handle = yield* disk.openAppend(path)
  // Its name too, or a loss of power takes the file along with all that was synced into it.
  yield* Effect.tapError(disk.syncDirectory(hints.directory), () => handle.close)
  const file: HintFile = { path, createdAtMillis: nowMillis, sizeBytes: 0, cells: 0 }
  hints.files.push(file)
  hints.open = { file, handle }
  return hints.open
})

const closeOpen = (hints: PeerHints) =>
  Effect.suspend(() => {
    const open = hints.open
    hints.open = undefined
    return open === undefined ? Effect.void : open.handle.close
  })

/** Sends one file's cells and returns how many the peer took. */
const deliverFile = Effect.fnUntraced(function*(
  disk: Disk["Service"],
  hints: PeerHints,
  file: HintFile,
  send: Send
) {
  const bytes = yield* disk.readFile(file.path)
  if (bytes === undefined) return 0
  const { cells, damaged } = hintLines.decode(bytes)
  yield* send(cells)
  // Counted only now: a delivery that fails comes here again.
  if (damaged > 0) {
    hints.dropped += damaged
    yield* Effect.logWarning(`${damaged} damaged lines in ${file.path} dropped`)
  }
  return cells.length
})
