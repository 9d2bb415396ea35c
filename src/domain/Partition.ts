/**
 * The key space is cut into a fixed, cluster-wide number of partitions by the top bits of the key's hash: the unit of
 * placement, comparison and progress. A partition never moves its borders.
 *
 * Pure.
 */
import type { Key } from "./Key.ts"
import { hashHigh } from "./xxhash64.ts"

/** How many values the upper half of a hash has. */
const hashHighs = 2 ** 32

/** The key's partition, from 0; `count`, the number of partitions, is a power of two. */
export const of = (key: Key, count: number): number => Math.floor(hashHigh(key) / (hashHighs / count))
