/** The workloads that `--only` accepts, in the order in which they run, and their aims. Pure. */

export interface Workload {
  readonly name: string
  readonly title: string
  /** The lowest ratio to LevelDB's asynchronous calls that the engine aims at. */
  readonly aim?: number
}

const all = [
  { name: "fill-ordered", title: "fill in order" },
  { name: "fill-random", title: "fill at random", aim: 2 },
  { name: "fill-synced-32", title: "write synced, 32 in flight", aim: 5 },
  { name: "fill-synced-128", title: "write synced, 128 in flight", aim: 5 },
  { name: "read-random", title: "read at random", aim: 2 },
  { name: "read-single", title: "read at random, 1 at a time", aim: 2 },
  { name: "read-hot", title: "read hot", aim: 2.5 },
  { name: "read-missing", title: "read missing", aim: 3 },
  { name: "scan", title: "scan of 100", aim: 1.5 },
  { name: "scan-single", title: "scan of 100, 1 at a time", aim: 1.5 },
  { name: "read-while-writing", title: "read while writing", aim: 1.5 },
  { name: "put-single", title: "put at random, 1 at a time", aim: 2 },
  { name: "read-cold", title: "read cold", aim: 0.8 },
  { name: "overwrite", title: "overwrite at random", aim: 2 },
  { name: "write-while-compacting", title: "write while compacting" },
  { name: "filter", title: "filter" },
  { name: "recovery", title: "recovery" },
  { name: "memory", title: "memory" }
] as const satisfies ReadonlyArray<Workload>

export type WorkloadName = typeof all[number]["name"]

export const workloads: ReadonlyArray<Workload & { readonly name: WorkloadName }> = all

export const byName = (name: WorkloadName) => workloads.find((workload) => workload.name === name)!

/** The names in a list separated by commas, or the first unknown one. */
export const parseNames = (text: string): ReadonlySet<WorkloadName> | { readonly unknown: string } => {
  const names = text.split(",").map((name) => name.trim()).filter((name) => name !== "")
  const unknown = names.find((name) => !workloads.some((workload) => workload.name === name))
  return unknown === undefined ? new Set(names as Array<WorkloadName>) : { unknown }
}
