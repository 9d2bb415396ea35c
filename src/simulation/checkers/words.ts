/** How violations name things, so that all read alike. */
import * as Version from "../../domain/Version.ts"
import type { Operation } from "../History.ts"
import type { Shown } from "./KeyHistory.ts"

/** `put users/42 = 3.1 (operation 12, client 3 on node2)` */
export const operationWords = ({ client, id, key, kind, node, value }: Operation): string =>
  `${kind} ${key}${value === undefined ? "" : ` = ${shortened(value)}`} (operation ${id}, client ${client} on ${node})`

/** `value 3.1 at 51-node1-9f86d081884c`, `a tombstone at ...` or `nothing` */
export const shownWords = ({ value, version }: Shown): string => {
  if (version === undefined && value === undefined) return "nothing"
  const what = value === undefined ? "a tombstone" : `value ${shortened(value)}`
  return version === undefined ? what : `${what} at ${Version.format(version)}`
}

/** Values may be long, and differ in how they begin. */
export const shortened = (value: string): string =>
  value.length <= shownCharactersMax ? value : `${value.slice(0, shownCharactersMax)}...`

const shownCharactersMax = 16
