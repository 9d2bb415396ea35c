/**
 * Two sides measured in turns, round by round. Figures drift with the machine and its other load. The ratio of two
 * neighbouring measurements drifts least, so a ratio is taken within each round, and the median round is the result.
 *
 * Pure.
 */

/** For an even count, the lower of the two middle items; `undefined` without items. */
export const median = <A>(items: ReadonlyArray<A>, by: (item: A) => number): A | undefined =>
  items.toSorted((left, right) => by(left) - by(right))[Math.floor((items.length - 1) / 2)]

/** A median and its 95 % confidence interval. With fewer than six items, the interval spans all of them. */
export interface Middle {
  readonly median: number
  readonly low: number
  readonly high: number
  readonly count: number
}

/** The bounds are order statistics: they assume nothing about the distribution, and outliers do not widen them. */
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

/** How many items to leave out at either end, so that each end misses the median in at most one case of forty. */
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

/** The ratios of `of(subject)` to `of(base)`, over the rounds that have both. */
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
