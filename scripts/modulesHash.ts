/**
 * Prints the hash that `flake.nix` must name for the modules that Rondo needs to run: the result of `nix hash path` for
 * a folder with the `node_modules` of `npm ci --omit=dev --omit=optional --ignore-scripts`. Computed from the installed
 * modules, so it needs neither Nix nor the network. A test compares it with the flake's.
 *
 * Source: the NAR format, in E. Dolstra, "The Purely Functional Software Deployment Model" (2006), section 5.2.1.
 */
import { createHash, type Hash } from "node:crypto"
import { lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import type { LockFile } from "./completeLockFile.ts"

const lengthBytes = 8

/** Strings and contents alike: length, bytes, zeros up to a multiple of eight. */
const write = (hash: Hash, ...parts: ReadonlyArray<string | Buffer>): void => {
  for (const part of parts) {
    const bytes = typeof part === "string" ? Buffer.from(part, "utf8") : part
    const length = Buffer.alloc(lengthBytes)
    length.writeBigUInt64LE(BigInt(bytes.length))
    hash.update(length).update(bytes).update(Buffer.alloc((lengthBytes - bytes.length % lengthBytes) % lengthBytes))
  }
}

const archive = (hash: Hash, path: string, isIncluded: (path: string) => boolean): void => {
  const stats = lstatSync(path)
  write(hash, "(", "type")
  if (stats.isSymbolicLink()) write(hash, "symlink", "target", readlinkSync(path))
  else if (stats.isDirectory()) {
    write(hash, "directory")
    for (const name of readdirSync(path).filter((name) => isIncluded(join(path, name))).toSorted()) {
      write(hash, "entry", "(", "name", name, "node")
      archive(hash, join(path, name), isIncluded)
      write(hash, ")")
    }
  } else {
    write(hash, "regular", ...(stats.mode & 0o100 ? ["executable", ""] : []), "contents", readFileSync(path))
  }
  write(hash, ")")
}

/** `sha256-...` of a folder with the `node_modules` of `root`, without those for development or other platforms. */
export const modulesHash = (root: string, lock: LockFile): string => {
  const kept = new Set<string>()
  for (const [path, entry] of Object.entries(lock.packages)) {
    if (path === "" || entry.dev || entry.optional) continue
    // The folders on the way are kept too: node_modules itself, and that of a scope.
    const names = path.split("/")
    for (let length = 1; length <= names.length; length++) kept.add(join(root, ...names.slice(0, length)))
  }
  const isPackageFolder = (path: string) =>
    /(^|\/)node_modules\/(@[^/]+\/)?[^/]+$/.test(path) || path.endsWith("/node_modules")
  const hash = createHash("sha256")
  write(hash, "nix-archive-1")
  archive(hash, root, (path) => kept.has(path) || dirname(path) !== root && !isPackageFolder(path))
  return `sha256-${hash.digest("base64")}`
}

/** The hash of this repository. */
export const installed = (): string => {
  const root = fileURLToPath(new URL("..", import.meta.url)).replace(/\/$/, "")
  return modulesHash(root, JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")) as LockFile)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.stdout.write(`${installed()}\n`)
