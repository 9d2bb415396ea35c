/** Tests in virtual time: time passes when all fibers wait, and only then, however slow the machine is. */
import { it } from "@effect/vitest"
import { Effect, Logger, type Scope } from "effect"
import * as virtualTime from "../src/simulation/virtualTime.ts"

/** Nobody reads the log lines of what a test breaks on purpose. */
export const run = <E>(body: Effect.Effect<void, E, Scope.Scope>): void =>
  virtualTime.run(Effect.provide(body, Logger.layer([])))

export const inVirtualTime = (
  name: string,
  body: () => Generator<Effect.Effect<unknown, unknown, Scope.Scope>, void, never>
): void => it(`${name}`, () => run(Effect.gen(body)))
