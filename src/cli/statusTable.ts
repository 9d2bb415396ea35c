/** The state of a cluster as people read it. Pure. */
import type { Cluster, Health } from "../api/AdminApi.ts"
import { count, counted } from "./Tally.ts"

type ClusterView = typeof Cluster.Type
type HealthView = typeof Health.Type
type ScrubView = NonNullable<HealthView["storage"]["scrub"]>

export const columnsOf = (rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  return rows.map((row) => row.map((text, column) => text.padEnd(widths[column]!)).join("  ").trimEnd()).join("\n")
}

/** `512 B`, `1.5 KiB`, `20 MiB`. */
export const bytes = (value: number): string => {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"]
  let scaled = value
  let unit = 0
  while (scaled >= 1024 && unit < units.length - 1) {
    scaled /= 1024
    unit++
  }
  return `${scaled < 10 && unit > 0 ? scaled.toFixed(1) : Math.round(scaled)} ${units[unit]}`
}

const ago = (millis: number): string => {
  const seconds = Math.round(millis / 1000)
  if (millis < 1000) return "now"
  if (seconds < 600) return `${seconds} s ago`
  return seconds < 36_000 ? `${Math.round(seconds / 60)} min ago` : `${Math.round(seconds / 3600)} h ago`
}

const memberRows = (cluster: ClusterView, nowMillis: number): ReadonlyArray<ReadonlyArray<string>> => [
  ["node", "address", "state", "heard", "partitions", "share", "hints for it", "comparison"],
  ...cluster.members.map((member) => {
    const isSelf = member.id === cluster.node
    const hints = cluster.replicator.hints.find(({ peer }) => peer === member.id)
    const comparison = cluster.replicator.comparisons.find(({ peer }) => peer === member.id)
    return [
      member.id,
      member.address,
      member.liveness,
      isSelf ? "-" : ago(nowMillis - member.heardAtMillis),
      String(member.partitions.replica),
      `${(member.partitions.share * 100).toFixed(1)} %`,
      isSelf ? "-" : count(hints?.pending ?? 0),
      member.liveness === "down" ? "-" : comparison?.state.replace("-", " ") ?? "-"
    ]
  })
]

const scrubText = (scrub: ScrubView, nowMillis: number): string => {
  const { bytesDone, bytesTotal, damaged, lastPassEndedAtMillis, passes, running } = scrub
  const last = lastPassEndedAtMillis === undefined
    ? counted(passes, "pass", "passes")
    : `${counted(passes, "pass", "passes")}, the last ended ${ago(nowMillis - lastPassEndedAtMillis)}`
  const now = running ? `; now at ${bytes(bytesDone)} of ${bytes(bytesTotal)}` : ""
  return `Scrub: ${last}${now}; ${counted(damaged, "damaged place")} found.`
}

const capitalized = (sentence: string): string => sentence.slice(0, 1).toUpperCase() + sentence.slice(1)

/** `nowMillis` is the time of this machine; the clock of the node that answers is assumed to agree. */
export const render = (cluster: ClusterView, health: HealthView, nowMillis: number): string => {
  const { partitions, storage } = health
  return [
    `${health.status}: ${partitions.withQuorum} of ${partitions.total} partitions have a quorum, ` +
    `${partitions.withAllReplicas} have all replicas`,
    `N = ${cluster.replicationFactor}, W = ${cluster.quorums.write}, R = ${cluster.quorums.read}, ` +
    `ring epoch ${cluster.ring.epoch}`,
    "",
    columnsOf(memberRows(cluster, nowMillis)),
    "",
    `${cluster.node} (answering): ${counted(storage.tables, "table")} (${bytes(storage.tableBytes)}), ` +
    `${bytes(storage.logBytes)} log, ${counted(storage.memtableCells, "cell")} in memory, ` +
    (storage.writable ? "writable" : `refuses writes: ${storage.refusing ?? "no reason given"}`),
    ...(storage.scrub === undefined ? [] : [scrubText(storage.scrub, nowMillis)]),
    ...(storage.damage === undefined
      ? []
      : [`Damage: ${storage.damage.found}. ${capitalized(storage.damage.next)}.`]),
    ...(health.recovering
      ? ["Recovering: the data directory is new or salvaged; reads are answered once it has synced with every replica."]
      : [])
  ].join("\n")
}
