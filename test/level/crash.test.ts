import { assert, describe, it } from "@effect/vitest"
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import * as path from "node:path"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { database, temporaryDirectory } from "./temporary.ts"

const module = fileURLToPath(new URL("../../src/level/RondoLevel.ts", import.meta.url))

/** Node's parameters for a program with a database. */
const nodeParameters = (body: string, directory: string) => [
  "--disable-warning=ExperimentalWarning",
  "--input-type=module-typescript",
  "--eval",
  `import { RondoLevel } from ${JSON.stringify(module)}\n${body}`,
  directory
]

const writesForEver = `
  const db = new RondoLevel(process.argv[1], { memtableBytesMax: 20_000 })
  for (let index = 0;; index++) {
    await db.batch([
      { type: "put", key: "left " + index, value: "x".repeat(100) },
      { type: "put", key: "right " + index, value: "x" }
    ])
    process.stdout.write(index + "\\n")
  }
`

const forgetsToClose = `
  const db = new RondoLevel(process.argv[1])
  db.put("a", "1").then(() => db.get("a")).then((value) => process.stdout.write(value))
`

/** The first lines that the program writes. */
const linesOf = (child: ChildProcess, count: number): Promise<ReadonlyArray<string>> =>
  new Promise((resolve, reject) => {
    const lines: Array<string> = []
    createInterface({ input: child.stdout! }).on("line", (line) => {
      if (lines.push(line) === count) resolve(lines.slice())
    })
    child.on("exit", (code) => reject(new Error(`ended with ${code} after ${lines.length} lines`)))
  })

const waitsForTheEngine = `
  import { Effect } from "effect"
  import { Bridge } from ${JSON.stringify(new URL("../../src/level/Bridge.ts", import.meta.url))}
  import { layerClock, ProcessHold } from ${JSON.stringify(new URL("../../src/level/ProcessHold.ts", import.meta.url))}
  const context = await Effect.runPromise(Effect.context().pipe(Effect.provide(layerClock)))
  const bridge = new Bridge(context, new ProcessHold())
  bridge.run(Effect.sleep("1 hour"), { signal: AbortSignal.timeout(50) }).catch(({ code }) => process.stdout.write(code))
`

describe("a program with a database", () => {
  it("that is killed loses no acknowledged write and no part of a batch", async () => {
    const directory = path.join(temporaryDirectory(), "db")
    const child = spawn(process.execPath, nodeParameters(writesForEver, directory), {
      stdio: ["ignore", "pipe", "inherit"]
    })
    const answered = await linesOf(child, 300)
    const ended = new Promise((resolve) => child.on("close", resolve))
    child.kill("SIGKILL")
    await ended
    const db = database(directory)
    assert.isTrue((await db.hasMany(answered.map((index) => `left ${index}`))).every(Boolean))
    const left = await db.keys({ gte: "left ", lt: "left!" }).all()
    const right = await db.keys({ gte: "right ", lt: "right!" }).all()
    assert.deepStrictEqual(right.map((key) => key.slice(6)), left.map((key) => key.slice(5)))
    await db.put("left 0", "again")
    assert.strictEqual(await db.get("left 0"), "again")
  })

  it.each([
    ["ends when it is done, though the database is open, and not before", forgetsToClose, "1"],
    ["runs on while it waits for the engine alone", waitsForTheEngine, "LEVEL_ABORTED"]
  ])("%s", (_, program, stdout) => {
    const parameters = nodeParameters(program, path.join(temporaryDirectory(), "db"))
    // Ends a program that hangs: it takes far less time on any machine.
    const run = spawnSync(process.execPath, parameters, { encoding: "utf8", timeout: 250_000 })
    assert.deepInclude(run, { status: 0, stdout, stderr: "" })
  })
})
