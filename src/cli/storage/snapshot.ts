/** `rondo storage snapshot`: copies running nodes by their endpoint, or a stopped node's directory. */
import { Effect, Option, Schema } from "effect"
import { SnapshotList, SnapshotTaken } from "../../api/AdminApi.ts"
import * as environment from "../../config/environment.ts"
import * as PeerAuth from "../../peer/PeerAuth.ts"
import { CommandFailed, report } from "../CommandFailed.ts"
import { type Answer, Http, type Request } from "../Http.ts"
import { type Output, printLine } from "../Output.ts"
import { bytes, columnsOf } from "../statusTable.ts"
import { count, counted } from "../Tally.ts"
import * as target from "../target.ts"
import * as directory from "./directory.ts"
import type * as options from "./options.ts"

type Given = options.Given<typeof options.snapshot>

export const snapshot = (given: Given) => Option.isSome(given.node) ? live(given, given.node.value) : offline(given)

const offline = (given: Given) => {
  const [source, into] = given.names
  if (given.names.length !== 2 || given.list || given.remove) {
    return report(
      Effect.fail(
        new CommandFailed({
          message: given.list || given.remove
            ? "--list and --remove are for snapshots of a running node: add --node URL"
            : "give the directory of a stopped node and a new directory for the snapshot, or --node URL NAME"
        })
      )
    )
  }
  return directory.run(
    source!,
    Effect.gen(function*() {
      const engine = yield* directory.openEngine(source!)
      const taken = yield* engine.snapshot(into!)
      yield* printLine(given.json ? JSON.stringify(taken) : sentence(taken))
    })
  )
}

const sentence = (
  taken: { readonly directory: string; readonly tables: number; readonly bytes: number; readonly bytesCopied: number }
): string =>
  `${taken.directory}: ${counted(taken.tables, "table")} of ${bytes(taken.bytes)}` +
  (taken.bytesCopied > 0 ? `, of which ${bytes(taken.bytesCopied)} were copied` : ", by hard links")

const live = (given: Given, node: string) =>
  report(Effect.gen(function*() {
    const urls = yield* target.parseUrls(node)
    const [name] = given.names
    if (given.list ? name !== undefined : given.names.length !== 1) {
      return yield* new CommandFailed({
        message: given.list
          ? "--list takes no name"
          : given.names.length > 1
          ? "give one name"
          : "give the snapshot a name, such as 2026-11-22"
      })
    }
    const failures: Array<string> = []
    for (const origin of urls) {
      const work = given.list
        ? list(origin, given.json)
        : given.remove
        ? remove(origin, name!, given.json)
        : take(origin, name!, given.json)
      yield* Effect.catch(work, ({ message }) => Effect.sync(() => failures.push(message)))
    }
    // Every node was asked: one that is down does not keep the others from taking theirs.
    if (failures.length > 0) return yield* new CommandFailed({ message: failures.join("\nrondo: ") })
  }))

const decodeTaken = Schema.decodeUnknownEffect(Schema.fromJsonString(SnapshotTaken))
const decodeList = Schema.decodeUnknownEffect(Schema.fromJsonString(SnapshotList))

const take = Effect.fnUntraced(function*(origin: string, name: string, json: boolean) {
  const answer = yield* ask(
    origin,
    { method: "POST", path: "/snapshots", body: Buffer.from(JSON.stringify({ name })) },
    201,
    {
      409: `a snapshot ${name} exists already: choose another name, or remove it: ` +
        `rondo storage snapshot --node ${origin.replace(/^http:\/\//, "")} ${name} --remove`
    }
  )
  const taken = yield* decoded(origin, decodeTaken(answer.body.toString()))
  yield* printLine(json ? JSON.stringify({ node: origin, ...taken }) : `${origin}: ${sentence(taken)}`)
})

const list = Effect.fnUntraced(function*(origin: string, json: boolean) {
  const answer = yield* ask(origin, { method: "GET", path: "/snapshots" }, 200)
  const { node, snapshots } = yield* decoded(origin, decodeList(answer.body.toString()))
  if (json) return yield* printLine(JSON.stringify({ node, snapshots }))
  if (snapshots.length === 0) return yield* printLine(`${node}: no snapshots`)
  const rows = snapshots.map(({ bytes: size, cells, name, state, tables }) => [
    node as string,
    name,
    state as string,
    count(tables),
    bytes(size),
    count(cells)
  ])
  yield* printLine(columnsOf([["node", "snapshot", "state", "tables", "size", "cells"], ...rows]))
})

const remove = Effect.fnUntraced(function*(origin: string, name: string, json: boolean) {
  yield* ask(origin, { method: "DELETE", path: `/snapshots/${encodeURIComponent(name)}` }, 204)
  yield* printLine(json ? JSON.stringify({ node: origin, removed: name }) : `${origin}: removed ${name}`)
})

/** No deadline: where the file system has no hard links, a snapshot copies the store. */
const ask = Effect.fnUntraced(function*(
  origin: string,
  request: Pick<Request, "method" | "path" | "body">,
  wanted: number,
  refusals: Readonly<Record<number, string>> = {}
): Effect.fn.Return<Answer, CommandFailed, Http | Output> {
  const http = yield* Http
  const headers = {
    authorization: PeerAuth.header(yield* environment.clusterSecret),
    ...(request.body === undefined ? {} : { "content-type": "application/json" })
  }
  const answer = yield* Effect.mapError(
    http.send({ ...request, origin, headers }),
    (error) => new CommandFailed({ message: error.message })
  )
  if (answer.status === wanted) return answer
  return yield* new CommandFailed({
    message: answer.status === 401
      ? `${origin} refused the secret: set CLUSTER_SECRET to that of the cluster`
      : `${origin}: ${refusals[answer.status] ?? target.describeProblem(answer)}`
  })
})

const decoded = <A, E>(origin: string, decoding: Effect.Effect<A, E>) =>
  Effect.mapError(decoding, () => new CommandFailed({ message: `not a Rondo node: ${origin}` }))
