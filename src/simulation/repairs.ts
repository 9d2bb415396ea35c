/**
 * Watches nodes whose tables rotted. When one notices that a range of keys lost cells, it must not answer for these
 * keys with older cells than it had accepted. When it calls the range whole again, it must hold every write that had
 * been acknowledged when the loss was noticed. A comparison would soon hide both mistakes.
 */
import { Effect } from "effect"
import { Key } from "../domain/Key.ts"
import * as Version from "../domain/Version.ts"
import * as Holes from "../storage/manifest/Holes.ts"
import type { Hole } from "../storage/manifest/Holes.ts"
import type { Cluster } from "./Cluster.ts"
import type { Operation } from "./History.ts"
import type { SimulatedNode } from "./SimulatedNode.ts"
import type { World } from "./World.ts"

export interface RepairsOptions {
  readonly world: World
  readonly cluster: Cluster
  readonly operations: ReadonlyArray<Operation>
}

export interface Repairs {
  readonly closed: () => number
}

const everyMillis = 50
/** Repair first waits for operations under way: this long at least. */
const graceMillis = 5000

export const watch = ({ cluster, operations, world }: RepairsOptions): Repairs => {
  const known = new Map<SimulatedNode, { readonly life: unknown; readonly holes: Map<string, [Hole, number]> }>()
  const seen = new Set<string>()
  let closed = 0

  const look = (node: SimulatedNode) => {
    const { process } = node
    const stats = node.isDamaged && node.services && node.ask(node.storage.stats)
    if (!stats) return
    const before = known.get(node)
    const holes = new Map<string, [Hole, number]>()
    for (const hole of stats.holes) {
      const name = JSON.stringify(hole)
      const noticed = before?.life === process ? before?.holes.get(name)?.[1] : undefined
      holes.set(name, [hole, noticed ?? world.now()])
      if (!seen.has(name)) examineLost(node, hole)
      seen.add(name)
    }
    for (const [name, [hole, noticed]] of before?.holes ?? []) {
      if (!holes.has(name)) examineClosed(node, hole, noticed)
    }
    known.set(node, { life: process, holes })
  }

  const examineLost = (node: SimulatedNode, hole: Hole) => {
    for (const [key, promised] of node.promised) {
      if (Holes.covers(hole, key)) expect(node, key, promised)
    }
  }

  const examineClosed = (node: SimulatedNode, hole: Hole, noticedMillis: number) => {
    closed++
    world.trace(`${node.id} closed a hole`)
    for (const [name, promised] of newestAcknowledged(operations, hole, noticedMillis + graceMillis)) {
      const key = Key.make(name)
      if (node.ring.preferenceList(key).includes(node.id)) expect(node, key, promised)
    }
  }

  const expect = (node: SimulatedNode, key: Key, promised: Version.Version) =>
    node.begin(Effect.tap(node.storage.version(key), (held) =>
      Effect.sync(() => {
        if (held !== undefined && Version.compare(held, promised) >= 0) return
        cluster.forgotten.push({ node: node.name, key, promised, held, atMillis: world.now() })
      })))

  const round = () => {
    for (const node of cluster.nodes) look(node)
    world.after(cluster.outside, everyMillis, round)
  }
  round()
  return { closed: () => closed }
}

/** For each key of the hole, the newest version that more than one replica had taken by then. */
const newestAcknowledged = (operations: ReadonlyArray<Operation>, hole: Hole, untilMillis: number) => {
  const newest = new Map<string, Version.Version>()
  for (const { endedMillis, key, kind, outcome, quorum } of operations) {
    if (kind === "get" || quorum < 2 || outcome?._tag !== "Ok" || endedMillis > untilMillis) continue
    const { version } = outcome
    if (version === undefined || !Holes.covers(hole, key)) continue
    const before = newest.get(key)
    if (before === undefined || Version.compare(version, before) > 0) newest.set(key, version)
  }
  return newest
}
