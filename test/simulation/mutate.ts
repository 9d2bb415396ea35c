/**
 * `npm run simulate:mutations`: does the simulator find mistakes? Each mutation is one that somebody could make. It is
 * applied alone to a copy of the sources, and seeds run until one fails.
 *
 *     npm run simulate:mutations -- [--only NAME]... [--seeds 1000] [--json]
 *
 * A mutation that survives is a fault or a checker that is missing.
 */
import { execFile } from "node:child_process"
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { type Mutation, mutations } from "./mutations.ts"

const { values: flags } = parseArgs({
  options: {
    only: { type: "string", multiple: true },
    seeds: { type: "string", default: "1000" },
    json: { type: "boolean", default: false }
  }
})

interface Caught {
  readonly name: string
  readonly seeds: number
  readonly seed: number | undefined
  readonly promise: string
}

const root = fileURLToPath(new URL("../..", import.meta.url))

/** A tree with the one change, in which the simulator runs as it does here. */
const mutated = async ({ changes, name }: Mutation): Promise<string> => {
  const directory = await mkdtemp(join(tmpdir(), "rondo-mutation-"))
  await cp(join(root, "src"), join(directory, "src"), { recursive: true })
  await cp(join(root, "package.json"), join(directory, "package.json"))
  await symlink(join(root, "node_modules"), join(directory, "node_modules"))
  for (const { file, find, replace } of changes) {
    const path = join(directory, "src", file)
    const text = await readFile(path, "utf8")
    const parts = text.split(find)
    if (parts.length !== 2) {
      throw new Error(
        `mutation "${name}": its text stands ${parts.length - 1} times in src/${file}, not once: mend the list`
      )
    }
    await writeFile(path, parts.join(replace))
  }
  return directory
}

interface Report {
  readonly seeds: number
  readonly failures: ReadonlyArray<
    { readonly seed: number; readonly broken: ReadonlyArray<{ readonly promise: string }> }
  >
}

const simulate = (directory: string, { faults }: Mutation): Promise<Report> =>
  new Promise((resolve, reject) => {
    const script = join(directory, "src", "simulation", "main.ts")
    const kinds = faults === undefined ? [] : ["--fault", faults.join(",")]
    const parameters = ["--disable-warning=ExperimentalWarning", script, "--json", "--seeds", flags.seeds, ...kinds]
    execFile(process.execPath, parameters, { maxBuffer: 1 << 28 }, (error, output, errors) => {
      // 1 says that a promise was broken, as it should be.
      if (error !== null && error.code !== 1) reject(new Error(errors || error.message))
      else resolve(JSON.parse(output) as Report)
    })
  })

const attempt = async (mutation: Mutation): Promise<Caught> => {
  const directory = await mutated(mutation)
  try {
    const { failures, seeds } = await simulate(directory, mutation)
    const promises = new Set(failures.flatMap(({ broken }) => broken.map(({ promise }) => promise)))
    return { name: mutation.name, seeds, seed: failures[0]?.seed, promise: [...promises].join(", ") }
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

const wanted = mutations.filter(({ name }) => flags.only === undefined || flags.only.includes(name))
if (wanted.length === 0) {
  process.stderr.write(`no mutation has this name; there are:\n${mutations.map(({ name }) => `  ${name}\n`).join("")}`)
  process.exit(1)
}
const caught: Array<Caught> = []
for (const mutation of wanted) {
  const result = await attempt(mutation)
  caught.push(result)
  if (!flags.json) {
    process.stdout.write(
      result.seed === undefined
        ? `SURVIVED  after ${result.seeds} seeds  ${result.name}\n`
        : `caught    after ${String(result.seeds).padStart(4)} seeds  ${result.name}: ${result.promise}\n`
    )
  }
}
const survivors = caught.filter(({ seed }) => seed === undefined)
process.stdout.write(
  flags.json
    ? `${JSON.stringify(caught)}\n`
    : `${caught.length - survivors.length} of ${caught.length} mutations caught\n`
)
process.exitCode = survivors.length === 0 ? 0 : 1
