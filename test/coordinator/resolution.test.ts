import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import type { Answer } from "../../src/coordinator/quorum.ts"
import { resolve } from "../../src/coordinator/resolution.ts"
import { NodeId } from "../../src/domain/NodeId.ts"
import * as Version from "../../src/domain/Version.ts"
import type { ReadAnswer } from "../../src/peer/PeerClient.ts"
import { a, b, cellOf, version } from "./requests.ts"

const nothing: ReadAnswer = { version: undefined, cell: undefined }
const full = (counter: number): ReadAnswer => ({ version: version(counter), cell: cellOf(counter) })
const versionOnly = (counter: number): ReadAnswer => ({ version: version(counter), cell: undefined })

/** Answers of different replicas, whose versions and kinds often meet. */
const answers: Arbitrary.Arbitrary<ReadonlyArray<Answer<ReadAnswer>>> = Arbitrary.map(
  Arbitrary.array(
    Arbitrary.all({
      counter: Arbitrary.schema(Schema.Literals([0, 1, 2, 3])),
      isFull: Arbitrary.schema(Schema.Boolean)
    }),
    { maxLength: 5 }
  ),
  (rows) =>
    rows.map(({ counter, isFull }, index) => ({
      node: NodeId.make(`n${index}`),
      answer: counter === 0 ? nothing : isFull ? full(counter) : versionOnly(counter)
    }))
)

const many = { arbitrary: { runs: 500 } }

describe("resolution", () => {
  it("finds nothing when no replica ever had the key", () => {
    const none = { newest: undefined, cell: undefined, holders: [], stale: [] }
    assert.deepStrictEqual(resolve([]), none)
    assert.deepStrictEqual(resolve([{ node: a, answer: nothing }, { node: b, answer: nothing }]), none)
  })

  it.prop("the newest version wins, for any order of answers", [answers], ([answers]) => {
    const { newest } = resolve(answers)
    assert.deepStrictEqual(resolve(answers.toReversed()).newest, newest)
    const versions = answers.flatMap(({ answer: { version } }) => version === undefined ? [] : [version])
    for (const version of versions) assert.isAtMost(Version.compare(version, newest!), 0)
    if (newest !== undefined) assert.include(versions.map(({ counter }) => counter), newest.counter)
  }, many)

  it.prop("those below the newest version are stale, exactly, and the others hold it", [answers], ([answers]) => {
    const { holders, newest, stale } = resolve(answers)
    const known = newest === undefined ? [] : answers
    const holds = ({ answer }: Answer<ReadAnswer>) => answer.version?.counter === newest?.counter
    assert.deepStrictEqual(stale, known.filter((answer) => !holds(answer)).map(({ node }) => node))
    assert.deepStrictEqual(holders, known.filter(holds).map(({ node }) => node))
  }, many)

  it.prop("the cell is of the newest version, and there when any holder sent it", [answers], ([answers]) => {
    const { cell, newest } = resolve(answers)
    const sent = answers.some(({ answer: { cell, version } }) =>
      cell !== undefined && version?.counter === newest?.counter
    )
    assert.strictEqual(cell !== undefined, sent)
    if (cell !== undefined) assert.deepStrictEqual(cell.version, newest)
  }, many)
})
