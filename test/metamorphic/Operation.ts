/**
 * The operations of a sequence: plain data, so that a failing sequence can be printed, shortened and run again.
 *
 * Invariants
 * - A stamp determines its cell: the same key and version always have the same contents.
 */
import type { Cell, Value } from "../../src/domain/cell/Cell.ts"
import type { Key } from "../../src/domain/Key.ts"
import { NodeId } from "../../src/domain/NodeId.ts"
import { Incarnation } from "../../src/domain/Version.ts"

export interface Stamp {
  readonly key: string
  readonly counter: number
  /** 1 or 2, the writing node. */
  readonly node: number
}

export interface Range {
  readonly from?: string
  readonly to?: string
  readonly prefix?: string
  readonly reverse?: boolean
  readonly tombstones?: boolean
}

/** Requests of clients. A slot names something that stays open; an operation on an empty slot does nothing. */
export type Request =
  /** Concurrent calls with some cells each. */
  | { readonly _tag: "apply"; readonly calls: ReadonlyArray<ReadonlyArray<Stamp>> }
  | { readonly _tag: "get" | "version"; readonly key: string }
  /** Without a limit the scan runs to its end. */
  | { readonly _tag: "scan"; readonly range: Range; readonly limit?: number }
  | { readonly _tag: "open stream"; readonly slot: number; readonly range: Range }
  | { readonly _tag: "pull" | "close stream"; readonly slot: number }
  | { readonly _tag: "open view" | "close view"; readonly slot: number }
  | { readonly _tag: "view get"; readonly slot: number; readonly key: string }
  | { readonly _tag: "open cursor"; readonly slot: number; readonly view: number; readonly range: Range }
  | { readonly _tag: "next"; readonly slot: number; readonly count: number }
  | { readonly _tag: "seek"; readonly slot: number; readonly key: string }
  | { readonly _tag: "flush" | "compact" | "verify" | "snapshot" }

/** Disturbances between the requests. */
export type Disturbance =
  /** Background work gets turns, and time passes. */
  | { readonly _tag: "pause"; readonly turns: number; readonly millis: number }
  | { readonly _tag: "restart" }
  /** `kill`: the process dies and the system lives. */
  | { readonly _tag: "crash"; readonly kill: boolean; readonly againAt?: number }
  /** At the n-th disk operation from now. */
  | { readonly _tag: "crash soon"; readonly kill: boolean; readonly disk: number; readonly againAt?: number }

export type Operation = Request | Disturbance

const incarnation = Incarnation.make("0123456789ab")
const nodes = [NodeId.make("node0"), NodeId.make("node1"), NodeId.make("node2")]

export const versionOf = ({ counter, node }: Pick<Stamp, "counter" | "node">) => ({
  counter,
  nodeId: nodes[node]!,
  incarnation
})

export const cellOf = (stamp: Stamp): Cell => ({
  key: stamp.key as Key,
  version: versionOf(stamp),
  value: valueOf(hash(`${stamp.counter}/${stamp.node}/${stamp.key}`))
})

/** A fifth of all counters make a tombstone, so that a few tries find one. */
export const isTombstone = (stamp: Stamp): boolean => cellOf(stamp).value === undefined

/** Text that is hard for lines and JSON, binary, empty, and larger than a block. */
const valueOf = (drawn: number): Value | undefined => {
  const size = drawn >>> 8
  switch (drawn % 20) {
    case 0:
    case 1:
    case 2:
    case 3:
      return undefined
    case 4:
      return { bytes: new Uint8Array(0), contentType: "" }
    case 5:
      return { bytes: Buffer.from(`"}\n{"key":"a"}\n\\u0000\u0000 ü\u2028${size}`), contentType: "application/json" }
    case 6:
    case 7:
    case 8:
      return { bytes: Buffer.from([0xff, 0x0a, 0x22, 0xc3, size & 0xff]), contentType: "x/\"y\"" }
    case 9:
      return { bytes: Buffer.alloc(500 + size % 2500, size & 0xff), contentType: "application/octet-stream" }
    case 10:
      return { bytes: Buffer.from(`${size} `.repeat(50 + size % 300)), contentType: "text/plain" }
    case 11:
      return { bytes: Buffer.alloc(4000 + size % 9000, 0x80 | (size & 0xff)), contentType: "text/plain" }
    default:
      return { bytes: Buffer.from(`value ${size}`.repeat(1 + size % 4)), contentType: "text/plain" }
  }
}

/** FNV-1a, mixed once more because its low bits are poor. */
const hash = (text: string): number => {
  let state = 0x811c9dc5
  for (let index = 0; index < text.length; index++) state = Math.imul(state ^ text.charCodeAt(index), 0x01000193)
  state = Math.imul(state ^ (state >>> 16), 0x85ebca6b)
  return (state ^ (state >>> 13)) >>> 0
}
