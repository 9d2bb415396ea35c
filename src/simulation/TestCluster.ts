/**
 * A cluster for tests. Virtual time passes where the test says so or where an answer takes time. Like an assertion, its
 * methods throw what is wrong.
 *
 *     const cluster = TestCluster.started({ nodes: 3, seed: 1 })
 *     const [node1, node2] = cluster.nodes
 *     node1.put("users/42", "Ada")
 *     cluster.losePower(node2)
 *     cluster.until(() => node1.sees(node2) === "down", "node1 takes node2 for down")
 *     assert.strictEqual(node1.get("users/42"), "Ada")
 */
import { Duration } from "effect"
import * as SeededRandom from "../domain/SeededRandom.ts"
import { Cluster, type ClusterOptions } from "./Cluster.ts"
import type { SimulatedNode } from "./SimulatedNode.ts"
import { World } from "./World.ts"

export interface TestClusterOptions extends ClusterOptions {
  /** The same seed is the same run, event for event. */
  readonly seed: number
}

const patience = Duration.minutes(2)
const lookEveryMillis = 100

export class TestCluster extends Cluster {
  private readonly seed: number

  /** Nothing runs yet. */
  constructor(options: TestClusterOptions) {
    super(new World(), SeededRandom.make(options.seed), options)
    this.seed = options.seed
  }

  /** Every node runs, knows all others and answers reads. */
  static started(options: TestClusterOptions): TestCluster {
    const cluster = new TestCluster(options)
    cluster.start(...cluster.nodes)
    cluster.until(() => cluster.nodes.every((node) => cluster.isReady(node)), "every node knows every other")
    return cluster
  }

  /** Virtual milliseconds since the run began. */
  nowMillis(): number {
    return this.world.now()
  }

  pass(time: Duration.Input): void {
    this.world.runUntil(() => false, this.world.now() + Duration.toMillis(time))
  }

  /** Lets time pass until the condition holds. `what` finishes the sentence "after two minutes still not: ...". */
  until(condition: () => boolean, what: string): void {
    const untilMillis = this.world.now() + Duration.toMillis(patience)
    while (!condition()) {
      if (this.world.now() >= untilMillis) {
        throw new Error(`seed ${this.seed}: after ${Duration.format(patience)} still not: ${what}`)
      }
      this.pass(lookEveryMillis)
    }
  }

  /** Whether all nodes store the same, where each has a copy of every key. */
  isInSync(): boolean {
    const [first, ...others] = this.nodes.map((node) => JSON.stringify(node.contents()))
    return others.every((lines) => lines === first)
  }

  /** Starts them and waits until they answer; throws the output of a node that does not start. */
  start(...nodes: ReadonlyArray<SimulatedNode>): void {
    let open = nodes.length
    let failure: string | undefined
    for (const node of nodes) {
      this.boot(node, (printed) => {
        open--
        failure ??= printed
      })
    }
    this.world.runUntil(() => open === 0 || failure !== undefined, this.world.now() + Duration.toMillis(patience))
    if (failure !== undefined) throw new Error(failure)
  }

  /** The process dies, as with `kill -9`; its writes survive in the system's caches. */
  kill(...nodes: ReadonlyArray<SimulatedNode>): void {
    for (const node of nodes) this.crash(node, 0, false)
  }

  /** The machine dies, and writes that were not synced are lost, in part or whole. */
  losePower(...nodes: ReadonlyArray<SimulatedNode>): void {
    for (const node of nodes) this.crash(node, 0, true)
  }

  /** The machine dies, and will start with an empty disk. */
  loseDisk(node: SimulatedNode): void {
    this.losePower(node)
    this.replaceDisk(node)
  }

  /** All messages between two nodes are lost, both ways, until `heal`. */
  cut(left: SimulatedNode, right: SimulatedNode): void {
    this.network.cut(left.name, right.name)
    this.network.cut(right.name, left.name)
  }

  heal(): void {
    this.network.heal()
  }
}
