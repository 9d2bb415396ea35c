/**
 * Two sides measured in turns, round by round. Figures drift with the machine and with what else it does; the ratio of
 * two neighbouring measurements drifts least, so ratios are made within a round and the median round counts.
 *
 * Pure.
 */

/** The lower one of the two in the middle; `undefined` for no items. */
export const median = <A>(items: ReadonlyArray<A>, by: (item: A) => number): A | undefined =>
  items.toSorted((left, right) => by(left) - by(right))[Math.floor((items.length - 1) / 2)]

/** A median, and between which bounds the true one lies with 95 % confidence. Fewer than six items cannot say that: all of them then. */
export interface Middle {
  readonly median: number
  readonly low: number
  readonly high: number
  readonly count: number
}

/** The bounds are order statistics, so nothing is assumed of the distribution: outliers do not widen them. */
export const middle = (items: ReadonlyArray<number>): Middle | undefined => {
  const count = items.length
  if (count === 0) return undefined
  const sorted = items.toSorted((left, right) => left - right)
  const outside = ranksOutside(count)
  const half = (count - 1) / 2
  return {
    median: (sorted[Math.floor(half)]! + sorted[Math.ceil(half)]!) / 2,
    low: sorted[outside]!,
    high: sorted[count - 1 - outside]!,
    count
  }
}

const doubt = 0.05

/** How many items may be left out at either end: as long as so few of them would be on one side of the median in one case of forty. */
const ranksOutside = (count: number): number => {
  let probability = 0.5 ** count
  let cumulated = probability
  let rank = 0
  while (2 * cumulated <= doubt) {
    probability *= (count - rank) / (rank + 1)
    cumulated += probability
    rank++
  }
  return Math.max(0, rank - 1)
}

/** What `of` gives for the subject by what it gives for the base, for each round that has both. */
export const ratios = <A extends { readonly round: number }>(
  subject: ReadonlyArray<A>,
  base: ReadonlyArray<A>,
  of: (run: A) => number | undefined
): Middle | undefined =>
  middle(subject.flatMap((run) => {
    const beside = base.find(({ round }) => round === run.round)
    const above = of(run)
    const below = beside === undefined ? undefined : of(beside)
    return above === undefined || below === undefined || below === 0 ? [] : [above / below]
  }))

/** `1.012 (0.98-1.03)`. */
export const ratioText = (ratio: Middle | undefined): string =>
  ratio === undefined ? "-" : `${ratio.median.toFixed(3)} (${ratio.low.toFixed(2)}-${ratio.high.toFixed(2)})`
