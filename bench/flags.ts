/** Flags that several benchmarks share. */
import { Flag } from "effect/cli"

export const positive = (name: string, description: string) =>
  Flag.Int(name).pipe(
    Flag.withDescription(description),
    Flag.filter((value) => value >= 1, () => "must be 1 or more")
  )
