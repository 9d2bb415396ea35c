/** Three nodes, each with a copy of every key. In the end no node may have raised an alarm, or forgotten what it took. */
import { assert } from "@effect/vitest"
import { onTestFinished } from "vitest"
import type { SimulatedNode } from "../../src/simulation/SimulatedNode.ts"
import { TestCluster, type TestClusterOptions } from "../../src/simulation/TestCluster.ts"

export const started = (options: TestClusterOptions): TestCluster => {
  const cluster = TestCluster.started(options)
  onTestFinished(() => {
    cluster.checkFeeds()
    assert.deepStrictEqual([cluster.alarms, cluster.forgotten, cluster.forgottenHints], [[], [], []])
  })
  return cluster
}

export const three = (seed: number, options: Partial<TestClusterOptions> = {}) => {
  const cluster = started({ nodes: 3, seed, ...options })
  const [node1, node2, node3] = cluster.nodes as [SimulatedNode, SimulatedNode, SimulatedNode]
  return { cluster, node1, node2, node3 }
}

/** As an operator does it, but without a word to the process. */
export const restart = (cluster: TestCluster, ...nodes: ReadonlyArray<SimulatedNode>) => {
  cluster.losePower(...nodes)
  cluster.start(...nodes)
}

export const isRecovering = (node: SimulatedNode) => node.ask(node.replicator.status)!.recovering
