/** The output of `npm run simulate`. */
import type { Violation } from "./History.ts"
import { faultKinds } from "./Schedule.ts"
import type { Options } from "./simulate.ts"
import type { Totals } from "./Totals.ts"
import type { Verdict } from "./verdict.ts"

export const help =
  `Runs whole clusters on virtual time, one for each seed, under faults drawn from the seed, and checks every promise.

  npm run simulate -- [--seeds 100] [--from 1] [--nodes 5] [--minutes 1] [--fault KIND]... [options]

  --seeds N        how many seeds to run, from --from on
  --nodes N        nodes of the cluster, 3 or more
  --minutes M      virtual minutes in which clients work and faults begin
  --fault KIND     only this kind of fault; may be given again, or as a list with commas:
                   ${faultKinds.slice(0, 9).join(" ")}
                   ${faultKinds.slice(9).join(" ")}
  --keep I,J       only these faults of the seed's schedule, by place
  --twice          runs each seed twice and compares the hashes of the traces
  --stop-after N   ends after so many failing seeds (default 1)
  --jobs N         threads (default: one a processor)
  --trace FILE     runs the first seed alone and writes every event to the file
  --json           prints the figures as JSON

Examples
  npm run simulate -- --seeds 10000                         a night's work
  npm run simulate -- --from 4711 --seeds 1 --trace t.log    one seed, event by event
  npm run simulate -- --fault power-all,disk-full            only these faults
`

const thousands = (value: number): string => Math.round(value).toLocaleString("en")

const hours = (millis: number): string => `${(millis / 3_600_000).toFixed(1)} h`

export const progress = (totals: Totals, seeds: number, seconds: number): string => {
  const share = totals.seeds / seeds
  const bar = "#".repeat(Math.round(share * 24)).padEnd(24, ".")
  const rate = totals.seeds / seconds
  return `[${bar}] ${totals.seeds}/${seeds} seeds  ${rate.toFixed(1)}/s  ${hours(totals.virtualMillis)} simulated  ` +
    `${thousands(totals.operations)} operations  ${totals.failures.length} failing`
}

export const summary = (totals: Totals, seconds: number): string =>
  [
    `${thousands(totals.seeds)} seeds in ${seconds.toFixed(0)} s (${(totals.seeds / seconds).toFixed(1)} a second), ` +
    `${hours(totals.virtualMillis)} simulated`,
    `  operations  ${thousands(totals.operations)} checked, ${thousands(totals.acknowledged)} of them acknowledged`,
    `  messages    ${thousands(totals.messages)}: ${thousands(totals.lost)} lost, ${
      thousands(totals.duplicated)
    } twice, ` +
    `${thousands(totals.late)} late`,
    `  faults      ${
      Object.entries(totals.faults).toSorted(([, left], [, right]) => right - left).map(([kind, times]) =>
        `${kind} ${thousands(times)}`
      ).join(", ")
    }`,
    `  damage      ${thousands(totals.holesClosed)} ranges of keys repaired`,
    `  agreement   at most ${(totals.convergedAfterMillisMax / 1000).toFixed(1)} s after the last fault`,
    totals.failures.length === 0
      ? "every promise was kept"
      : `${totals.failures.length} failing: ${totals.failures.map(({ seed }) => seed).join(", ")}`,
    ""
  ].join("\n")

export const asJson = (totals: Totals, seconds: number) => ({
  ...totals,
  seconds,
  failures: totals.failures.map(({ broken, seed }) => ({
    seed,
    broken: broken.map(({ detail, promise }) => ({ promise, detail }))
  }))
})

export const failure = (options: Options, verdict: Verdict, keep: ReadonlyArray<number>): string => {
  const kept = keep.map((place) => ({ place, ...verdict.schedule[place]! }))
  return [
    `seed ${verdict.seed} breaks ${verdict.broken[0]!.promise}: ${verdict.broken[0]!.detail}`,
    ...verdict.broken.slice(1, 4).map(({ detail, promise }) => `  and ${promise}: ${detail}`),
    ...verdict.broken[0]!.operations.slice(0, 6).map((operation) => `  ${JSON.stringify(operation).slice(0, 300)}`),
    `with these of its ${verdict.schedule.length} faults:`,
    ...kept.map(({ atMillis, forMillis, kind, nodes, place }) =>
      `  ${String(place).padStart(3)}  ${(atMillis / 1000).toFixed(1)} s  ${kind} of ${
        nodes.map((node) => `node${node + 1}`).join(", ")
      } for ${(forMillis / 1000).toFixed(1)} s`
    ),
    `again:  ${command(options, keep)}`,
    "",
    ""
  ].join("\n")
}

const command = ({ kinds, minutes, nodes, seed }: Options, keep: ReadonlyArray<number>): string =>
  [
    `npm run simulate -- --from ${seed} --seeds 1 --nodes ${nodes} --minutes ${minutes}`,
    ...(kinds.length === faultKinds.length ? [] : [`--fault ${kinds.join(",")}`]),
    `--keep "${keep.join(",")}" --trace trace.log`
  ].join(" ")

/** Two runs of one seed that differ: the simulator, or the store, draws on something outside the seed. */
export const unequal = (verdict: Verdict, before: string): Verdict => {
  const broken: Violation = {
    promise: "determinism",
    detail: `its trace has the hash ${before} and then ${verdict.traceHash}`,
    operations: []
  }
  return { ...verdict, broken: [broken, ...verdict.broken] }
}
