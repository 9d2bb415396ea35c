/**
 * Runs abstract-level's own test suite against `RondoLevel` on real files: `npm run test:abstract-level`, with
 * `-- --tap` for every assertion. docs/abstract-level.md lists the tests that cannot apply.
 */
import { mkdtempSync, rmSync } from "node:fs"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { RondoLevel } from "../../src/level/RondoLevel.ts"

interface Row {
  readonly type: "test" | "assert" | "end"
  readonly name?: string
  readonly ok?: boolean
  readonly error?: Error
}

const require = createRequire(import.meta.url)
const tape = require("tape")
const root = mkdtempSync(join(tmpdir(), "rondo-level-"))
let databases = 0

const print = (line: string) => process.stdout.write(`${line}\n`)

const summarize = () => {
  const totals = { tests: 0, assertions: 0, failed: 0 }
  let test = ""
  tape.createStream({ objectMode: true }).on("data", ({ error, name, ok, type }: Row) => {
    if (type === "test") {
      totals.tests++
      test = name ?? ""
    }
    if (type !== "assert") return
    totals.assertions++
    if (ok === true) return
    totals.failed++
    print(`FAILED ${test}: ${name}\n${error?.stack ?? ""}`)
  })
  tape.onFinish(() => {
    const { assertions, failed, tests } = totals
    print(`abstract-level: ${tests} tests, ${assertions} assertions, ${failed} failed, ${databases} databases`)
    if (assertions === 0 || failed > 0) process.exitCode = 1
  })
}

process.on("exit", () => rmSync(root, { recursive: true, force: true }))
if (!process.argv.includes("--tap")) summarize()
require("abstract-level/test/index.js")({
  test: tape,
  factory: (options?: object) => new RondoLevel(join(root, String(databases++)), options)
})
