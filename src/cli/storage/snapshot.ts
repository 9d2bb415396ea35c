/** `rondo storage snapshot`: copies running nodes by their endpoint, or a stopped node's directory. */
import { Effect, Option } from "effect"
import { SnapshotList, SnapshotTaken } from "../../api/AdminApi.ts"
import * as environment from "../../config/environment.ts"
import * as PeerAuth from "../../peer/PeerAuth.ts"
import { failed } from "../CommandFailed.ts"
import { Http, type Request } from "../Http.ts"
import { print } from "../Output.ts"
import { bytes, columnsOf } from "../statusTable.ts"
import { count, counted } from "../Tally.ts"
import * as target from "../target.ts"
import * as directory from "./directory.ts"
import type * as options from "./options.ts"

type Given = options.Given<typeof options.snapshot>

export const run = Effect.fnUntraced(function*(given: Given) {
  const { list, names, node, remove } = given
  const mistake = Option.isSome(node)
    ? list
      ? names.length === 0 ? undefined : "--list takes no name"
      : names.length === 1
      ? undefined
      : names.length === 0
      ? "give the snapshot a name, such as 2026-11-22"
      : "give one name"
    : list || remove
    ? "--list and --remove are for snapshots of a running node: add --node URL"
    : names.length === 2
    ? undefined
    : "give the directory of a stopped node and a new directory for the snapshot, or --node URL NAME"
  if (mistake !== undefined) return yield* failed(mistake)
  yield* Option.isSome(node) ? live(given, node.value) : offline(given.names[0]!, given.names[1]!, given.json)
})

const offline = (source: string, into: string, json: boolean) =>
  directory.run(
    source,
    Effect.gen(function*() {
      const engine = yield* directory.openEngine(source)
      const taken = yield* engine.snapshot(into)
      yield* print(json, taken, sentence(taken))
    })
  )

const sentence = (
  taken: { readonly directory: string; readonly tables: number; readonly bytes: number; readonly bytesCopied: number }
): string =>
  `${taken.directory}: ${counted(taken.tables, "table")} of ${bytes(taken.bytes)}` +
  (taken.bytesCopied > 0 ? `, of which ${bytes(taken.bytesCopied)} were copied` : ", by hard links")

const live = Effect.fnUntraced(function*({ json, list: isList, names, remove: isRemoval }: Given, nodes: string) {
  const name = names[0]!
  const failures: Array<string> = []
  for (const origin of yield* target.parseUrls(nodes)) {
    const work = isList ? list(origin, json) : isRemoval ? remove(origin, name, json) : take(origin, name, json)
    yield* Effect.catch(work, ({ message }) => Effect.sync(() => failures.push(message)))
  }
  // Every node was asked: one that is down does not keep the others from taking theirs.
  if (failures.length > 0) return yield* failed(failures.join("\nrondo: "))
})

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
  const taken = yield* target.decode(origin, SnapshotTaken, answer)
  yield* print(json, { node: origin, ...taken }, `${origin}: ${sentence(taken)}`)
})

const list = Effect.fnUntraced(function*(origin: string, json: boolean) {
  const answer = yield* ask(origin, { method: "GET", path: "/snapshots" }, 200)
  const { node, snapshots } = yield* target.decode(origin, SnapshotList, answer)
  const rows = snapshots.map(({ bytes: size, cells, name, state, tables }) =>
    [node, name, state, count(tables), bytes(size), count(cells)] as const
  )
  const table = columnsOf([["node", "snapshot", "state", "tables", "size", "cells"], ...rows])
  yield* print(json, { node, snapshots }, snapshots.length === 0 ? `${node}: no snapshots` : table)
})

const remove = Effect.fnUntraced(function*(origin: string, name: string, json: boolean) {
  yield* ask(origin, { method: "DELETE", path: `/snapshots/${encodeURIComponent(name)}` }, 204)
  yield* print(json, { node: origin, removed: name }, `${origin}: removed ${name}`)
})

/** No deadline: where the file system has no hard links, a snapshot copies the store. */
const ask = Effect.fnUntraced(function*(
  origin: string,
  request: Pick<Request, "method" | "path" | "body">,
  wanted: number,
  refusals: Readonly<Record<number, string>> = {}
) {
  const http = yield* Http
  const headers = {
    authorization: PeerAuth.header(yield* environment.clusterSecret),
    ...(request.body === undefined ? {} : { "content-type": "application/json" })
  }
  const sent = http.send({ ...request, origin, headers })
  const answer = yield* Effect.mapError(sent, ({ message }) => failed(message))
  if (answer.status === wanted) return answer
  return yield* answer.status === 401
    ? target.secretRefused(origin)
    : failed(`${origin}: ${refusals[answer.status] ?? target.describeProblem(answer)}`)
})
