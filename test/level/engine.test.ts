import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import * as Database from "../../src/level/Database.ts"
import { database, errorOf, temporaryDirectory } from "./temporary.ts"

const tablesOf = (directory: string) =>
  fs.readdirSync(directory).filter((name) => name.endsWith(".sst")).map((name) => path.join(directory, name))

describe("the engine below a database", () => {
  it("keeps nothing of a deleted key once it has compacted", async () => {
    const db = database(undefined, { fsync: "never" })
    await db.batch([{ type: "put", key: "gone", value: "x" }, { type: "put", key: "here", value: "y" }], { sync: true })
    await db.del("gone", { sync: true })
    await db.close()
    const { bridge, close, engine } = await Database.open(db.location, {})
    await bridge.run(engine.compact)
    await close()
    // A start removes the files that the compaction left.
    await db.open()
    const text = tablesOf(db.location).map((file) => fs.readFileSync(file, "utf8")).join("")
    assert.include(text, `"here"`)
    assert.notInclude(text, `"gone"`)
  })

  it("writes readable lines with the key, the version and the value", async () => {
    const db = database(undefined, { fsync: "never" })
    await db.put("users/42", "Ada", { sync: true })
    const [file] = tablesOf(db.location)
    assert.match(
      fs.readFileSync(file!, "utf8"),
      /^\{"key":"users\/42","version":"1-level-[0-9a-f]{12}","type":"application\/octet-stream","value":"Ada"\}$/m
    )
  })

  it("refuses reads of damaged cells, and accepts writes to their keys", async () => {
    const db = database(undefined, { fsync: "never" })
    await db.batch([{ type: "put", key: "a", value: "first" }, { type: "put", key: "b", value: "second" }], {
      sync: true
    })
    await db.close()
    const [file] = tablesOf(db.location)
    fs.writeFileSync(file!, fs.readFileSync(file!, "utf8").replace("first", "worst"))
    await db.open()
    assert.strictEqual((await errorOf(db.get("b"))).code, "LEVEL_CORRUPTION")
    assert.strictEqual((await errorOf(db.keys().all())).code, "LEVEL_CORRUPTION")
    await db.put("a", "again")
    assert.strictEqual(await db.get("a"), "again")
    assert.isUndefined(await db.get("c"))
  })

  it("reports an error of the disk", async () => {
    const directory = path.join(temporaryDirectory(), "file")
    fs.writeFileSync(directory, "")
    assert.strictEqual((await errorOf(database(path.join(directory, "db")).open())).code, "LEVEL_IO_ERROR")
  })

  it("gives every write a higher version, after a restart too", async () => {
    const directory = temporaryDirectory()
    const first = await Database.open(directory, {})
    const [one, two] = [first.stamp(), first.stamp()]
    await first.bridge.run(first.engine.apply([{ key: "k" as never, version: two, value: undefined }]))
    await first.close()
    const second = await Database.open(directory, {})
    const three = second.stamp()
    assert.deepStrictEqual([one, two, three].map(({ counter }) => counter), [1, 2, 3])
    assert.strictEqual(one.incarnation, three.incarnation)
    assert.strictEqual(await Effect.runPromise(second.engine.counterMax), 2)
    await second.close()
  })
})
