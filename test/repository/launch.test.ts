/** Every way to start a node in production gives Node the same options, and the allocator the same settings. */
import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"

const textOf = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8")

/** `name=value`, sorted. A shell writes a default, the image and the flake a value. */
const settingsIn = (text: string) =>
  [...text.matchAll(/(--max-semi-space-size|--heap-growing-percent|MALLOC_\w+)(?:="\$\{\w+:-|=| )(\d+)/g)]
    .map(([, name, value]) => `${name}=${value}`).toSorted()

describe("the launcher, the image and the flake", () => {
  const launcher = settingsIn(textOf("bin/rondo"))

  it("start Node alike", () => {
    assert.lengthOf(launcher, 4)
    assert.deepStrictEqual(settingsIn(textOf("Dockerfile")), launcher)
    assert.deepStrictEqual(settingsIn(textOf("flake.nix")), launcher)
  })

  it("and the benchmark of the engine has the same options", () => {
    const options = launcher.filter((setting) => setting.startsWith("--"))
    assert.deepStrictEqual(settingsIn(textOf("package.json")), options)
  })
})
