/**
 * Hinted handoff: cells that wait on this node's disk for replicas that are away, as lines of JSON in
 * `hints/<nodeId>/<created, milliseconds>-<sequence>.ndjson`, each behind its CRC-32. The bytes are described in
 * docs/formats/hints.md.
 *
 * Source: DeCandia et al., "Dynamo" (SOSP 2007), section 4.6.
 *
 * Invariants
 * - A hint never fails or delays a write: what overflows, is too old or cannot be stored is dropped and counted, and
 *   the comparison of partitions makes up for it.
 * - A file leaves the disk only when the replica took every cell in it, or it is too old; delivering one again
 *   after a crash is harmless, since replicas merge by version.
 */
import { Clock, Context, Duration, Effect, Layer, type Scope, Semaphore } from "effect"
import { NodeConfig, type NodeSettings } from "../config/NodeConfig.ts"
import { type AppendHandle, Disk } from "../disk/Disk.ts"
import { formatOf } from "../disk/jsonFormat.ts"
import { type StorageError, UnknownFormat } from "../disk/StorageError.ts"
import * as Bytes from "../domain/bytes.ts"
import type { Cell } from "../domain/cell/Cell.ts"
import * as CellLine from "../domain/cell/CellLine.ts"
import type { NodeId } from "../domain/NodeId.ts"
import { restarting } from "../observability/restarting.ts"
import type { PeerFailed } from "../peer/PeerError.ts"

/** Delivered and dropped as a whole, so neither large nor long-lived. */
const fileBytesMax = 4 * 1024 * 1024
/** Hints gather this long in memory, so that an absent replica costs one small write now and then. */
const flushInterval = Duration.millis(50)

interface HintFile {
  readonly path: string
  readonly createdAtMillis: number
  /** Of the hints in it. */
  bytes: number
  cells: number
}

interface PeerHints {
  readonly peer: NodeId
  readonly directory: string
  /** Oldest first. The last one may be open. */
  files: Array<HintFile>
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

export class Hints extends Context.Service<Hints, {
  /** Keeps the cell for a replica that is away. Never fails and never waits: a full log drops the hint. */
  readonly add: (peer: NodeId, cell: Cell) => void
  readonly pending: (peer: NodeId) => number
  readonly status: () => ReadonlyArray<HintStatus>
  /** Delivers what waits for the peer, oldest first, with `send`; stops at its first failure. */
  readonly deliver: (
    peer: NodeId,
    send: (cells: ReadonlyArray<Cell>) => Effect.Effect<unknown, PeerFailed>
  ) => Effect.Effect<void, PeerFailed | StorageError>
}>()("rondo/replication/Hints") {
  static readonly layer = Layer.effect(
    Hints,
    Effect.gen(function*() {
      return yield* make(yield* Disk, yield* NodeConfig)
    })
  )
}

export const make = Effect.fnUntraced(function*(
  disk: Disk["Service"],
  { dataDirectory, hintWindow, hintsBytesMaxPerPeer }: Pick<
    NodeSettings,
    "dataDirectory" | "hintWindow" | "hintsBytesMaxPerPeer"
  >
): Effect.fn.Return<Hints["Service"], StorageError, Scope.Scope> {
  const clock = yield* Clock.Clock
  /** One at a time opens, writes and closes files. */
  const exclusively = Semaphore.withPermits(yield* Semaphore.make(1), 1)
  const root = `${dataDirectory}/hints`
  yield* disk.makeDirectory(root)
  const peers = new Map<NodeId, PeerHints>()
  for (const name of yield* disk.list(root)) {
    const hints = newPeer(root, name as NodeId)
    // What is no directory is none of ours.
    const isLoaded = yield* load(disk, hints).pipe(
      Effect.as(true),
      Effect.catchIf((error) => error._tag === "DiskError" && error.code === "ENOTDIR", () => Effect.succeed(false))
    )
    if (!isLoaded) continue
    peers.set(hints.peer, hints)
  }

  const of = (peer: NodeId): PeerHints => {
    let hints = peers.get(peer)
    if (hints === undefined) {
      hints = newPeer(root, peer)
      peers.set(peer, hints)
    }
    return hints
  }

  const add = (peer: NodeId, cell: Cell) => {
    const hints = of(peer)
    const line = encodeLine(cell)
    const bytes = Bytes.utf8Length(line)
    if (pendingBytes(hints) + bytes > hintsBytesMaxPerPeer) {
      hints.dropped++
      return
    }
    hints.waiting.push(line)
    hints.waitingBytes += bytes
  }

  /** Moves what waits in memory to the peer's open file; what the disk does not take is dropped. */
  const flush = Effect.fnUntraced(function*(hints: PeerHints) {
    if (hints.waiting.length === 0) return
    const lines = hints.waiting
    hints.waiting = []
    hints.waitingBytes = 0
    const bytes = Bytes.fromUtf8(lines.join(""))
    yield* writableFile(disk, hints, clock.currentTimeMillisUnsafe()).pipe(
      Effect.flatMap(({ file, handle }) => {
        const appended = file.bytes === 0 ? Bytes.concat([head, bytes]) : bytes
        return Effect.map(Effect.andThen(handle.append(appended), handle.sync), () => {
          file.bytes += bytes.length
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

  const flushAll = exclusively(Effect.suspend(() => Effect.forEach(peers.values(), flush, { discard: true })))
  const flushing = Effect.forever(Effect.andThen(Effect.sleep(flushInterval), flushAll))
  yield* Effect.forkScoped(restarting("flush of hints", flushing))
  yield* Effect.addFinalizer(() =>
    Effect.andThen(flushAll, Effect.suspend(() => Effect.forEach(peers.values(), closeOpen, { discard: true })))
  )

  const deliver: Hints["Service"]["deliver"] = Effect.fnUntraced(function*(peer, send) {
    const hints = peers.get(peer)
    if (hints === undefined) return
    yield* exclusively(flush(hints))
    while (hints.files.length > 0) {
      const file = hints.files[0]!
      if (file === hints.open?.file) yield* exclusively(closeOpen(hints))
      const expired = file.createdAtMillis + Duration.toMillis(hintWindow) < clock.currentTimeMillisUnsafe()
      if (expired) hints.dropped += file.cells
      else hints.delivered += yield* deliverFile(disk, hints, file, send)
      hints.files.shift()
      yield* disk.remove(file.path)
    }
  })

  return {
    add,
    deliver,
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
  }
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

const pendingCells = (hints: PeerHints) => hints.files.reduce((sum, { cells }) => sum + cells, hints.waiting.length)
const pendingBytes = (hints: PeerHints) => hints.files.reduce((sum, { bytes }) => sum + bytes, hints.waitingBytes)

/** Takes up the files that an earlier start left. */
const load = Effect.fnUntraced(function*(disk: Disk["Service"], hints: PeerHints) {
  for (const name of yield* disk.list(hints.directory)) {
    const match = /^([0-9]+)-([0-9]+)\.ndjson$/.exec(name)
    if (match === null) continue
    const path = `${hints.directory}/${name}`
    const { cells, hintBytes, unknownFormat } = decodeLines((yield* disk.readFile(path)) ?? Bytes.none)
    hints.sequence = Math.max(hints.sequence, Number(match[2]))
    if (unknownFormat === undefined) {
      hints.files.push({ path, createdAtMillis: Number(match[1]), bytes: hintBytes, cells: cells.length })
    } else {
      const { message } = new UnknownFormat({ path, format: unknownFormat, known: format })
      yield* Effect.logWarning(`${message}, and its hints are not delivered`)
    }
  }
  hints.files.sort((left, right) => left.createdAtMillis - right.createdAtMillis || (left.path < right.path ? -1 : 1))
})

const writableFile = Effect.fnUntraced(function*(disk: Disk["Service"], hints: PeerHints, nowMillis: number) {
  if (hints.open !== undefined && hints.open.file.bytes < fileBytesMax) return hints.open
  yield* closeOpen(hints)
  yield* disk.makeDirectory(hints.directory)
  const path = `${hints.directory}/${nowMillis}-${String(++hints.sequence).padStart(6, "0")}.ndjson`
  const handle = yield* disk.openAppend(path)
  // Its name too, or a loss of power takes the file along with all that was synced into it.
  yield* Effect.tapError(disk.syncDirectory(hints.directory), () => handle.close)
  const file: HintFile = { path, createdAtMillis: nowMillis, bytes: 0, cells: 0 }
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
  send: (cells: ReadonlyArray<Cell>) => Effect.Effect<unknown, PeerFailed>
) {
  const bytes = yield* disk.readFile(file.path)
  if (bytes === undefined) return 0
  const { cells, damaged } = decodeLines(bytes)
  yield* send(cells)
  // Counted only now: a delivery that fails comes here again.
  if (damaged > 0) {
    hints.dropped += damaged
    yield* Effect.logWarning(`${damaged} damaged lines in ${file.path} dropped`)
  }
  return cells.length
})

/** What the first line says. Files from before there was one begin with a hint, and are read too. */
const format = "rondo-hints-1"

const checked = (line: string): string => `${Bytes.crc32(line).toString(16).padStart(8, "0")} ${line}\n`

const head = Bytes.fromUtf8(checked(JSON.stringify({ format })))

const encodeLine = (cell: Cell): string => checked(CellLine.encode(cell))

interface Contents {
  readonly cells: ReadonlyArray<Cell>
  /** A torn last line, which no acknowledgement stands on, counts as damaged too. */
  readonly damaged: number
  readonly hintBytes: number
  /** What another version calls the format that it wrote the file in: nothing else is known then. */
  readonly unknownFormat: string | undefined
}

const decodeLines = (bytes: Uint8Array): Contents => {
  const cells: Array<Cell> = []
  let damaged = 0
  const isHeaded = Bytes.equals(bytes.subarray(0, head.length), head)
  const hintBytes = isHeaded ? bytes.length - head.length : bytes.length
  for (const text of Bytes.utf8(bytes, bytes.length - hintBytes).split("\n")) {
    if (text === "") continue
    const line = text.slice(9)
    const isWhole = Bytes.crc32(line) === Number.parseInt(text.slice(0, 8), 16)
    const cell = isWhole ? CellLine.decode(line) : undefined
    if (cell !== undefined) cells.push(cell)
    else {
      const unknownFormat = isWhole ? formatOf(line) : undefined
      if (unknownFormat !== undefined) return { cells: [], damaged: 0, hintBytes, unknownFormat }
      damaged++
    }
  }
  return { cells, damaged, hintBytes, unknownFormat: undefined }
}
