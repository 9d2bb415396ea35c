import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import { NodeConfig, type NodeSettings } from "../../src/config/NodeConfig.ts"
import { Corruption } from "../../src/disk/StorageError.ts"
import { NodeId } from "../../src/domain/NodeId.ts"
import * as FakeHttp from "./FakeHttp.ts"
import { run } from "./run.ts"

const http = FakeHttp.layer(() => FakeHttp.answer(404))

/** A node that only tells with which settings it was built, and that it was closed. */
const fakeNode = () => {
  const built: Array<NodeSettings> = []
  const events: Array<string> = []
  const layer = Layer.effectDiscard(Effect.gen(function*() {
    built.push(yield* NodeConfig)
    yield* Effect.acquireRelease(
      Effect.sync(() => events.push("open")),
      () => Effect.sync(() => events.push("closed"))
    )
  }))
  return { built, events, layer }
}

describe("serve", () => {
  it.effect("builds the node with flags over variables, runs until it is stopped, and closes it", () =>
    Effect.gen(function*() {
      const node = fakeNode()
      const fiber = yield* Effect.forkChild(run(["serve", "--node-id", "n7", "--vnodes", "9"], {
        http,
        node: node.layer,
        environment: { NODE_ID: "other", NODE_ADDR: "127.0.0.1:1", FSYNC: "never" }
      }))
      while (node.built.length === 0) yield* Effect.yieldNow
      const settings = node.built[0]!
      assert.include(settings, { nodeId: NodeId.make("n7"), vnodes: 9, fsync: "never", dataDirectory: "data/n7" })
      assert.deepStrictEqual(node.events, ["open"])
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(node.events, ["open", "closed"])
    }))

  it.effect("says what to do about a damaged log, and about any other damaged file", () =>
    Effect.gen(function*() {
      const environment = { NODE_ID: "n7", NODE_ADDR: "127.0.0.1:1" }
      const noticeOf = (path: string) => {
        const node = Layer.effectDiscard(Effect.fail(new Corruption({ path, offsetBytes: 7, reason: "on purpose" })))
        return Effect.map(run(["serve"], { http, node, environment }), ({ notice }) => notice)
      }
      const log = yield* noticeOf("data/n7/wal-000012.log")
      assert.include(log, "data/n7/wal-000012.log is damaged at byte 7: on purpose")
      assert.match(log, /--salvage \(SALVAGE=true\).*does not vote in quorums/s)
      const manifest = yield* noticeOf("data/n7/MANIFEST")
      assert.include(manifest, "move its data directory away")
      assert.notInclude(manifest, "--salvage")
    }))

  it.effect("lists everything that is wrong with the settings and builds nothing", () =>
    Effect.gen(function*() {
      const node = fakeNode()
      const out = yield* run(["serve", "--vnodes", "x"], { http, node: node.layer })
      assert.isFalse(out.succeeded)
      assert.strictEqual(out.notice.split("\n  - ").length, 4, out.notice)
      assert.strictEqual(node.built.length, 0)
    }))
})
