import { assert, describe, it } from "@effect/vitest"
import type { Figures } from "../../bench/storage/Load.ts"
import { align, busyRemark, latency, type Measure, quantity, render, rowOf } from "../../bench/storage/report.ts"

const figures = (perSecond: number): Figures => ({
  operations: 1000,
  seconds: 1,
  perSecond,
  cpuMicros: 12.34,
  othersShare: 0,
  p50Micros: 10,
  p99Micros: 2500,
  maxMicros: 9000
})

const workload = { name: "read-hot", title: "read hot", aim: 2.5 }

const measure: Measure = {
  workload: "fill-random",
  title: "space / live cells",
  valueBytes: 100,
  unit: "x",
  rondo: 1.3,
  leveldb: 1.1,
  below: 1.3
}

const lastWord = (text: string): string => text.split("\n").at(-1)!.split(" ").at(-1)!

describe("report", () => {
  it("gives Rondo's rate by LevelDB's, and none when one of them is missing", () => {
    assert.strictEqual(rowOf(workload, 100, { rondo: figures(300), leveldb: figures(100) }).ratio, 3)
    assert.isUndefined(rowOf(workload, 100, { rondo: figures(300) }).ratio)
    assert.isUndefined(rowOf(workload, 100, { rondo: figures(300), leveldb: figures(0) }).ratio)
  })

  it("says whether a ratio reaches its aim: equal is enough, less is not", () => {
    const said = (rondo: number) =>
      lastWord(render({
        rows: [rowOf(workload, 100, { rondo: figures(rondo), leveldb: figures(100) })],
        measures: [],
        remarks: []
      }))
    assert.strictEqual(said(250), "ok")
    assert.strictEqual(said(249), "below")
  })

  it("says whether a measure stays below its bound: equal does not", () => {
    const said = (rondo: number) => lastWord(render({ rows: [], measures: [{ ...measure, rondo }], remarks: [] }))
    assert.strictEqual(said(1.29), "ok")
    assert.strictEqual(said(1.3), "above")
  })

  it("judges nothing that was not measured or has no aim", () => {
    const text = render({
      rows: [rowOf({ name: "a", title: "a" }, 100, { rondo: figures(1) })],
      measures: [{ ...measure, rondo: undefined }],
      remarks: ["a remark"]
    })
    assert.notMatch(text, /ok|above|below/)
    assert.isTrue(text.endsWith("\n\na remark"))
  })

  it("names the workload and the size of its values before what there is to say about it", () => {
    const row = rowOf(workload, 1024, { rondo: figures(1) }, "all of it from memory")
    assert.include(render({ rows: [row], measures: [], remarks: [] }), "read hot, 1024 B: all of it from memory")
  })

  it("says so when other processes took a part of the machine, and nothing while it was idle", () => {
    const row = (othersShare: number) =>
      rowOf(workload, 100, { rondo: { ...figures(1), othersShare }, leveldb: figures(1) })
    assert.isUndefined(busyRemark([]))
    assert.isUndefined(busyRemark([row(0.1)]))
    assert.match(busyRemark([row(0.1), row(0.5)])!, /up to 50 % of the processors, 15 % on average/)
  })

  it("writes latencies and quantities in the unit that reads best", () => {
    assert.strictEqual(latency(999), "999 us")
    assert.strictEqual(latency(1000), "1.00 ms")
    assert.strictEqual(latency(10_000), "10.0 ms")
    assert.strictEqual(quantity(0.0123, "share"), "1.23 %")
    assert.strictEqual(quantity(123_456_789, "MB"), "123.5 MB")
    assert.strictEqual(quantity(undefined, "s"), "-")
  })

  it("aligns titles to the left and figures to the right", () => {
    assert.strictEqual(align([["", "a"], ["long", "10"], ["b", "2"]]), "       a\nlong  10\nb      2")
  })
})
