import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { resolve } from "node:path"
import { DiskFull } from "../../src/disk/StorageError.ts"
import { BadSnapshotName, SnapshotMissing } from "../../src/storage/Snapshots.ts"
import { SnapshotDirectoryTaken } from "../../src/storage/Storage.ts"
import { authorization, isProblem, serve } from "./client.ts"

const headers = { authorization, "content-type": "application/json" }
const body = `{"name":"a"}`
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
      const created = yield* server.send("/snapshots", { method: "POST", headers, body })
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
      const requests = [["GET", "/snapshots"], ["POST", "/snapshots"], ["DELETE", "/snapshots/a"]] as const
      for (const [method, path] of requests) {
        for (const given of [{}, { authorization: "Bearer wrong" }]) {
          const headers = { "content-type": "application/json", ...given }
          isProblem(yield* server.send(path, { method, headers, body }), 401, "PeerUnauthorized")
        }
      }
    }))

  it.effect("answers each refusal with a problem of its own kind", () =>
    Effect.gen(function*() {
      const server = yield* serve()
      const take = server.send("/snapshots", { method: "POST", headers, body })
      const cases = [
        [new BadSnapshotName({ name: "a/b" }), 400, "InvalidSnapshotName"],
        [new SnapshotDirectoryTaken({ path: "data/snapshots/a" }), 409, "SnapshotExists"],
        [new DiskFull({ path: "data" }), 507, "StorageFailed"]
      ] as const
      for (const [error, status, kind] of cases) {
        server.cluster.snapshots = { ...server.cluster.snapshots, take: () => Effect.fail(error) }
        isProblem(yield* take, status, kind)
      }
      server.cluster.snapshots = {
        ...server.cluster.snapshots,
        list: Effect.fail(new DiskFull({ path: "data" })),
        remove: (name) => Effect.fail(new SnapshotMissing({ name }))
      }
      isProblem(yield* server.send("/snapshots", { headers }), 507, "StorageFailed")
      const missing = yield* server.send("/snapshots/b", { method: "DELETE", headers })
      assert.strictEqual(isProblem(missing, 404, "SnapshotNotFound")["detail"], "there is no snapshot b")
      isProblem(yield* server.send("/snapshots", { method: "POST", headers, body: "{}" }), 400, "BadRequest")
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
