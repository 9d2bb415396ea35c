import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { gunzipSync } from "node:zlib"
import { type Answer, HttpFailed, type Request } from "../../src/cli/Http.ts"
import * as CellLine from "../../src/domain/cell/CellLine.ts"
import type { Key } from "../../src/domain/Key.ts"
import * as Version from "../../src/domain/Version.ts"
import * as PeerAuth from "../../src/peer/PeerAuth.ts"
import * as FakeHttp from "./FakeHttp.ts"
import { cluster } from "./pages.ts"
import { run } from "./run.ts"
import { temporaryDirectory } from "./temporary.ts"

const line = (key: string, counter: number, value: string | Uint8Array | undefined) =>
  CellLine.encode({
    key: key as Key,
    version: Version.parse(`${counter}-node1-0123456789ab`)!,
    value: value === undefined ? undefined : { bytes: Buffer.from(value), contentType: "text/plain; charset=utf-8" }
  })

const body = (...lines: ReadonlyArray<string>) => [...lines, `{"end":true}`].map((text) => `${text}\n`).join("")
const allUp = { ...cluster, members: cluster.members.map((member) => ({ ...member, liveness: "up" })) }

const nodes = (
  cells: Record<string, Answer | HttpFailed>,
  view: unknown = allUp,
  asked: Array<Request> = []
) =>
  FakeHttp.layer(({ origin, path }) =>
    path === "/cluster"
      ? FakeHttp.answer(200, JSON.stringify(view))
      : cells[origin.slice(-1)] ?? FakeHttp.answer(200, body()), asked)

const three = {
  1: FakeHttp.answer(200, body(line("a", 1, "old"), line("c", 3, "c"))),
  2: FakeHttp.answer(200, body(line("a", 2, "new"), line("b", 4, undefined))),
  3: FakeHttp.answer(200, body(line("b", 3, "deleted"), line("d", 5, Buffer.from([0xff]))))
}
const expected = `{"key":"a","value":"new"}\n{"key":"c","value":"c"}\n` +
  `{"key":"d","value":"/w==","encoding":"base64","contentType":"text/plain; charset=utf-8"}\n`

describe("export", () => {
  it.effect("writes the newest value of each key of all nodes, in order, without what was deleted", () =>
    Effect.gen(function*() {
      const asked: Array<Request> = []
      const out = yield* run(["export", "-"], {
        http: nodes(three, allUp, asked),
        environment: { CLUSTER_SECRET: "s" }
      })
      assert.strictEqual(out.result, expected)
      assert.match(out.notice, /^exported 3 records/)
      const streams = asked.filter(({ path }) => path === "/internal/cells")
      assert.deepStrictEqual(
        streams.map(({ origin }) => origin),
        [1, 2, 3].map((number) => `http://127.0.0.1:808${number}`)
      )
      assert.isTrue(streams.every(({ headers }) => headers!["authorization"] === PeerAuth.header(Redacted.make("s"))))
    }))

  it.effect("writes a file, packed when its name says so, and only when it is whole", () =>
    Effect.gen(function*() {
      const directory = yield* temporaryDirectory
      const plain = join(directory, "a.ndjson")
      const out = yield* run(["export", plain, "--json"], { http: nodes(three) })
      assert.include(JSON.parse(out.result), { records: 3 })
      assert.strictEqual(readFileSync(plain, "utf8"), expected)
      yield* run(["export", `${plain}.gz`, "--quiet"], { http: nodes(three) })
      assert.strictEqual(gunzipSync(readFileSync(`${plain}.gz`)).toString(), expected)
      const cut = nodes({ ...three, 2: FakeHttp.answer(200, `${line("a", 2, "new")}\n`) })
      const failed = yield* run(["export", join(directory, "b.ndjson")], { http: cut })
      assert.include(failed.notice, "127.0.0.1:8082 stopped in the middle")
      assert.isFalse(existsSync(join(directory, "b.ndjson")))
    }))

  it.effect("does without as many nodes as no acknowledged write can be alone on", () =>
    Effect.gen(function*() {
      const oneDown = yield* run(["export", "-", "--quiet"], { http: nodes(three, cluster) })
      assert.isTrue(oneDown.succeeded)
      assert.include(oneDown.notice, "some nodes are down")
      assert.notInclude(oneDown.result, "new")
      const twoDown = {
        ...cluster,
        members: cluster.members.map((member) => ({ ...member, liveness: member.id === "node1" ? "up" : "down" }))
      }
      const out = yield* run(["export", "-"], { http: nodes(three, twoDown) })
      assert.isFalse(out.succeeded)
      assert.include(
        out.notice,
        "an export needs 2 of 3 nodes, or it may miss records; start those that are down: node2, node3"
      )
    }))

  const wrong: ReadonlyArray<readonly [message: string, third: Answer | HttpFailed]> = [
    ["refused the secret", new HttpFailed({ origin: "x", code: "401" })],
    ["reading 127.0.0.1:8083 failed: ECONNREFUSED", FakeHttp.unreachable("x")],
    ["sent a line that is not a cell", FakeHttp.answer(200, body("nonsense"))],
    ["out of order", FakeHttp.answer(200, body(line("b", 1, "x"), line("a", 1, "x")))]
  ]
  it.effect.each(wrong)("says of one node: %s", ([message, third]) =>
    Effect.gen(function*() {
      const out = yield* run(["export", "-"], { http: nodes({ ...three, 3: third }) })
      assert.isFalse(out.succeeded)
      assert.include(out.notice, message)
    }))

  it.effect("says when what answers is no node", () =>
    Effect.gen(function*() {
      const other = yield* run(["export", "-"], { http: FakeHttp.layer(() => FakeHttp.answer(404, "<html>")) })
      assert.include(other.notice, "http://127.0.0.1:8081 is not a Rondo node: it answered 404")
    }))
})
