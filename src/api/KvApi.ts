/**
 * Keys and values over HTTP: the path is the key, the body is the value, so `curl` is a complete client. The wildcard
 * keeps slashes in keys. `server/KvRequest` reads the key and the query by hand, since decoding by schema costs more
 * than the rest of a request, and the router changes some keys.
 */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { keyBytesMax } from "../domain/Key.ts"
import * as Problem from "./Problem.ts"

const Bytes = Schema.Uint8Array.pipe(HttpApiSchema.asUint8Array({ contentType: "*/*" }))

/** The answer of `GET` to `Accept: application/json`. */
export const Envelope = Schema.Struct({
  key: Schema.String,
  /** Text if the bytes are valid UTF-8, otherwise base64, marked by `encoding`. */
  value: Schema.String,
  version: Schema.String,
  contentType: Schema.String,
  encoding: Schema.optionalKey(Schema.Literal("base64"))
})

const EntityTag = Schema.String.annotate({
  description: "The version in quotes, a strong entity tag: equal tags mean equal bytes."
})
const versionHeaders = { etag: EntityTag, "rondo-version": Schema.String }
const receiptHeaders = {
  ...versionHeaders,
  "rondo-acks": Schema.String.annotate({
    description: "Replicas that had taken the write, of those that hold the key: `2/3`."
  })
}

const keyParameter: OpenApi.OpenAPISpecParameter = {
  name: "key",
  in: "path",
  required: true,
  description: `1 to ${keyBytesMax} bytes of UTF-8, percent-decoded exactly once. Slashes belong to the key.`,
  schema: { type: "string", minLength: 1 }
}

const quorumSchema = {
  oneOf: [{ type: "integer", minimum: 1 }, { type: "string", enum: ["one", "quorum", "all"] }]
}

const query = (name: string, description: string, schema: OpenApi.OpenAPISpecParameter["schema"]) =>
  ({ name, in: "query", required: false, description, schema }) satisfies OpenApi.OpenAPISpecParameter

const commonParameters = [
  query("consistency", "How many replicas to wait for, in one word.", {
    type: "string",
    enum: ["one", "quorum", "all"]
  }),
  query("timeout", "Milliseconds, or a number with a unit: `500ms`, `2s`. At most 60 s.", { type: "string" })
]
const readParameters = [query("r", "Replicas that must answer.", quorumSchema), ...commonParameters]
const writeParameters = [query("w", "Replicas that must take the write.", quorumSchema), ...commonParameters]

const described = (summary: string, description: string, parameters: ReadonlyArray<OpenApi.OpenAPISpecParameter>) =>
  OpenApi.annotations({
    summary,
    description,
    transform: (operation) => ({ ...operation, parameters: [keyParameter, ...parameters] })
  })

const refusals = [
  Problem.InvalidKey,
  Problem.KeyTooLong,
  Problem.InvalidParameter,
  Problem.Overloaded,
  Problem.InternalError,
  Problem.Stopping
] as const

const put = HttpApiEndpoint.put("put", "/kv/*", {
  payload: Bytes,
  success: [
    HttpApiSchema.WithHeaders(HttpApiSchema.Created.annotate({ description: "No value was there" }), receiptHeaders),
    HttpApiSchema.WithHeaders(HttpApiSchema.NoContent.annotate({ description: "A value was replaced" }), receiptHeaders)
  ],
  error: [
    ...refusals,
    Problem.InvalidContentType,
    Problem.UnsupportedEncoding,
    Problem.ValueTooLarge,
    Problem.NotImplemented,
    Problem.RequestTimeout,
    Problem.WriteQuorumFailed
  ]
}).annotateMerge(described(
  "Write a value",
  "Takes the raw body with its content type. 201: no value was there; 204: one was replaced.",
  writeParameters
))

const get = HttpApiEndpoint.get("get", "/kv/*", {
  success: [
    HttpApiSchema.WithHeaders(Bytes, versionHeaders),
    Envelope,
    HttpApiSchema.Empty(304).annotate({ description: "`If-None-Match` names the current version" })
  ],
  error: [...refusals, Problem.KeyNotFound, Problem.ReadQuorumFailed]
}).annotateMerge(described(
  "Read a value",
  "Answers the bytes as they were written, or an envelope when `Accept` names `application/json`. The 404 of a " +
    "deleted key carries the deletion's version in `Rondo-Deleted`.",
  readParameters
))

const head = HttpApiEndpoint.head("head", "/kv/*", {
  success: [
    HttpApiSchema.WithHeaders(HttpApiSchema.Empty(200), versionHeaders),
    HttpApiSchema.Empty(304).annotate({ description: "`If-None-Match` names the current version" })
  ],
  error: [...refusals, Problem.KeyNotFound, Problem.ReadQuorumFailed]
}).annotateMerge(described("Look at a value", "The headers that `GET` would answer, without the body.", readParameters))

const remove = HttpApiEndpoint.delete("delete", "/kv/*", {
  success: HttpApiSchema.WithHeaders(HttpApiSchema.NoContent, receiptHeaders),
  error: [...refusals, Problem.NotImplemented, Problem.WriteQuorumFailed]
}).annotateMerge(described("Delete a key", "Answers 204 also when there was nothing.", writeParameters))

export class KvApi extends HttpApiGroup.make("kv")
  .add(put, get, head, remove)
  .annotateMerge(OpenApi.annotations({ title: "Keys and values", description: "Read and write through any node." }))
{}

/** The path of a key; `server/KvRequest` undoes it. Slashes stay readable. */
export const pathOf = (key: string): string => `/kv/${encodeURIComponent(key).replaceAll("%2F", "/")}`
