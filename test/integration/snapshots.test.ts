/** Backups of a cluster under load: back into the same nodes, and into a cluster of another size. */
import { existsSync } from "node:fs"
import { join } from "node:path"
import { afterEach, assert, describe, it } from "vitest"
import { Cluster, eventually, freePorts, Process, rondo, send, textOf } from "./Cluster.ts"
import * as Load from "./load.ts"

const nodes = [0, 1, 2]

describe("snapshots of a cluster", () => {
  let cluster: Cluster
  let other: Process | undefined
  afterEach(async () => {
    await other?.kill("SIGKILL")
    other = undefined
    await cluster.stop()
  })

  const command = async (program: string, parameters: ReadonlyArray<string>) => {
    const running = new Process(parameters, {}, cluster.directory, program)
    const code = await running.end()
    assert.strictEqual(code, 0, running.output)
    return running.output
  }

  const directoryOf = (node: number) => join(cluster.directory, `node${node + 1}`)
  const snapshotOf = (node: number) => join(directoryOf(node), "snapshots", "monday")

  const putAndDelete = async (key: string) => {
    const put = await send(cluster.keyUrl(0, key), { method: "PUT", body: "to be deleted" })
    const deleted = await send(cluster.keyUrl(0, key), { method: "DELETE" })
    assert.deepStrictEqual([put.status, deleted.status], [201, 204])
  }

  /** Writes acknowledged before the snapshots were requested, and keys that had been deleted by then. */
  const snapshotUnderLoad = async () => {
    // Memtables so small that flushes and compactions run all the time.
    cluster = await Cluster.start({ MEMTABLE_BYTES_MAX: "60000" })
    const load = Load.start(cluster, nodes, 8)
    const gone = Array.from({ length: 20 }, (_, index) => `gone/${index}`)
    await Promise.all(gone.map(putAndDelete))
    await eventually("600 writes", () => load.acknowledged.size >= 600)
    const kept = new Map(load.acknowledged)
    await command(rondo, ["storage", "snapshot", "--node", nodes.map((node) => cluster.url(node)).join(","), "monday"])
    const size = load.acknowledged.size
    await eventually("the load goes on", () => load.acknowledged.size >= size + 200)
    await load.stop()
    assert.deepStrictEqual(load.failures, [])
    await Promise.all(nodes.map((node) => cluster.kill(node)))
    return { kept, gone }
  }

  const isGone = (url: string) => async (key: string) => {
    const answer = await send(`${url}/kv/${encodeURIComponent(key)}`)
    await answer.text()
    assert.strictEqual(answer.status, 404, key)
  }

  it("bring the nodes back, after a kill and without their directories, to what was acknowledged by then", async () => {
    const { gone, kept } = await snapshotUnderLoad()
    for (const node of nodes) {
      const restored = `${directoryOf(node)}-restored`
      await command(rondo, ["storage", "restore", snapshotOf(node), restored])
      assert.isFalse(existsSync(join(restored, "identity.json")))
      cluster.startNode(node, { DATA_DIR: restored })
    }
    await cluster.allHealthy()
    for (const node of nodes) assert.deepStrictEqual(await cluster.differing(node, kept, "?r=quorum"), [])
    await Promise.all(gone.map(isGone(cluster.url(1))))
    const answer = await send(cluster.keyUrl(2, "afterwards"), { method: "PUT", body: "new" })
    assert.strictEqual(answer.status, 201)
    for (const node of nodes) await cluster.holds(node, kept)
  })

  it("fill a cluster of another size", async () => {
    const { gone, kept } = await snapshotUnderLoad()
    const port = await freePorts(1)
    const url = `http://127.0.0.1:${port}`
    other = new Process(["serve"], {
      NODE_ID: "alone",
      NODE_ADDR: `127.0.0.1:${port}`,
      DATA_DIR: join(cluster.directory, "alone"),
      REPLICATION_FACTOR: "1",
      WRITE_QUORUM: "1",
      READ_QUORUM: "1"
    }, cluster.directory)
    await eventually("the other is healthy", async () => (await textOf(`${url}/healthz`)).includes(`"healthy"`))
    const snapshots = nodes.map((node) => `'${snapshotOf(node)}'`).join(" ")
    await command("sh", ["-c", `'${rondo}' storage dump ${snapshots} | '${rondo}' import - --url ${url} --quiet`])
    for (const [key, value] of kept) assert.strictEqual(await textOf(`${url}/kv/${encodeURIComponent(key)}`), value)
    await Promise.all(gone.map(isGone(url)))
  })
})
