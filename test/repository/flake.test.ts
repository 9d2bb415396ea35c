import { assert, describe, it } from "@effect/vitest"
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { installed, modulesHash } from "../../scripts/modulesHash.ts"

const lock = { packages: { "": {}, "node_modules/@a/b": {}, "node_modules/c": { dev: true } } }

const hashOf = (files: Readonly<Record<string, string>>): string => {
  const root = mkdtempSync(join(tmpdir(), "rondo-modules-"))
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(root, "node_modules", dirname(path)), { recursive: true })
    writeFileSync(join(root, "node_modules", path), text)
  }
  const hash = modulesHash(root, lock)
  rmSync(root, { recursive: true })
  return hash
}

describe("the flake", () => {
  it("names the hash of the modules that the lock file names", () => {
    assert.include(readFileSync(new URL("../../flake.nix", import.meta.url), "utf8"), `modulesHash = "${installed()}"`)
  })

  it("hashes what runs, whatever is installed for development beside it", () => {
    const alone = hashOf({ "@a/b/index.js": "1" })
    assert.strictEqual(
      hashOf({ "@a/b/index.js": "1", "c/index.js": "2", ".bin/c": "3", ".package-lock.json": "4" }),
      alone
    )
    assert.notStrictEqual(hashOf({ "@a/b/index.js": "2" }), alone)
    assert.notStrictEqual(hashOf({ "@a/b/main.js": "1" }), alone)
  })
})
