/** Converts Level's ranges to the engine's: inclusive below and exclusive above. Pure. */
import { compare } from "../domain/Key.ts"
import * as keys from "./keys.ts"

export interface Range {
  readonly gt?: keys.Bytes
  readonly gte?: keys.Bytes
  readonly lt?: keys.Bytes
  readonly lte?: keys.Bytes
}

export interface Bounds {
  readonly from?: string
  readonly to?: string
}

/** `gte` and `lte` win over `gt` and `lt`. */
export const boundsOf = ({ gt, gte, lt, lte }: Range): Bounds => {
  const from = gte !== undefined
    ? { from: keys.encode(gte) }
    : gt !== undefined
    ? { from: keys.successor(keys.encode(gt)) }
    : {}
  const to = lte !== undefined
    ? { to: keys.successor(keys.encode(lte)) }
    : lt !== undefined
    ? { to: keys.encode(lt) }
    : {}
  return { ...from, ...to }
}

export const contains = ({ from, to }: Bounds, key: string): boolean =>
  (from === undefined || compare(key, from) >= 0) && (to === undefined || compare(key, to) < 0)
