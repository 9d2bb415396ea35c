import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { mutations } from "./mutations.ts"

describe("the list of mutations", () => {
  it("has at least 20, each with a name of its own", () => {
    assert.isAtLeast(mutations.length, 20)
    assert.strictEqual(new Set(mutations.map(({ name }) => name)).size, mutations.length)
  })

  it("has a row for each in docs/simulation.md", () => {
    const page = readFileSync(new URL("../../docs/simulation.md", import.meta.url), "utf8")
    assert.deepStrictEqual(mutations.filter(({ name }) => !page.includes(`\n| ${name} |`)), [])
  })

  for (const { changes, name } of mutations) {
    it(`fits the sources: ${name}`, () => {
      for (const { file, find, replace } of changes) {
        const text = readFileSync(new URL(`../../src/${file}`, import.meta.url), "utf8")
        assert.strictEqual(text.split(find).length - 1, 1, `src/${file} holds its text once`)
        assert.notStrictEqual(find, replace)
      }
    })
  }
})
