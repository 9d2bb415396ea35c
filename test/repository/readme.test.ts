import { assert, describe, it } from "@effect/vitest"
import { existsSync, readFileSync } from "node:fs"
import { all } from "../../src/cli/settings.ts"

const root = new URL("../../", import.meta.url)
const read = (path: string) => readFileSync(new URL(path, root), "utf8")
const readme = read("README.md")

/** The cells of each row of the tables under this heading. */
const rowsUnder = (heading: string): ReadonlyArray<ReadonlyArray<string>> =>
  readme.split(`${heading}\n`)[1]!.split(/\n##/)[0]!.split("\n")
    .filter((line) => /^\| [`\d]/.test(line))
    .map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim().replaceAll("`", "")))

describe("the README", () => {
  it("lists every setting of a node with its default and its meaning, as declared", () => {
    const rows = all.map((
      { fallback, meaning, variable }
    ) => [variable, fallback === undefined ? "(required)" : fallback || "(none)", meaning])
    assert.deepStrictEqual(rowsUnder("## Configuration"), rows)
  })

  it("lists every kind of refusal with its status", () => {
    const rows = rowsUnder("### Errors").map(([status, tag]) => `${status} ${tag}`)
    const kinds = Array.from(
      read("src/api/Problem.ts").matchAll(/\("(\w+)", (\d+), "/g),
      ([, tag, status]) => `${status} ${tag}`
    )
    assert.isAbove(kinds.length, 10)
    assert.deepStrictEqual(rows.toSorted(), kinds.toSorted())
  })
})

describe("links between pages", () => {
  it("lead to files that exist", () => {
    for (const page of ["README.md", "ARCHITECTURE.md", "docs/decisions/README.md"]) {
      for (const [, target] of read(page).matchAll(/\]\((?!https?:)([^)#]+)\)/g)) {
        assert.isTrue(existsSync(new URL(target!, new URL(page, root))), `${page} links to ${target}`)
      }
    }
  })
})
