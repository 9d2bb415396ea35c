import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { resolve } from "node:path"
import { DiskFull } from "../../src/disk/StorageError.ts"
import * as PeerAuth from "../../src/peer/PeerAuth.ts"
import { BadSnapshotName, SnapshotMissing } from "../../src/storage/Snapshots.ts"
import { SnapshotDirectoryTaken } from "../../src/storage/Storage.ts"
import { serve } from "./client.ts"

const headers = { authorization: PeerAuth.header(Redacted.make("secret")), "content-type": "application/json" }
const taken = { directory: "data/snapshots/a", tables: 3, cells: 40, bytes: 5000, bytesCopied: 0 }
const stored = { name: "a", state: "complete", tables: 3, cells: 40, bytes: 5000 } as const

describe("/snapshots", () => {
  it.effect("takes, lists and removes", () =>
    Effect.gen(function*() {
      const server = yield* serve()
      const asked: Array<string> = []
      server.cluster.snapshots = {
        take: (name) => Effect.as(Effect.sync(() => asked.push(`take ${name}`)), taken),
        list: Effect.succeed([stored]),
        remove: (name) => Effect.asVoid(Effect.sync(() => asked.push(`remove ${name}`)))
      }
      const created = yield* server.send("/snapshots", { method: "POST", headers, body: `{"name":"a"}` })
      assert.strictEqual(created.status, 201)
      assert.deepStrictEqual(created.json(), { name: "a", ...taken, directory: resolve("data/snapshots/a") })
      const list = yield* server.send("/snapshots", { headers })
      assert.deepStrictEqual(list.json(), { node: "node1", snapshots: [stored] })
      const removed = yield* server.send("/snapshots/a.b", { method: "DELETE", headers })
      assert.strictEqual(removed.status, 204)
      assert.deepStrictEqual(asked, ["take a", "remove a.b"])
    }))

  it.effect("needs the cluster's secret", () =>
    Effect.gen(function*() {
      const server = yield* serve()
      for (const authorization of [undefined, "Bearer wrong"]) {
        const given = authorization === undefined ? {} : { authorization }
        const list = yield* server.send("/snapshots", { headers: given })
        assert.strictEqual(list.status, 401)
        assert.strictEqual(list.json()["_tag"], "PeerUnauthorized")
        const taking = yield* server.send("/snapshots", {
          method: "POST",
          headers: { ...given, "content-type": "application/json" },
          body: `{"name":"a"}`
        })
        assert.strictEqual(taking.status, 401)
        assert.strictEqual((yield* server.send("/snapshots/a", { method: "DELETE", headers: given })).status, 401)
      }
    }))

  it.effect("answers each refusal with a problem of its own kind", () =>
    Effect.gen(function*() {
      const server = yield* serve()
      const cases = [
        [new BadSnapshotName({ name: "a/b" }), 400, "InvalidSnapshotName"],
        [new SnapshotDirectoryTaken({ path: "data/snapshots/a" }), 409, "SnapshotExists"],
        [new DiskFull({ path: "data" }), 507, "StorageFailed"]
      ] as const
      for (const [error, status, tag] of cases) {
        server.cluster.snapshots = { ...server.cluster.snapshots, take: () => Effect.fail(error) }
        const answer = yield* server.send("/snapshots", { method: "POST", headers, body: `{"name":"a"}` })
        assert.strictEqual(answer.status, status)
        assert.deepInclude(answer.json(), { _tag: tag, status })
        assert.include(answer.headers["content-type"], "application/problem+json")
      }
      server.cluster.snapshots = {
        ...server.cluster.snapshots,
        list: Effect.fail(new DiskFull({ path: "data" })),
        remove: (name) => Effect.fail(new SnapshotMissing({ name }))
      }
      assert.strictEqual((yield* server.send("/snapshots", { headers })).status, 507)
      const missing = yield* server.send("/snapshots/b", { method: "DELETE", headers })
      assert.deepInclude(missing.json(), { _tag: "SnapshotNotFound", detail: "there is no snapshot b" })
      const nameless = yield* server.send("/snapshots", { method: "POST", headers, body: "{}" })
      assert.strictEqual(nameless.status, 400)
    }))

  it.effect("names the methods that are there", () =>
    Effect.gen(function*() {
      const server = yield* serve()
      const collection = yield* server.send("/snapshots", { method: "DELETE", headers })
      assert.deepStrictEqual([collection.status, collection.headers["allow"]], [405, "GET, HEAD, POST"])
      const one = yield* server.send("/snapshots/a", { headers })
      assert.deepStrictEqual([one.status, one.headers["allow"]], [405, "DELETE"])
    }))
})
