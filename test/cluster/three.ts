/**
 * Three nodes, each with a copy of every key. In the end no node may have raised an alarm, or forgotten what it took.
 */
import { assert } from "@effect/vitest"
import { onTestFinished } from "vitest"
import type { SimulatedNode } from "../../src/simulation/SimulatedNode.ts"
import { TestCluster, type TestClusterOptions } from "../../src/simulation/TestCluster.ts"

export const three = (seed: number, options: Partial<TestClusterOptions> = {}) => {
  const cluster = TestCluster.started({ nodes: 3, seed, ...options })
  onTestFinished(() => {
    cluster.checkFeeds()
    assert.deepStrictEqual([cluster.alarms, cluster.forgotten, cluster.forgottenHints], [[], [], []])
  })
  const [node1, node2, node3] = cluster.nodes as [SimulatedNode, SimulatedNode, SimulatedNode]
  return { cluster, node1, node2, node3 }
}

/** The power fails and comes back. */
export const restart = (cluster: TestCluster, ...nodes: ReadonlyArray<SimulatedNode>) => {
  cluster.losePower(...nodes)
  cluster.start(...nodes)
}
