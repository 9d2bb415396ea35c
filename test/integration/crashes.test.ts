/** Promises under `kill -9`: availability, durable-ack, convergence. Real processes, sockets and files. */
import { afterEach, assert, describe, it } from "vitest"
import { Cluster, eventually, send } from "./Cluster.ts"
import * as Load from "./load.ts"

describe("a cluster of three processes", () => {
  let cluster: Cluster
  afterEach(() => cluster.stop())

  it("reads through every node what was written through one", async () => {
    cluster = await Cluster.start()
    const key = "users/42/ü ;?#%"
    const put = await send(cluster.keyUrl(0, key), {
      method: "PUT",
      body: "Ada",
      headers: { "content-type": "text/x" }
    })
    assert.strictEqual(put.status, 201)
    for (const node of [0, 1, 2]) {
      const answer = await send(cluster.keyUrl(node, key))
      assert.strictEqual(answer.status, 200)
      assert.strictEqual(answer.headers.get("content-type"), "text/x")
      assert.strictEqual(answer.headers.get("etag"), put.headers.get("etag"))
      assert.strictEqual(await answer.text(), "Ada")
    }
    const removed = await send(cluster.keyUrl(1, key), { method: "DELETE" })
    assert.strictEqual(removed.status, 204)
    for (const node of [0, 1, 2]) {
      const answer = await send(cluster.keyUrl(node, key))
      await answer.text()
      assert.strictEqual(answer.status, 404)
    }
  })

  it("fails no request while a node is killed and returns, and the node then holds everything by itself", async () => {
    cluster = await Cluster.start()
    const load = Load.start(cluster, [0, 2], 16)
    const grow = (count: number) => {
      const target = load.acknowledged.size + count
      return eventually(`${target} writes`, () => load.acknowledged.size >= target)
    }
    await grow(200)
    await cluster.kill(1)
    await grow(300)
    cluster.startNode(1)
    await cluster.healthy(1)
    await grow(200)
    await load.stop()
    assert.deepStrictEqual(load.failures, [])
    assert.isAtLeast(load.reads(), 700)
    await cluster.holds(1, load.acknowledged)

    // Its data directory holds everything too: nothing answers but the node itself, fresh from disk.
    await Promise.all([0, 1, 2].map((node) => cluster.kill(node)))
    cluster.startNode(1, { PEERS: "" })
    await cluster.holds(1, load.acknowledged)
  })

  it("loses no acknowledged write when all nodes are killed at once", async () => {
    cluster = await Cluster.start()
    const load = Load.start(cluster, [0, 1, 2], 24)
    await eventually("500 writes", () => load.acknowledged.size >= 500)
    await Promise.all([0, 1, 2].map((node) => cluster.kill(node)))
    await load.stop()
    cluster.startAll()
    await cluster.allHealthy()
    for (const node of [0, 1, 2]) {
      assert.deepStrictEqual(await cluster.differing(node, load.acknowledged, ""), [], `through node${node + 1}`)
    }
  })
})
