import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema, Stream } from "effect"
import { mergeCells } from "../../src/cli/mergeCells.ts"
import * as Cell from "../../src/domain/cell/Cell.ts"
import * as Key from "../../src/domain/Key.ts"
import type { NodeId } from "../../src/domain/NodeId.ts"
import type { Incarnation } from "../../src/domain/Version.ts"

const cell = (key: string, counter: number, text: string | undefined): Cell.Cell => ({
  key: key as Key.Key,
  version: { counter, nodeId: "node1" as NodeId, incarnation: "0123456789ab" as Incarnation },
  value: text === undefined ? undefined : { bytes: Buffer.from(text), contentType: "text/plain" }
})

const merged = (sources: ReadonlyArray<ReadonlyArray<Cell.Cell>>, chunkSize = 2) =>
  Stream.runCollect(mergeCells(sources.map((cells, index) => ({
    name: `node${index + 1}`,
    cells: Stream.fromIterable(cells).pipe(Stream.rechunk(chunkSize))
  }))))

const shown = (cells: ReadonlyArray<Cell.Cell>) =>
  cells.map(({ key, value, version }) =>
    `${key}@${version.counter}=${value === undefined ? "-" : Buffer.from(value.bytes)}`
  )

const Entry = Schema.Struct({
  key: Schema.Literals(["a", "b", "c", "d", "\u{1f600}", "\uffee"]),
  counter: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 4 }))
})

describe("mergeCells", () => {
  it.effect.prop("gives the newest cell of each key in key order, tombstones too, however the streams are cut", {
    nodes: Schema.Array(Schema.Array(Entry)),
    chunkSize: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 5 }))
  }, ({ chunkSize, nodes }) =>
    Effect.gen(function*() {
      const all = new Map<string, Cell.Cell>()
      const sources = nodes.map((entries) => {
        const own = new Map<string, Cell.Cell>()
        for (const { counter, key } of entries) {
          const next = cell(key, counter, counter % 3 === 0 ? undefined : `${key}${counter}`)
          own.set(key, own.has(key) ? Cell.merge(own.get(key)!, next) : next)
          all.set(key, all.has(key) ? Cell.merge(all.get(key)!, next) : next)
        }
        return Array.from(own.values()).sort((left, right) => Key.compare(left.key, right.key))
      })
      const expected = Array.from(all.values()).sort((left, right) => Key.compare(left.key, right.key))
      assert.deepStrictEqual(shown(yield* merged(sources, chunkSize)), shown(expected))
    }))

  it.effect("holds no more than a chunk of each source ahead of what was taken", () =>
    Effect.gen(function*() {
      let produced = 0
      const endless = Stream.range(0, 1_000_000).pipe(
        Stream.map((index) => {
          produced++
          return cell(String(index).padStart(8, "0"), 1, "x")
        }),
        Stream.rechunk(16)
      )
      const taken = yield* mergeCells([{ name: "node1", cells: endless }]).pipe(Stream.take(10), Stream.runCollect)
      assert.strictEqual(taken.length, 10)
      assert.isAtMost(produced, 10_000)
    }))

  it.effect("refuses keys out of order within a chunk and between chunks, and a key twice", () =>
    Effect.gen(function*() {
      for (const keys of [["b", "a"], ["a", "c", "b"], ["a", "a"]]) {
        const failed = yield* Effect.flip(merged([keys.map((key) => cell(key, 1, "x")), [cell("z", 1, "x")]]))
        assert.strictEqual(failed.message, "node1 sent its keys out of order")
      }
    }))

  it.effect("fails when a source fails", () =>
    Effect.gen(function*() {
      const failed = yield* mergeCells([
        { name: "node1", cells: Stream.make(cell("a", 1, "x")) },
        { name: "node2", cells: Stream.concat(Stream.make(cell("b", 1, "x")), Stream.fail("cut")) }
      ]).pipe(Stream.runCollect, Effect.flip)
      assert.strictEqual(failed, "cut")
    }))
})
