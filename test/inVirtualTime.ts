/**
 * `it.effect` where more happens than a test's clock is to be turned by hand for: time passes when all fibers wait, and
 * only then, however slow the machine is.
 */
import { it } from "@effect/vitest"
import type { Effect, Scope } from "effect"
import * as virtualTime from "../src/simulation/virtualTime.ts"

export const inVirtualTime = <E>(name: string, body: () => Effect.Effect<void, E, Scope.Scope>): void =>
  it(`${name}`, () => virtualTime.run(body()))
