import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { complete, type LockFile, missing, platformOf } from "../../scripts/completeLockFile.ts"

const text = readFileSync(new URL("../../package-lock.json", import.meta.url), "utf8")
const lock = JSON.parse(text) as LockFile
const manifest = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as Record<
  "dependencies" | "devDependencies" | "optionalDependencies",
  Record<string, string>
>

describe("the lock file", () => {
  it("carries no download addresses", () => {
    assert.notInclude(text, `"resolved"`)
    assert.notInclude(text, "https://registry")
  })

  it("names every package for every platform, without which npm ci refuses it", () => {
    assert.deepStrictEqual(missing(lock), {})
  })

  it("names the versions of package.json, each exact", () => {
    const wanted = { ...manifest.dependencies, ...manifest.devDependencies, ...manifest.optionalDependencies }
    for (const [name, version] of Object.entries(wanted)) {
      assert.match(version, /^\d+\.\d+\.\d+$/, name)
      assert.strictEqual(lock.packages[`node_modules/${name}`]?.version, version, name)
    }
  })

  it("has the integrity of everything that a Linux machine installs", () => {
    const bare = Object.entries(lock.packages).filter(([path, entry]) =>
      path !== "" && entry.integrity === undefined && entry.optional !== true
    )
    assert.deepStrictEqual(bare, [])
  })
})

describe("completing a lock file", () => {
  const wants = { version: "1.0.0", dev: true, optionalDependencies: { "@a/b-linux-arm64-musl": "1.2.3" } }

  it("adds what is missing with its platform, and drops addresses", () => {
    const completed = complete({
      packages: {
        "node_modules/z": { version: "2.0.0", resolved: "https://example.org/z.tgz" },
        "node_modules/a": wants
      }
    })
    assert.deepStrictEqual(Object.entries(completed.packages), [
      ["node_modules/@a/b-linux-arm64-musl", {
        version: "1.2.3",
        cpu: ["arm64"],
        libc: ["musl"],
        os: ["linux"],
        dev: true,
        optional: true
      }],
      ["node_modules/a", wants],
      ["node_modules/z", { version: "2.0.0" }]
    ])
  })

  it("adds nothing where the package is there, nested or not, and nothing whose platform is unknown", () => {
    assert.deepStrictEqual(
      missing({
        packages: { "node_modules/a": wants, "node_modules/a/node_modules/@a/b-linux-arm64-musl": { version: "1.2.3" } }
      }),
      {}
    )
    assert.deepStrictEqual(
      missing({ packages: { "node_modules/a": { optionalDependencies: { redis: "1.0.0" } } } }),
      {}
    )
  })

  it("reads platforms off names", () => {
    assert.deepStrictEqual(platformOf("@x/y-win32-x64-msvc"), { os: ["win32"], cpu: ["x64"] })
    assert.deepStrictEqual(platformOf("@x/y-linux-arm-gnueabihf"), { os: ["linux"], cpu: ["arm"], libc: ["glibc"] })
    assert.isUndefined(platformOf("@x/arm64-only"))
  })
})
