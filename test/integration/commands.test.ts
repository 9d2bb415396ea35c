/** `bin/rondo` as it is typed: import and verify with a crash on the way, export, and a cluster by `up`. */
import { readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterEach, assert, describe, it } from "vitest"
import { Cluster, eventually, freePorts, Process, send, textOf } from "./Cluster.ts"

const recordCount = 2_000

/** Lines as `import` takes them: text, every tenth value in base64, and a few keys that need care in a URL. */
const records = Array.from({ length: recordCount }, (_, index) => {
  const key = `packages/${index}/${["plain", "a b", "ü", "50%", "a?b#c"][index % 5]}`
  return index % 10 === 0
    ? { key, value: Buffer.from([index % 256, 0, 255, 254]).toString("base64"), encoding: "base64" }
    : { key, value: `value ${index} ${"y".repeat(index % 500)}` }
})
const ndjson = records.map((record) => `${JSON.stringify(record)}\n`)

const summaryOf = (running: Process): Record<string, unknown> =>
  JSON.parse(running.output.split("\n").find((line) => line.startsWith("{")) ?? "null") as Record<string, unknown>

describe("rondo import", () => {
  let cluster: Cluster
  afterEach(() => cluster.stop())

  it("writes every record while a node is killed and returns; then each node by itself has every one", async () => {
    cluster = await Cluster.start()
    const file = join(cluster.directory, "records.ndjson")
    writeFileSync(file, ndjson.join(""))
    const rondo = (...parameters: ReadonlyArray<string>) => new Process(parameters, {}, cluster.directory)

    const importing = rondo("import", "-", "--url", cluster.url(0), "--concurrency", "8", "--json", "--quiet")
    // The import cannot end before its input does, so the node dies and returns while it runs.
    const feed = (from: number, to: number) => importing.child.stdin!.write(ndjson.slice(from, to).join(""))
    const isWritten = (count: number) =>
      eventually(`${count} records are written`, async () => {
        const { key, value } = records[count - 1]!
        return await textOf(cluster.keyUrl(0, key)) === value
      })
    feed(0, 200)
    await isWritten(200)
    feed(200, 1_000)
    await cluster.kill(1)
    await isWritten(1_000)
    cluster.startNode(1)
    feed(1_000, recordCount)
    importing.child.stdin!.end()
    assert.strictEqual(await importing.end(), 0, importing.output)
    assert.deepInclude(summaryOf(importing), { records: recordCount, failed: 0 })

    await cluster.allHealthy()
    for (const node of [0, 1, 2]) {
      await eventually(`node${node + 1} has every record`, async () => {
        const verifying = rondo("import", file, "--verify", "--r", "one", "--url", cluster.url(node), "--quiet")
        return await verifying.end() === 0 || verifying.output
      })
    }

    const exported = join(cluster.directory, "export.ndjson")
    const exporting = rondo("export", exported, "--url", cluster.url(2), "--quiet")
    assert.strictEqual(await exporting.end(), 0, exporting.output)
    const keys = readFileSync(exported, "utf8").trim().split("\n").map((line) =>
      (JSON.parse(line) as { readonly key: string }).key
    )
    assert.deepStrictEqual(new Set(keys), new Set(records.map(({ key }) => key)))
    assert.strictEqual(keys.length, recordCount)
  })
})

describe("rondo up", () => {
  let directory: string
  let up: Process
  afterEach(async () => {
    await up.kill("SIGKILL")
    rmSync(directory, { recursive: true, force: true })
  })

  const isUp = () => eventually("the cluster is up", () => up.output.includes("Rondo is up: 3 nodes") || up.output)

  it("starts three nodes, says how to bring a killed one back, and stops cleanly on SIGINT", async () => {
    directory = Cluster.temporaryDirectory()
    const port = await freePorts(3)
    up = new Process(["up", "--base-port", String(port)], {}, directory)
    await isUp()
    await send(`http://127.0.0.1:${port}/kv/greeting`, { method: "PUT", body: "hello" })
    const read = (node: number) => textOf(`http://127.0.0.1:${port + node}/kv/greeting`)
    assert.strictEqual(await read(1), "hello")

    const pid = /node2 .*process (\d+)/.exec(up.output)?.[1]
    process.kill(Number(pid), "SIGKILL")
    await eventually("the death is told", () => up.output.includes("node2 was killed by SIGKILL") || up.output)
    assert.strictEqual(await read(2), "hello")
    const command = up.output.split("\n").find((line) => line.includes("&& ") && line.includes("NODE_ID=node2"))?.trim()
    const returned = Process.ofShell(command!, directory)
    await eventually("node2 is back", async () => await read(1) === "hello" || returned.output)
    await returned.kill("SIGTERM")
    assert.strictEqual(returned.child.exitCode, 0, returned.output)

    assert.strictEqual(await up.kill("SIGINT"), 0, up.output)
    for (const node of [0, 2]) assert.match(await read(node), /fetch failed/)
  })

  it("refuses to start on ports that are taken, and says which", async () => {
    directory = Cluster.temporaryDirectory()
    const port = await freePorts(3)
    up = new Process(["up", "--base-port", String(port)], {}, directory)
    await isUp()
    const second = new Process(["up", "--base-port", String(port + 2)], {}, directory)
    assert.strictEqual(await second.end(), 1)
    assert.include(second.output, `port ${port + 2} on this machine is in use`)
  })
})
