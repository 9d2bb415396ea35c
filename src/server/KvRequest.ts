/**
 * Reads a client's request: the key from the raw URL, the options from the query, and headers. Pure. The router's path
 * is of no use here: it folds case, cuts at `;` and drops slashes.
 *
 * Invariants
 * - Percent-encoding is decoded exactly once, as strict UTF-8; nothing is normalised.
 * - Unknown options are rejected, so a typo cannot silently weaken a write.
 */
import { Duration } from "effect"
import type { IncomingHttpHeaders } from "node:http"
import * as Problem from "../api/Problem.ts"
import { contentTypeBytesMax } from "../domain/cell/Cell.ts"
import { type Key, keyBytesMax } from "../domain/Key.ts"
import { pathOf } from "./target.ts"

const prefix = "/kv/"

/** The key, or the problem with it. */
export const keyOf = (url: string): Key | Problem.Problem => {
  const path = pathOf(url)
  const end = path.indexOf("?")
  const encoded = path.slice(prefix.length, end === -1 ? undefined : end)
  if (!path.startsWith(prefix)) return new Problem.NotFound({ detail: "keys are at /kv/{key}" })
  if (encoded === "") return new Problem.InvalidKey({ detail: "the key is empty: put it after /kv/" })
  const key = encoded.includes("%") ? decoded(encoded) : encoded
  if (key === undefined) {
    return new Problem.InvalidKey({
      detail: "the key's percent-encoding is not valid UTF-8: write a percent sign itself as %25"
    })
  }
  // Each UTF-16 unit takes at most three bytes, so short keys need no count.
  if (key.length * 3 > keyBytesMax) {
    const gotBytes = Buffer.byteLength(key, "utf8")
    if (gotBytes > keyBytesMax) {
      return new Problem.KeyTooLong({
        detail: `the key has ${gotBytes} bytes, the limit is ${keyBytesMax}`,
        limitBytes: keyBytesMax,
        gotBytes
      })
    }
  }
  return key as Key
}

/** `decodeURIComponent` is strict: it refuses overlong forms, surrogates and broken escapes. */
const decoded = (text: string): string | undefined => {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}

/** `undefined` stands for the cluster's or the node's default. */
export interface Options {
  readonly replicas: number | undefined
  readonly timeout: Duration.Duration | undefined
}

const defaults: Options = { replicas: undefined, timeout: undefined }

const timeoutMillisMax = 60_000

/** `quorumName` is the method's own, `w` or `r`; its value is at most `replicationFactor`. */
export const optionsOf = (
  url: string,
  quorumName: "r" | "w",
  replicationFactor: number
): Options | Problem.InvalidParameter => {
  const start = url.indexOf("?")
  if (start === -1 || start === url.length - 1) return defaults
  const known = [quorumName, "consistency", "timeout"]
  const given = new Map<string, string>()
  for (const pair of url.slice(start + 1).split("&")) {
    if (pair === "") continue
    const equals = pair.indexOf("=")
    const name = decoded(equals === -1 ? pair : pair.slice(0, equals)) ?? pair
    const value = decoded(equals === -1 ? "" : pair.slice(equals + 1))
    if (!known.includes(name)) {
      return invalid(name, `one of ${known.join(", ")}`, `${shown(name)} is not an option of this method`)
    }
    if (given.has(name)) return invalid(name, "once", `${name} is given more than once`)
    given.set(name, value ?? "%")
  }
  if (given.has(quorumName) && given.has("consistency")) {
    return invalid("consistency", `${quorumName} or consistency`, `${quorumName} and consistency say the same thing`)
  }
  const replicas = replicasOf(given, quorumName, replicationFactor)
  if (replicas instanceof Problem.InvalidParameter) return replicas
  const timeout = timeoutOf(given.get("timeout"))
  if (timeout instanceof Problem.InvalidParameter) return timeout
  return { replicas, timeout }
}

const replicasOf = (given: ReadonlyMap<string, string>, quorumName: string, replicationFactor: number) => {
  const number = given.get(quorumName)
  const word = given.get("consistency")
  if (number !== undefined) {
    const replicas = named(number, replicationFactor) ?? (/^[0-9]{1,3}$/.test(number) ? Number(number) : 0)
    return replicas >= 1 && replicas <= replicationFactor
      ? replicas
      : invalid(quorumName, `1 to ${replicationFactor}, one, quorum or all`, `${quorumName}=${shown(number)}`)
  }
  if (word === undefined) return undefined
  const detail = word === "linearizable"
    ? "consistency=linearizable is not supported yet"
    : `consistency=${shown(word)}`
  return named(word, replicationFactor) ?? invalid("consistency", "one, quorum or all", detail)
}

const named = (word: string, replicationFactor: number): number | undefined =>
  word === "one" ? 1 : word === "all" ? replicationFactor : word === "quorum" ? majority(replicationFactor) : undefined

const majority = (replicationFactor: number): number => Math.floor(replicationFactor / 2) + 1

const timeoutOf = (text: string | undefined) => {
  if (text === undefined) return undefined
  const match = /^([0-9]{1,9}(?:\.[0-9]{1,6})?)(ms|s)?$/.exec(text)
  const millis = match === null ? Number.NaN : Number(match[1]) * (match[2] === "s" ? 1000 : 1)
  return millis >= 1 && millis <= timeoutMillisMax
    ? Duration.millis(millis)
    : invalid("timeout", "1 ms to 60 s, as milliseconds or with a unit: 250, 250ms, 2s", `timeout=${shown(text)}`)
}

const invalid = (parameter: string, allowed: string, detail: string) =>
  new Problem.InvalidParameter({ detail: `${detail}; allowed: ${allowed}`, parameter: shown(parameter), allowed })

/** A client's text, cut so that it cannot fill the answer. */
const shown = (text: string): string => (text.length <= 64 ? text : `${text.slice(0, 61)}...`)

const contentTypeDefault = "application/octet-stream"

const isSendable = (contentType: string): boolean =>
  contentType.length <= contentTypeBytesMax && /^[\x20-\x7e]*$/.test(contentType)

/** The content type to answer. One that came from a peer may be unfit for a header. */
export const contentTypeToSend = (kept: string): string => kept !== "" && isSendable(kept) ? kept : contentTypeDefault

/** The content type to keep: the client's own, even if it means nothing. */
export const contentTypeOf = (headers: IncomingHttpHeaders): string | Problem.InvalidContentType => {
  const contentType = headers["content-type"]
  if (contentType === undefined || contentType === "") return contentTypeDefault
  if (isSendable(contentType)) return contentType
  return new Problem.InvalidContentType({
    detail: `a content type has at most ${contentTypeBytesMax} bytes of visible ASCII`,
    limitBytes: contentTypeBytesMax
  })
}

const conditions = ["if-match", "if-none-match", "if-unmodified-since", "if-modified-since"]

/** The problem with a write that has these headers, if any. */
export const unsupported = (headers: IncomingHttpHeaders): Problem.Problem | undefined => {
  for (const header of conditions) {
    if (headers[header] !== undefined) {
      return new Problem.NotImplemented({
        detail: `conditional writes are not supported yet, so ${header} would be ignored: nothing was written`,
        header
      })
    }
  }
  if (headers["content-range"] !== undefined) {
    return new Problem.NotImplemented({
      detail: "a part of a value cannot be written: nothing was written",
      header: "content-range"
    })
  }
  // Node undoes chunks; a body that was encoded in another way would be taken for the value.
  const transfer = headers["transfer-encoding"]
  if (transfer !== undefined && transfer.toLowerCase() !== "chunked") {
    return new Problem.NotImplemented({
      detail: "no transfer encoding but chunked is supported: nothing was written",
      header: "transfer-encoding"
    })
  }
  const encoding = headers["content-encoding"]
  if (encoding !== undefined && encoding !== "" && encoding.toLowerCase() !== "identity") {
    return new Problem.UnsupportedEncoding({
      detail: "a value is kept without its content encoding, so readers could not undo it: send it unencoded"
    })
  }
  return undefined
}

/** Whether `Accept` names `application/json`; a wildcard means the value as it is. */
export const wantsEnvelope = (accept: string | undefined): boolean => {
  if (accept === undefined || accept === "*/*") return false
  return accept.split(",").some((range) => {
    const [type, ...parameters] = range.split(";").map((part) => part.trim().toLowerCase())
    return type === "application/json" && !parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter))
  })
}

/** Whether `If-None-Match` names this entity tag. Weak comparison: RFC 9110, section 13.1.2. */
export const matches = (ifNoneMatch: string, entityTag: string): boolean =>
  ifNoneMatch.trim() === "*" ||
  ifNoneMatch.split(",").some((candidate) => candidate.trim().replace(/^W\//, "") === entityTag)
