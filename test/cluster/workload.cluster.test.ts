/**
 * Clients write, delete and read a few keys through all nodes of a cluster while nodes crash, links are cut and messages
 * are late, all drawn from a seed; then what every client saw is checked against the promises.
 */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import type { ReadQuorumFailed, WriteQuorumFailed } from "../../src/coordinator/CoordinatorError.ts"
import * as Version from "../../src/domain/Version.ts"
import type { MemoryCluster, MemoryNode } from "./MemoryCluster.ts"
import * as Cluster from "./MemoryCluster.ts"

interface Observed {
  readonly kind: "write" | "read"
  readonly key: string
  readonly client: number
  /** Places in one global order of beginnings and ends. */
  readonly began: number
  ended: number
  /** Of an acknowledged write, or what a read returned; `undefined` for absent, or for an outcome that is not known. */
  version: Version.Version | undefined
  value: string | undefined
  ok: boolean
}

const random = (seed: number) => {
  let state = (seed * 2654435761) >>> 0 || 1
  return (below: number) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

const keys = ["hot", "warm/one", "warm/two", "cold/ü", "cold/2", "cold/3"]
const operationsPerClient = 25
const clients = 4

const client = Effect.fnUntraced(function*(
  cluster: MemoryCluster,
  number: number,
  draw: (below: number) => number,
  history: Array<Observed>,
  tick: () => number
) {
  for (let operation = 0; operation < operationsPerClient; operation++) {
    yield* Effect.sleep(Duration.millis(draw(400)))
    const running = cluster.nodes.filter((node) => node.running !== undefined)
    const node = running[draw(running.length)]!
    const name = keys[draw(2) === 0 ? 0 : draw(keys.length)]!
    const kind = draw(5) < 3 ? "write" : "read"
    const isDelete = kind === "write" && draw(5) === 0
    const value = isDelete ? undefined : `${number}.${operation}`
    const observed: Observed = {
      kind,
      key: name,
      client: number,
      began: tick(),
      ended: 0,
      version: undefined,
      value,
      ok: false
    }
    history.push(observed)
    const { delete: remove, get, put } = Cluster.coordinator(node)
    const key = Cluster.key(name)
    const exit = yield* Effect.exit<void, ReadQuorumFailed | WriteQuorumFailed, never>(
      kind === "read"
        ? Effect.map(get(key), ({ cell }) => {
          observed.version = cell?.version
          observed.value = cell?.value === undefined ? undefined : Buffer.from(cell.value.bytes).toString()
        })
        : Effect.map(value === undefined ? remove(key) : put(key, Cluster.value(value)), ({ version }) => {
          observed.version = version
        })
    )
    observed.ok = Exit.isSuccess(exit)
    observed.ended = tick()
  }
})

const faults = Effect.fnUntraced(function*(cluster: MemoryCluster, draw: (below: number) => number) {
  const crash = (node: MemoryNode) =>
    cluster.crash(node).pipe(
      Effect.andThen(Effect.suspend(() => Effect.sleep(Duration.millis(200 + draw(15_000))))),
      Effect.andThen(cluster.start(node))
    )
  while (true) {
    yield* Effect.sleep(Duration.millis(500 + draw(2_500)))
    const node = cluster.nodes[draw(cluster.nodes.length)]!
    const other = cluster.nodes[draw(cluster.nodes.length)]!
    const fault = draw(4)
    if (fault === 0 && cluster.nodes.every(({ running }) => running !== undefined)) yield* crash(node)
    else if (fault === 1 && node !== other) cluster.cut(node, other)
    else if (fault === 2) cluster.setDelayMillisMax(draw(300))
    else cluster.heal()
  }
})

const atLeast = (version: Version.Version | undefined, other: Version.Version) =>
  version !== undefined && Version.compare(version, other) >= 0

const check = (history: ReadonlyArray<Observed>, seed: number) => {
  const say = (promise: string, first: Observed, second: Observed) =>
    `seed ${seed}, ${promise}: ${JSON.stringify(first)} then ${JSON.stringify(second)}`
  for (const second of history) {
    if (!second.ok) continue
    for (const first of history) {
      if (!first.ok || first.key !== second.key || first.ended >= second.began || first.version === undefined) continue
      if (first.kind === "write" && second.kind === "write") {
        assert.isTrue(atLeast(second.version, first.version), say("ordered-ack", first, second))
      } else if (first.kind === "write") {
        assert.isTrue(atLeast(second.version, first.version), say("quorum-read", first, second))
      } else if (second.kind === "read") {
        assert.isTrue(atLeast(second.version, first.version), say("monotonic-read", first, second))
      }
    }
  }
}

const run = (seed: number, size: number) =>
  Effect.gen(function*() {
    const draw = random(seed)
    let ticks = 0
    const tick = () => ++ticks
    const cluster = yield* Cluster.make({ size, seed })
    const history: Array<Observed> = []
    const trouble = yield* Effect.forkChild(faults(cluster, draw))
    const working = yield* Effect.forkChild(
      Effect.forEach(
        Array.from({ length: clients }, (_, number) => number),
        (number) => client(cluster, number, draw, history, tick),
        { concurrency: "unbounded" }
      )
    )
    while (working.pollUnsafe() === undefined) yield* TestClock.adjust("50 millis")
    yield* Fiber.join(working)
    yield* Fiber.interrupt(trouble)
    cluster.heal()
    cluster.setDelayMillisMax(0)
    yield* Effect.forEach(cluster.nodes, (node) => node.running === undefined ? cluster.start(node) : Effect.void)
    assert.isAbove(
      history.filter(({ ok }) => ok).length,
      (clients * operationsPerClient) / 3,
      `seed ${seed}: too few succeed`
    )
    check(history, seed)
    yield* cluster.until(replicasAgree(cluster), "replicas of every key agree")
    for (const name of keys) {
      const { cell } = yield* Cluster.passing(Cluster.coordinator(cluster.nodes[0]!).get(Cluster.key(name)))
      for (const write of history) {
        if (write.kind !== "write" || !write.ok || write.key !== name) continue
        assert.isTrue(
          atLeast(cell?.version, write.version!),
          `seed ${seed}, durable-ack: ${JSON.stringify(write)} is lost`
        )
      }
    }
  })

/** Every replica of every key holds the same version. */
const replicasAgree = (cluster: MemoryCluster) =>
  Effect.gen(function*() {
    const [first] = cluster.nodes
    for (const name of keys) {
      const key = Cluster.key(name)
      const replicas = Cluster.ring(first!).preferenceList(key)
      const versions = yield* Effect.forEach(
        cluster.nodes.filter(({ id }) => replicas.includes(id)),
        (node) => Cluster.storage(node).version(key)
      )
      if (
        new Set(versions.map((version) => (version === undefined ? "" : Version.format(version)))).size > 1
      ) return false
    }
    return true
  })

describe("under crashes, cuts and delays", () => {
  for (const seed of [1, 2, 3, 4, 5, 6, 7, 8]) {
    it.effect(`three nodes keep every promise (seed ${seed})`, () => run(seed, 3), 60_000)
  }
  for (const seed of [101, 102, 103, 104]) {
    it.effect(`five nodes keep every promise (seed ${seed})`, () => run(seed, 5), 60_000)
  }
})
