/**
 * The load generator as a process of its own: takes a `Load` as JSON in its first argument and prints the `Outcome`
 * as JSON. Keys are given as seed and count, since 100,000 of them do not fit an argument.
 */
import * as LoadGenerator from "../src/cli/LoadGenerator.ts"

const { keyCount, keySeed, ...load } = JSON.parse(process.argv[2]!) as Omit<LoadGenerator.Load, "keys"> & {
  readonly keyCount: number
  readonly keySeed: number
}

LoadGenerator.run(
  { ...load, keys: LoadGenerator.keysOf(keySeed, keyCount) },
  (outcome) => process.stdout.write(JSON.stringify(outcome))
)
