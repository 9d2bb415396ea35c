/** The store's answer to a cell. */
import type { Version } from "../domain/Version.ts"

export type Applied =
  /** It is now, or already was, the newest. `replaced`: a live value (not a tombstone) was there before it. */
  | { readonly _tag: "Accepted"; readonly replaced: boolean }
  /** The store holds something newer and did not change. */
  | { readonly _tag: "Superseded"; readonly newest: Version }
