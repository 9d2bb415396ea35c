import { assert, describe, it } from "@effect/vitest"
import { database, temporaryDirectory } from "./temporary.ts"

describe("what is built on Level", () => {
  it("works: sublevels with encodings of their own, an index kept by a hook, and events", async () => {
    const directory = temporaryDirectory()
    interface Player {
      readonly name: string
      readonly score: number
    }
    const db = database(directory)
    const players = db.sublevel<string, Player>("players", { valueEncoding: "json" })
    const byScore = db.sublevel<string, string>("by-score", {})
    const scoreKey = ({ score }: Player, id: string) => `${String(score).padStart(6, "0")}:${id}`
    players.hooks.prewrite.add((operation, batch) => {
      if (operation.type !== "put") return
      batch.add({
        type: "put",
        key: scoreKey(operation.value, operation.key),
        value: operation.key,
        sublevel: byScore
      } as never)
    })
    const events: Array<number> = []
    players.on("write", (operations: ReadonlyArray<unknown>) => events.push(operations.length))
    await players.put("ada", { name: "Ada", score: 310 })
    await players.put("bob", { name: "Bób", score: 99 })
    await players.batch([{ type: "put", key: "eve", value: { name: "Eve", score: 2000 } }])
    assert.isAtLeast(events.length, 3)
    await db.close()

    const again = database(directory)
    const best = await again.sublevel<string, string>("by-score", {}).values({ reverse: true, limit: 2 }).all()
    assert.deepStrictEqual(best, ["eve", "ada"])
    const stored = again.sublevel<string, Player>("players", { valueEncoding: "json" })
    assert.deepStrictEqual(await stored.get("bob"), { name: "Bób", score: 99 })
    await again.sublevel("players").clear()
    assert.deepStrictEqual(await again.keys().all(), [
      "!by-score!000099:bob",
      "!by-score!000310:ada",
      "!by-score!002000:eve"
    ])
  })
})
