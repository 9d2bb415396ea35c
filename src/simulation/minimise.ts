/**
 * The smallest part of a failing run's schedule that still breaks the same promise.
 *
 * Source: Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input" (IEEE TSE 2002): `ddmin`, here by
 * halves and then one by one, since schedules are short.
 */

/** Places of `count` faults that are needed; `fails` runs with some of them. The whole schedule is known to fail. */
export const minimise = (
  count: number,
  fails: (keep: ReadonlyArray<number>) => boolean
): ReadonlyArray<number> => {
  let keep: ReadonlyArray<number> = Array.from({ length: count }, (_, place) => place)
  for (let size = keep.length; size >= 1; size = size >> 1) {
    for (let start = 0; start < keep.length;) {
      const rest = [...keep.slice(0, start), ...keep.slice(start + size)]
      if (rest.length < keep.length && fails(rest)) keep = rest
      else start += size
    }
  }
  return keep
}
