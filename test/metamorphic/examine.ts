/** Runs the sequence of a seed under all its settings, and shortens the first failure. */
import { Effect } from "effect"
import { execute, type Failure } from "./execute.ts"
import * as generate from "./generate.ts"
import type { Operation } from "./Operation.ts"
import * as Settings from "./Settings.ts"
import { shorten } from "./shorten.ts"

/** Enough for several flushes, compactions and restarts of every kind, and few enough to shorten. */
export const requestsPerSequence = 400
export const settingsPerSequence = 8

export interface Found extends Failure {
  readonly seed: number
  readonly settings: Settings.Settings
  readonly operations: ReadonlyArray<Operation>
}

export interface Examined {
  readonly operations: number
  readonly found: Found | undefined
}

export const examine = Effect.fnUntraced(function*(seed: number): Effect.fn.Return<Examined> {
  const { keys, requests } = generate.sequence(seed, requestsPerSequence)
  let count = 0
  for (const [index, settings] of Settings.draw(seed, settingsPerSequence).entries()) {
    const operations = generate.disturbed(requests, seed + index, settings.disturb)
    const failure = yield* execute(operations, keys, settings, seed + index)
    count += operations.length
    if (failure === undefined) continue
    const run = (some: ReadonlyArray<Operation>) => execute(some, keys, settings, seed + index)
    return { operations: count, found: { seed, settings, ...(yield* shorten(operations, failure, run)) } }
  }
  return { operations: count, found: undefined }
})

export const report = ({ at, operations, problem, seed, settings }: Found): string =>
  [
    `seed ${seed}: ${at < operations.length ? JSON.stringify(operations[at]) : "at the end"}: ${problem}`,
    `settings ${JSON.stringify(settings)}`,
    ...operations.map((operation) => `  ${brief(JSON.stringify(operation))}`),
    `again: node test/metamorphic/main.ts --seed ${seed} --operations 1`,
    ""
  ].join("\n")

/** Abbreviates repetitions in long keys. */
const brief = (text: string): string =>
  text.replace(/(.{1,8}?)\1{9,}/gu, (all, part: string) => `${part}<${all.length / part.length} times>`)
