/**
 * The faults of one run, drawn from its seed before it begins, so that a failing run can be repeated with some of them
 * left out.
 */
import type { SeededRandom } from "../domain/SeededRandom.ts"

export const faultKinds = [
  "kill",
  "power",
  "power-all",
  "pause",
  "partition",
  "one-way",
  "isolate",
  "loss",
  "duplicate",
  "delay",
  "slow-link",
  "slow-disk",
  "disk-full",
  "clock-jump",
  "clock-skew",
  "bit-rot",
  "lost-disk"
] as const
export type FaultKind = (typeof faultKinds)[number]

/** `faults.ts` says what each kind does. */
export interface Fault {
  readonly kind: FaultKind
  readonly atMillis: number
  readonly forMillis: number
  /** Places of the nodes that it hits. */
  readonly nodes: ReadonlyArray<number>
  /** How bad, in [0, 1). */
  readonly strength: number
}

export interface ScheduleOptions {
  readonly nodes: number
  /** Faults begin within this time. */
  readonly forMillis: number
  /** Draws only from these kinds. */
  readonly kinds: ReadonlyArray<FaultKind>
}

/** Drawn more often: these happen most in real clusters, and found most mistakes. */
const weights: Partial<Record<FaultKind, number>> = {
  kill: 4,
  power: 4,
  "power-all": 2,
  partition: 3,
  isolate: 3,
  "one-way": 2,
  pause: 2
}

/** These destroy data for good. A run has one of them at most: a quorum store survives N - W of them. */
const destructive: ReadonlySet<FaultKind> = new Set(["bit-rot", "lost-disk"])

export const draw = (random: SeededRandom, options: ScheduleOptions): ReadonlyArray<Fault> => {
  const count = 1 + random.below(Math.max(2, Math.ceil(options.forMillis / 6000)))
  const bag = options.kinds.flatMap((kind) => Array.from({ length: weights[kind] ?? 1 }, () => kind))
  const faults: Array<Fault> = []
  let destroyed = false
  for (let index = 0; index < count; index++) {
    const kind = random.pick(bag)
    const fault = one(random, kind, options)
    if (destructive.has(kind)) {
      if (destroyed) continue
      destroyed = true
    }
    faults.push(fault)
  }
  return faults.toSorted((left, right) => left.atMillis - right.atMillis)
}

const one = (random: SeededRandom, kind: FaultKind, options: ScheduleOptions): Fault => {
  const concerned = shuffled(random, options.nodes).slice(0, concernedBy(random, kind, options.nodes))
  return {
    kind,
    atMillis: random.between(0, options.forMillis),
    // Mostly short, now and then longer than failure detection takes.
    forMillis: random.chance(0.7) ? random.between(50, 4000) : random.between(4000, 30_000),
    nodes: concerned,
    strength: random.next()
  }
}

const concernedBy = (random: SeededRandom, kind: FaultKind, nodes: number): number => {
  if (kind === "power-all") return nodes
  if (kind === "one-way") return 2
  if (kind === "partition") return 1 + random.below(nodes - 1)
  if (kind === "kill" || kind === "power") return random.chance(0.2) ? Math.min(2, nodes) : 1
  return 1
}

const shuffled = (random: SeededRandom, length: number): ReadonlyArray<number> => {
  const places = Array.from({ length }, (_, index) => index)
  for (let index = length - 1; index > 0; index--) {
    const other = random.below(index + 1)
    ;[places[index], places[other]] = [places[other]!, places[index]!]
  }
  return places
}
