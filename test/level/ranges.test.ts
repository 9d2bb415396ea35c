import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { database } from "./temporary.ts"

const Bytes = Schema.Array(Schema.Literals([0, 1, 0x41, 0x7f, 0x80, 0xff])).check(Schema.isMaxLength(3))
const Bound = Schema.Struct({ bytes: Bytes, kind: Schema.Literals(["none", "in", "out"]) })

describe("ranges over arbitrary bytes", () => {
  it.effect.prop("give what a sorted list gives", {
    stored: Schema.Array(Bytes).check(Schema.isMaxLength(20)),
    lower: Bound,
    upper: Bound,
    reverse: Schema.Boolean,
    limit: Schema.Literals([-1, 0, 1, 3]),
    target: Bytes
  }, ({ limit, lower, reverse, stored, target, upper }) =>
    Effect.promise(async () => {
      const db = database<Buffer, Buffer>(undefined, { keyEncoding: "buffer", valueEncoding: "buffer", fsync: "never" })
      const written = stored.map((bytes) => Buffer.from(bytes))
      await db.batch(written.map((key) => ({ type: "put" as const, key, value: key })))
      const low = Buffer.from(lower.bytes)
      const high = Buffer.from(upper.bytes)
      const options = {
        reverse,
        limit,
        ...lower.kind === "in" ? { gte: low } : lower.kind === "out" ? { gt: low } : {},
        ...upper.kind === "in" ? { lte: high } : upper.kind === "out" ? { lt: high } : {}
      }
      const above = (key: Buffer) => lower.kind === "none" || Buffer.compare(key, low) >= (lower.kind === "in" ? 0 : 1)
      const below = (key: Buffer) =>
        upper.kind === "none" || Buffer.compare(key, high) <= (upper.kind === "in" ? 0 : -1)
      const sorted = [...new Map(written.map((key) => [key.toString("hex"), key])).values()].toSorted(Buffer.compare)
      const inOrder = reverse ? sorted.toReversed() : sorted
      const inRange = inOrder.filter((key) => above(key) && below(key))
      const limited = limit === -1 ? inRange : inRange.slice(0, limit)
      assert.deepStrictEqual(await db.keys(options).all(), limited)
      const iterator = db.values(options)
      const sought = Buffer.from(target)
      iterator.seek(sought)
      const behind = above(sought) && below(sought)
        ? inRange.filter((key) => Buffer.compare(key, sought) * (reverse ? -1 : 1) >= 0)
        : []
      assert.deepStrictEqual(await iterator.all(), limit === -1 ? behind : behind.slice(0, limit))
      await db.clear(options)
      assert.deepStrictEqual(await db.keys().all(), sorted.filter((key) => !limited.includes(key)))
      await db.close()
    }), { arbitrary: { runs: 40 } })
})
