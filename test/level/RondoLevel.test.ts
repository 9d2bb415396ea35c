import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"
import type { RondoLevel } from "../../src/level/RondoLevel.ts"
import { closedDatabase, database, errorOf, temporaryDirectory } from "./temporary.ts"

const range = (count: number) => Array.from({ length: count }, (_, index) => index)
const numbered = (index: number) => `key-${String(index).padStart(5, "0")}`
const putNumbered = (db: RondoLevel, count: number) =>
  db.batch(range(count).map((index) => ({ type: "put" as const, key: numbered(index), value: String(index) })))

describe("a database", () => {
  it("keeps its cells and deletions over a restart", async () => {
    const directory = temporaryDirectory()
    for (const round of range(3)) {
      const db = database(directory)
      assert.strictEqual(await db.get("round"), round === 0 ? undefined : String(round - 1))
      assert.isFalse(await db.has("deleted"))
      await db.put("round", String(round))
      await db.put("deleted", "soon")
      await db.del("deleted")
      await db.close()
    }
  })

  it("opens again as the same object", async () => {
    const db = database()
    await db.put("a", "1")
    await db.close()
    await db.open()
    await db.put("b", "2")
    assert.deepStrictEqual(await db.getMany(["a", "b", "c"]), ["1", "2", undefined])
  })

  it("is opened by one at a time", async () => {
    const first = database()
    await first.open()
    const second = database(first.location)
    assert.deepInclude(await errorOf(second.open()), { code: "LEVEL_LOCKED" })
    await first.put("a", "1")
    await first.close()
    await second.open()
    assert.strictEqual(await second.get("a"), "1")
  })

  it("is not created with `createIfMissing: false`, and leaves no trace", async () => {
    const directory = path.join(temporaryDirectory(), "none")
    const failed = await errorOf(database(directory, { createIfMissing: false }).open())
    assert.strictEqual(failed.code, "LEVEL_DATABASE_MISSING")
    assert.isFalse(fs.existsSync(directory))
  })

  it("is not opened with `errorIfExists`", async () => {
    const db = await closedDatabase()
    const failed = await errorOf(database(db.location, { errorIfExists: true }).open())
    assert.strictEqual(failed.code, "LEVEL_DATABASE_EXISTS")
  })

  it("refuses a bad option of the engine before it touches anything", async () => {
    const directory = path.join(temporaryDirectory(), "none")
    for (
      const [bad, expected] of [
        [{ fsync: "alway" as "always" }, "fsync is alway, but must be always, interval or never"],
        [{ blockBytes: 0 }, "blockBytes is 0, but must be a whole number, 1 or more"],
        [{ blockCacheBytesMax: NaN }, "blockCacheBytesMax is NaN, but must be a whole number, 0 or more"],
        [{ tableBytes: "9" as unknown as number }, "tableBytes is 9, but must be a whole number, 1 or more"],
        [{ salvage: "true" as unknown as boolean }, "salvage is true, but must be true or false"]
      ] as const
    ) {
      const failed = await errorOf(database(directory, bad).open())
      assert.strictEqual(failed.code, "LEVEL_INVALID_OPTION")
      assert.include(failed.message, expected)
    }
    assert.isFalse(fs.existsSync(directory))
    await database(directory, { blockCacheBytesMax: 0, bloomBitsPerKey: 0, salvage: false }).put("a", "1")
  })

  it("refuses the data of a Rondo node", async () => {
    const db = await closedDatabase()
    const identity = path.join(db.location, "identity.json")
    fs.writeFileSync(identity, fs.readFileSync(identity, "utf8").replace(`"level"`, `"node1"`))
    assert.strictEqual((await errorOf(db.open())).code, "LEVEL_FOREIGN_DIRECTORY")
  })

  it("reports a damaged file", async () => {
    const db = await closedDatabase()
    fs.writeFileSync(path.join(db.location, "identity.json"), "{")
    assert.strictEqual((await errorOf(db.open())).code, "LEVEL_CORRUPTION")
  })

  it("waits for calls under way before it closes", async () => {
    const db = database()
    await db.open()
    const puts = range(100).map((index) => db.put(numbered(index), "x"))
    await db.close()
    await Promise.all(puts)
    await db.open()
    assert.lengthOf(await db.keys().all(), 100)
  })
})

describe("writing", () => {
  it("applies a batch in order: the last operation on a key counts", async () => {
    const db = database()
    await db.batch([
      { type: "put", key: "a", value: "1" },
      { type: "put", key: "b", value: "1" },
      { type: "del", key: "b" },
      { type: "put", key: "a", value: "2" },
      { type: "del", key: "never" }
    ])
    assert.deepStrictEqual(await db.iterator().all(), [["a", "2"]])
  })

  it("refuses a key that is too long, and finds nothing for it", async () => {
    const db = database()
    const long = "a".repeat(1025)
    const failed = await errorOf(db.put(long, "x"))
    assert.strictEqual(failed.code, "LEVEL_INVALID_KEY")
    assert.include(failed.message, "1025")
    const batch = db.batch([{ type: "put", key: "a", value: "1" }, { type: "put", key: long, value: "x" }])
    assert.strictEqual((await errorOf(batch)).code, "LEVEL_INVALID_KEY")
    assert.deepStrictEqual(await db.getMany(["a", long]), [undefined, undefined])
    assert.isFalse(await db.has(long))
    await putNumbered(db, 3)
    assert.lengthOf(await db.keys({ lt: `key-00001${long}` }).all(), 2)
  })

  it("copies bytes that it is given, and gives copies", async () => {
    const db = database<string, Buffer>(undefined, { valueEncoding: "buffer" })
    await db.open()
    const given = Buffer.from("before")
    const put = db.put("a", given)
    given.fill("x")
    await put
    assert.strictEqual((await db.get("a"))!.toString(), "before")
    ;(await db.get("a"))!.fill("y")
    ;(await db.values().all())[0]!.fill("z")
    assert.strictEqual((await db.get("a"))!.toString(), "before")
  })

  it("syncs one operation while others are not synced", async () => {
    for (const fsync of ["interval", "never"] as const) {
      const db = database(undefined, { fsync })
      await db.put("a", "1")
      const tables = () => fs.readdirSync(db.location).filter((name) => name.endsWith(".sst"))
      assert.lengthOf(tables(), 0)
      await db.put("b", "2", { sync: true })
      assert.lengthOf(tables(), 1)
      await db.batch([{ type: "del", key: "a" }], { sync: true })
      assert.lengthOf(tables(), 2)
      assert.deepStrictEqual(await db.keys().all(), ["b"])
    }
  })
})

describe("reading", () => {
  it("finds cells in tables, in and out of order", async () => {
    const db = database(undefined, { memtableBytesMax: 64 * 1024, fsync: "never" })
    for (const round of range(4)) {
      const batch = range(1000).map((index) => numbered((index * 7919 + round * 13) % 4000))
      await db.batch(batch.map((key) => ({ type: "put" as const, key, value: `${round} ${"v".repeat(100)}` })))
    }
    const entries = await db.iterator().all()
    assert.deepStrictEqual(entries.map(([key]) => key), entries.map(([key]) => key).toSorted())
    const keys = entries.map(([key]) => key)
    assert.deepStrictEqual(await db.getMany(keys), entries.map(([, value]) => value))
    assert.deepStrictEqual(await db.hasMany([keys[0]!, "no", keys.at(-1)!]), [true, false, true])
  })

  it("of a snapshot or an iterator sees no later writes", async () => {
    const db = database()
    await db.batch([{ type: "put", key: "a", value: "1" }, { type: "put", key: "b", value: "1" }])
    const snapshot = db.snapshot()
    const iterator = db.iterator()
    await db.batch([{ type: "put", key: "a", value: "2" }, { type: "del", key: "b" }])
    await db.put("c", "2")
    assert.deepStrictEqual(await iterator.all(), [["a", "1"], ["b", "1"]])
    assert.deepStrictEqual(await db.iterator({ snapshot, reverse: true }).all(), [["b", "1"], ["a", "1"]])
    assert.deepStrictEqual(await db.getMany(["a", "b", "c"], { snapshot }), ["1", "1", undefined])
    assert.deepStrictEqual(await db.hasMany(["a", "b", "c"], { snapshot }), [true, true, false])
    await db.clear({ snapshot })
    assert.deepStrictEqual(await db.iterator().all(), [["c", "2"]])
    await snapshot.close()
  })

  it("of many keys uses one view over many turns of the event loop", async () => {
    const db = database(undefined, { fsync: "never" })
    await putNumbered(db, 2000)
    const many = range(20_000).map((index) => numbered(index % 2000))
    const read = db.getMany(many)
    const put = db.put(numbered(1999), "later")
    assert.deepStrictEqual(await read, range(20_000).map((index) => String(index % 2000)))
    await put
    assert.deepStrictEqual(await db.getMany([numbered(0), numbered(1999)]), ["0", "later"])
  })

  it("of a snapshot keeps it open until it is done", async () => {
    const db = database()
    await putNumbered(db, 1000)
    const order: Array<string> = []
    const snapshot = db.snapshot()
    const has = db.hasMany(range(10_000).map((index) => numbered(index % 1000)), { snapshot })
    const ends = [has.then(() => order.push("read")), snapshot.close().then(() => order.push("closed"))]
    await Promise.all(ends)
    assert.deepStrictEqual(order, ["read", "closed"])
    assert.isTrue((await has).every(Boolean))
  })

  it("gives thousands of cells in steps, pages and all at once, in both directions", async () => {
    const db = database()
    await putNumbered(db, 3000)
    const expected = range(3000).map(numbered)
    const stepped: Array<string> = []
    for await (const key of db.keys()) stepped.push(key)
    assert.deepStrictEqual(stepped, expected)
    assert.deepStrictEqual(await db.keys({ reverse: true }).all(), expected.toReversed())
    const iterator = db.iterator({ gt: numbered(9), limit: 2500 })
    const first = await iterator.next()
    const page = await iterator.nextv(1700)
    const rest = await iterator.all()
    assert.deepStrictEqual([first!, ...page, ...rest].map(([key]) => key), expected.slice(10, 2510))
    assert.strictEqual(page.length, 1700)
  })

  it("seeks from any position, even from the end, and ends out of range", async () => {
    const db = database()
    await putNumbered(db, 1000)
    const iterator = db.keys({ gte: numbered(100), lt: numbered(900) })
    assert.lengthOf(await iterator.nextv(10_000), 800)
    iterator.seek(numbered(500))
    assert.deepStrictEqual(await iterator.nextv(2), [numbered(500), numbered(501)])
    iterator.seek(numbered(200))
    assert.strictEqual(await iterator.next(), numbered(200))
    iterator.seek(numbered(99))
    assert.isUndefined(await iterator.next())
    iterator.seek(numbered(900))
    assert.isUndefined(await iterator.next())
    iterator.seek(numbered(899))
    assert.deepStrictEqual(await iterator.nextv(2), [numbered(899)])
    await iterator.close()
  })

  it("lets the event loop turn while a caller reads in a loop", async () => {
    const db = database()
    await putNumbered(db, 1000)
    let turns = 0
    const count = () => {
      turns++
      counting = setImmediate(count)
    }
    let counting = setImmediate(count)
    for (const index of range(5000)) await db.get(numbered(index % 1000))
    const whileGetting = turns
    for await (const _ of db.iterator()) continue
    clearImmediate(counting)
    assert.isAtLeast(whileGetting, 5)
    assert.isAbove(turns, whileGetting)
  })

  it("stops when its signal is aborted", async () => {
    const db = database()
    await putNumbered(db, 10)
    const controller = new AbortController()
    const all = db.iterator({ signal: controller.signal }).all()
    controller.abort()
    assert.deepInclude(await errorOf(all), { code: "LEVEL_ABORTED", name: "AbortError" } as never)
  })

  it("clears a range, in order and up to a limit", async () => {
    const db = database()
    await putNumbered(db, 2000)
    await db.clear({ gte: numbered(100), lt: numbered(1900), reverse: true, limit: 1700 })
    assert.deepStrictEqual(await db.keys().all(), [...range(200), ...range(2000).slice(1900)].map(numbered))
    await db.clear()
    assert.deepStrictEqual(await db.keys().all(), [])
  })
})
