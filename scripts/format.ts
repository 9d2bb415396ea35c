/**
 * The formatter: dprint's TypeScript plugin with the layout of this project. `--check` names the files that differ and
 * changes nothing; file names as arguments restrict it to those.
 */
import { createFromBuffer } from "@dprint/formatter"
import { getPath } from "@dprint/typescript"
import { globSync, readFileSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

const sources = ["*.ts", "src/**/*.ts", "test/**/*.ts", "scripts/**/*.ts", "bench/**/*.ts"]

/**
 * dprint settles some expressions only when it sees its own layout of them; it has never needed more than three passes.
 */
const passesMax = 5

/** Formats the text of one file; its result formats to itself. */
export const makeFormat = (): (path: string, text: string) => string => {
  const formatter = createFromBuffer(readFileSync(getPath()))
  formatter.setConfig({ indentWidth: 2, lineWidth: 120, newLineKind: "lf" }, {
    semiColons: "asi",
    quoteStyle: "alwaysDouble",
    trailingCommas: "never",
    operatorPosition: "maintain",
    "arrowFunction.useParentheses": "force"
  })
  return (filePath, text) => {
    let before = text
    for (let pass = 0; pass < passesMax; pass++) {
      const after = formatter.formatText({ filePath, fileText: before })
      if (after === before) return after
      before = after
    }
    throw new Error(`${filePath}: no stable layout after ${passesMax} passes`)
  }
}

const main = (parameters: ReadonlyArray<string>): number => {
  const isCheck = parameters.includes("--check")
  const named = parameters.filter((parameter) => !parameter.startsWith("--"))
  const format = makeFormat()
  const different = (named.length > 0 ? named : globSync(sources)).toSorted().filter((path) => {
    const text = readFileSync(path, "utf8")
    const formatted = format(path, text)
    if (formatted !== text && !isCheck) writeFileSync(path, formatted)
    return formatted !== text
  })
  for (const path of different) process.stdout.write(`${isCheck ? "needs formatting" : "formatted"}: ${path}\n`)
  return isCheck && different.length > 0 ? 1 : 0
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = main(process.argv.slice(2))
