/** Flags that several benchmarks share. */
import { Flag } from "effect/cli"
import { existsSync } from "node:fs"
import { join } from "node:path"

export const positive = (name: string, description: string) =>
  Flag.Int(name).pipe(
    Flag.withDescription(description),
    Flag.filter((value) => value >= 1, () => "must be 1 or more")
  )

export const positiveOr = (fallback: number, name: string, description: string) =>
  positive(name, `${description} (default ${fallback})`).pipe(Flag.withDefault(fallback))

export const against = (what: string) =>
  Flag.String("against").pipe(
    Flag.withDescription(`Compare with ${what} another checkout of Rondo: its directory, with its node_modules`),
    Flag.filter((root) => existsSync(join(root, "bin/rondo")), (root) => `there is no checkout of Rondo at ${root}`),
    Flag.optional
  )
