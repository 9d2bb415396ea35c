/**
 * `npm run simulate:browser`: one seed of the simulator in a Web Worker of headless Chromium and in Node. Prints both
 * trace hashes; they must be equal.
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { accessSync, constants, mkdtempSync, rmSync } from "node:fs"
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { delimiter, join } from "node:path"
import { parseArgs } from "node:util"
import { faultKinds } from "../src/simulation/Schedule.ts"
import type { Options } from "../src/simulation/simulate.ts"
import { judge } from "../src/simulation/verdict.ts"
import { bundleSimulator } from "./bundleSimulator.ts"

const names = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome"]
const onMac = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"

const howToInstall =
  "no Chromium found: install it (Debian: apt-get install chromium; Nix: nix-shell -p chromium; macOS: " +
  "brew install --cask google-chrome), or set CHROMIUM to the path of one\n"

/** No window, no account, and no connection but to this server. */
const flags = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync"
]

const patienceMillis = 5 * 60_000

interface Seen {
  readonly traceHash: string
  readonly broken: ReadonlyArray<string>
  readonly host: string
}

/** Runs the worker and posts its result. */
const page = (options: Options) =>
  `<!doctype html><title>Rondo's simulator</title><script type="module">
const report = (seen) => fetch("/seen", { method: "POST", body: JSON.stringify(seen) })
const failed = (reason) => report({ traceHash: "", broken: [reason], host: navigator.userAgent })
try {
  const worker = new Worker("/worker.js", { type: "module" })
  worker.onerror = ({ message }) => failed(message || "the worker does not start")
  worker.onmessage = ({ data }) => {
    if (data === "ready") return worker.postMessage(${JSON.stringify(options)})
    const broken = data.broken.map(({ promise, detail }) => promise + ": " + detail)
    report({ traceHash: data.traceHash, broken, host: navigator.userAgent })
  }
} catch (error) {
  failed(String(error))
}
</script>`

const isExecutable = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

const findChromium = (): string | undefined => {
  const given = process.env["CHROMIUM"]
  if (given !== undefined) return given
  const folders = (process.env["PATH"] ?? "").split(delimiter)
  return [...names.flatMap((name) => folders.map((folder) => join(folder, name))), onMac].find(isExecutable)
}

/** Serves the worker and its page on loopback, and calls `seen` with the result that the page posts. */
const serve = async (code: string, options: Options, seen: (seen: Seen) => void): Promise<Server> => {
  const server = createServer((request, response) => {
    if (request.url === "/seen") {
      let body = ""
      request.setEncoding("utf8").on("data", (text: string) => body += text).on("end", () => {
        response.end()
        seen(JSON.parse(body) as Seen)
      })
    } else if (request.url === "/worker.js") response.setHeader("content-type", "text/javascript").end(code)
    else response.setHeader("content-type", "text/html").end(page(options))
  })
  await once(server.listen(0, "127.0.0.1"), "listening")
  return server
}

const inBrowser = async (chromium: string, options: Options): Promise<Seen> => {
  const { code } = await bundleSimulator()
  const { promise, reject, resolve } = Promise.withResolvers<Seen>()
  const server = await serve(code, options, resolve)
  const profile = mkdtempSync(join(tmpdir(), "rondo-chromium-"))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  const browser = spawn(chromium, [...flags, `--user-data-dir=${profile}`, url], { stdio: "ignore" })
  browser.on("error", reject)
  browser.on("exit", (status) => reject(new Error(`${chromium} ended with ${status} before it had an answer`)))
  const timer = setTimeout(() => reject(new Error("no answer from the browser within five minutes")), patienceMillis)
  try {
    return await promise
  } finally {
    clearTimeout(timer)
    server.close()
    server.closeAllConnections()
    if (browser.kill()) await once(browser, "exit")
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 })
  }
}

const help = `npm run simulate:browser -- [--seed N] [--nodes N] [--minutes N]

Runs one seed in a Web Worker of headless Chromium and in Node, and compares the trace hashes. The defaults are seed 1,
5 nodes and 1 minute; CHROMIUM names the browser to use.
`

const main = async (): Promise<number> => {
  const { values } = parseArgs({
    options: {
      help: { type: "boolean", short: "h", default: false },
      seed: { type: "string", default: "1" },
      nodes: { type: "string", default: "5" },
      minutes: { type: "string", default: "1" }
    }
  })
  if (values.help) {
    process.stdout.write(help)
    return 0
  }
  const options: Options = {
    seed: Number(values.seed),
    nodes: Number(values.nodes),
    minutes: Number(values.minutes),
    kinds: faultKinds
  }
  const chromium = findChromium()
  if (chromium === undefined) {
    process.stderr.write(howToInstall)
    return 2
  }
  const verdict = judge(options)
  const inNode: Seen = {
    traceHash: verdict.traceHash,
    broken: verdict.broken.map(({ promise }) => promise),
    host: `Node ${process.version}`
  }
  const seen = [inNode, await inBrowser(chromium, options)]
  process.stdout.write(`seed ${values.seed}, ${values.nodes} nodes, ${values.minutes} minutes\n`)
  for (const { broken, host, traceHash } of seen) {
    process.stdout.write(
      `  ${traceHash.padEnd(16)}  ${host}${broken.length === 0 ? "" : `  broken: ${broken.join("; ")}`}\n`
    )
  }
  const isSame = seen.every(({ traceHash }) => traceHash !== "" && traceHash === inNode.traceHash)
  process.stdout.write(isSame ? "the traces are equal\n" : "the traces differ\n")
  return isSame ? 0 : 1
}

process.exitCode = await main().catch((error: Error) => {
  process.stderr.write(`${error.message}\n`)
  return 2
})
