/**
 * Adds to the lock file the packages for other platforms that npm left out, and drops download addresses.
 *
 * npm omits an optional dependency that the registry in use does not offer, and `npm ci` of npm 11.19 and later then
 * refuses the whole lock file, on every platform. Such a package is pinned exactly by the package that wants it, so
 * its version is known; its integrity is not, and npm asks the registry for it where it is really installed.
 *
 * Run after every change of a dependency: `npm install --package-lock-only && node scripts/completeLockFile.ts`.
 */
import { readFileSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

export interface LockEntry {
  readonly version?: string
  readonly resolved?: string
  readonly integrity?: string
  readonly dev?: boolean
  readonly optional?: boolean
  readonly os?: ReadonlyArray<string>
  readonly cpu?: ReadonlyArray<string>
  readonly libc?: ReadonlyArray<string>
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

export interface LockFile {
  readonly packages: Readonly<Record<string, LockEntry>>
}

const systems = ["android", "darwin", "freebsd", "linux", "openharmony", "win32"]
const processors = ["arm", "arm64", "ia32", "ppc64", "riscv64", "s390x", "x64"]

/** The platform in a package's name: `@oxfmt/binding-linux-arm64-musl` is for Linux, arm64, musl. */
export const platformOf = (name: string): Pick<LockEntry, "os" | "cpu" | "libc"> | undefined => {
  const words = name.split(/[-/]/)
  const os = words.find((word) => systems.includes(word))
  const cpu = words.find((word) => processors.includes(word))
  if (os === undefined || cpu === undefined) return undefined
  const last = words[words.length - 1]!
  const libc = last.startsWith("musl") ? "musl" : last.startsWith("gnu") ? "glibc" : undefined
  return { cpu: [cpu], ...(libc === undefined ? {} : { libc: [libc] }), os: [os] }
}

/** Optional dependencies without an entry in the lock file, each with the entry that it should have. */
export const missing = (lock: LockFile): Readonly<Record<string, LockEntry>> => {
  const found: Record<string, LockEntry> = {}
  for (const [path, entry] of Object.entries(lock.packages)) {
    for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
      const isPresent = `${path}/node_modules/${name}` in lock.packages || `node_modules/${name}` in lock.packages
      const platform = platformOf(name)
      if (isPresent || platform === undefined || !/^[0-9]/.test(version)) continue
      found[`node_modules/${name}`] = { version, ...platform, ...(entry.dev ? { dev: true } : {}), optional: true }
    }
  }
  return found
}

const withoutAddress = (entry: LockEntry): LockEntry => {
  const { resolved, ...rest } = entry
  return resolved === undefined ? entry : rest
}

/** The lock file with nothing missing and no download addresses, its packages in npm's order. */
export const complete = (lock: LockFile): LockFile => ({
  ...lock,
  packages: Object.fromEntries(
    Object.entries({ ...lock.packages, ...missing(lock) })
      .map(([path, entry]) => [path, withoutAddress(entry)] as const)
      .toSorted(([left], [right]) => left.localeCompare(right, "en"))
  )
})

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const path = fileURLToPath(new URL("../package-lock.json", import.meta.url))
  const lock = JSON.parse(readFileSync(path, "utf8")) as LockFile
  writeFileSync(path, `${JSON.stringify(complete(lock), null, 2)}\n`)
  process.stdout.write(`${Object.keys(missing(lock)).length} packages for other platforms added\n`)
}
