/**
 * `rondo export`: writes every record of the cluster as a line of JSON, in key order. It reads all nodes at once and
 * keeps the newest version of each key, since a replica may have missed some. Not a snapshot: a record that is written
 * during the export may or may not be in it.
 */
import { NodeStream } from "@effect/platform-node"
import { Effect, FileSystem, type Redacted, Stream } from "effect"
import { Argument, Command } from "effect/cli"
import { createGzip } from "node:zlib"
import { Cluster } from "../api/AdminApi.ts"
import * as environment from "../config/environment.ts"
import type { Cell } from "../domain/cell/Cell.ts"
import * as CellLine from "../domain/cell/CellLine.ts"
import * as PeerAuth from "../peer/PeerAuth.ts"
import * as StreamEnd from "../peer/StreamEnd.ts"
import { type CommandFailed, failed } from "./CommandFailed.ts"
import * as flags from "./flags.ts"
import { Http } from "./Http.ts"
import { split } from "./lines.ts"
import { mergeCells } from "./mergeCells.ts"
import { Output, printLine } from "./Output.ts"
import * as Record from "./record.ts"
import * as Tally from "./Tally.ts"
import * as target from "./target.ts"

type ClusterView = typeof Cluster.Type

/** The nodes to read. Every acknowledged write is on W replicas, so W - 1 nodes may be down. */
const sourcesOf = (cluster: ClusterView): Effect.Effect<ReadonlyArray<string>, CommandFailed> => {
  const present = cluster.members.filter(({ liveness }) => liveness !== "down")
  const missing = cluster.members.filter(({ liveness }) => liveness === "down")
  return missing.length < cluster.quorums.write
    ? Effect.succeed(present.map(({ address }) => address))
    : Effect.fail(
      failed(
        `an export needs ${cluster.members.length - cluster.quorums.write + 1} of ${cluster.members.length} nodes, ` +
          `or it may miss records; start those that are down: ${missing.map(({ id }) => id).join(", ")}`
      )
    )
}

const nodeCells = (http: Http["Service"], address: string, secret: Redacted.Redacted<string>) =>
  http.stream({
    origin: `http://${address}`,
    method: "GET",
    path: "/internal/cells",
    headers: { authorization: PeerAuth.header(secret) }
  }).pipe(
    Stream.mapError((error) =>
      error.code === "401"
        ? target.secretRefused(address)
        : failed(`reading ${address} failed: ${error.code}; try again`)
    ),
    split,
    Stream.map(({ text }) => text ?? ""),
    StreamEnd.require(() => failed(`${address} stopped in the middle; try again`)),
    Stream.mapEffect((text) => {
      const cell = CellLine.decode(text)
      return cell === undefined
        ? Effect.fail(failed(`${address} sent a line that is not a cell: does it run this version of Rondo?`))
        : Effect.succeed(cell)
    })
  )

const recordOf = (cell: Cell): string =>
  cell.value === undefined ? "" : `${Record.encode({ key: cell.key, ...cell.value })}\n`

/** The newest record of each key, as lines with their line feeds. */
export const records = (addresses: ReadonlyArray<string>, secret: Redacted.Redacted<string>, tally: Tally.Tally) =>
  Stream.unwrap(
    Effect.map(
      Http,
      (http) =>
        mergeCells(addresses.map((address) => ({ name: address, cells: nodeCells(http, address, secret) }))).pipe(
          Stream.filter((cell) => cell.value !== undefined),
          Stream.mapArray((cells) => {
            tally.done += cells.length
            return [cells.map(recordOf).join("")]
          })
        )
    )
  )

/** A file gets its name when it is complete, so that nobody takes a broken export for a good one. */
const write = Effect.fnUntraced(function*<R>(file: string, text: Stream.Stream<string, CommandFailed, R>) {
  if (file === "-") {
    const output = yield* Output
    return yield* Stream.runForEach(text, output.result)
  }
  const files = yield* FileSystem.FileSystem
  const partial = `${file}.partial`
  const bytes = Stream.encodeText(text)
  const zipped = file.endsWith(".gz")
    ? NodeStream.pipeThroughDuplex(bytes, {
      evaluate: () => createGzip(),
      onError: (cause) => failed(`gzip: ${String(cause)}`)
    })
    : bytes
  yield* Stream.run(zipped, files.sink(partial))
  yield* files.rename(partial, file)
})

export const exportRecords = Command.make(
  "export",
  {
    file: Argument.String("file").pipe(
      Argument.withDescription("File to write; .gz is compressed, - is standard output")
    ),
    url: target.url,
    quiet: flags.quiet,
    json: flags.json
  },
  Effect.fnUntraced(function*({ file, json, quiet, url }) {
    const output = yield* Output
    const secret = yield* environment.clusterSecret
    const urls = yield* target.parseUrls(url)
    const cluster = yield* Effect.firstSuccessOf(urls.map((origin) => target.page(origin, "/cluster", Cluster)))
    const addresses = yield* sourcesOf(cluster)
    if (addresses.length < cluster.members.length) {
      yield* output.notice("some nodes are down; the others hold every acknowledged record\n")
    }
    const tally = Tally.make("export")
    const work = write(file, records(addresses, secret, tally)).pipe(
      Effect.mapError((error) =>
        error._tag === "CommandFailed" ? error : failed(`cannot write ${file}: ${error.message}`)
      )
    )
    const { seconds } = yield* Tally.during(tally, quiet, work)
    const summary = Tally.summary(tally, "exported", seconds, json)
    yield* file === "-" ? output.notice(quiet ? "" : `${summary}\n`) : printLine(summary)
  })
).pipe(
  Command.withDescription(
    "Write every record of the cluster as JSON lines, in key order; needs CLUSTER_SECRET if the cluster has one"
  ),
  Command.withExamples([
    { command: "rondo export backup.ndjson.gz", description: "Save everything" },
    { command: "rondo export - | jq -r .key | head", description: "Look at the first keys" }
  ])
)
