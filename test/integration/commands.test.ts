/** `bin/rondo` as it is typed: import and verify with a crash on the way, export, and a cluster by `up`. */
import { readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterEach, assert, describe, it } from "vitest"
import { Cluster, eventually, freePorts, Process } from "./Cluster.ts"

const recordCount = 4_000

/** Lines as `import` takes them: text, every tenth value in base64, and a few keys that need care in a URL. */
const records = Array.from({ length: recordCount }, (_, index) => {
  const key = `packages/${index}/${["plain", "a b", "ü", "50%", "a?b#c"][index % 5]}`
  return index % 10 === 0
    ? { key, value: Buffer.from([index % 256, 0, 255, 254]).toString("base64"), encoding: "base64" }
    : { key, value: `value ${index} ${"y".repeat(index % 500)}` }
})
const ndjson = records.map((record) => `${JSON.stringify(record)}\n`).join("")

const summaryOf = (running: Process): Record<string, unknown> =>
  JSON.parse(running.output.split("\n").find((line) => line.startsWith("{")) ?? "null") as Record<string, unknown>

describe("rondo import", () => {
  let cluster: Cluster
  afterEach(() => cluster.stop())

  it("writes every record while a node is killed and returns; then each node by itself has every one", async () => {
    cluster = await Cluster.start()
    const file = join(cluster.directory, "records.ndjson")
    writeFileSync(file, ndjson)
    const rondo = (...parameters: ReadonlyArray<string>) => new Process(parameters, {}, cluster.directory)

    const importing = rondo("import", file, "--url", cluster.url(0), "--concurrency", "8", "--json", "--quiet")
    const isWritten = (index: number) =>
      fetch(cluster.keyUrl(0, records[index]!.key)).then(async (answer) => (await answer.text(), answer.ok))
    await eventually("a tenth is imported", () => isWritten(recordCount / 10))
    await cluster.kill(1)
    assert.isFalse(importing.hasEnded, "node2 was killed while the import ran")
    await eventually("half is imported", () => isWritten(recordCount / 2))
    cluster.startNode(1)
    assert.strictEqual(await importing.end(), 0, importing.output)
    const summary = summaryOf(importing)
    assert.deepInclude(summary, { records: recordCount, failed: 0, retried: 0 })

    await cluster.allReady()
    for (const node of [0, 1, 2]) {
      await eventually(`node${node + 1} has every record`, async () => {
        const verifying = rondo(
          "import",
          file,
          "--verify",
          "--r",
          "one",
          "--url",
          cluster.url(node),
          "--json",
          "--quiet"
        )
        await verifying.end()
        return verifying.child.exitCode === 0 || verifying.output
      })
    }

    const exported = join(cluster.directory, "export.ndjson")
    const exporting = new Process(
      ["export", exported, "--url", cluster.url(2), "--quiet"],
      { CLUSTER_SECRET: "secret of the integration tests" },
      cluster.directory
    )
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
    await fetch(`http://127.0.0.1:${port}/kv/greeting`, { method: "PUT", body: "hello" })
    const read = (node: number) =>
      fetch(`http://127.0.0.1:${port + node}/kv/greeting`).then((answer) => answer.text(), String)
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
