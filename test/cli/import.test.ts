import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import { type Answer, type HttpFailed, type Request } from "../../src/cli/Http.ts"
import * as FakeHttp from "./FakeHttp.ts"
import { run } from "./run.ts"
import { temporaryDirectory } from "./temporary.ts"

/** A store in the place of a cluster; `trouble` may answer instead. */
const store = (trouble: (request: Request, attempt: number) => Answer | HttpFailed | undefined = () => undefined) => {
  const held = new Map<string, Buffer>()
  const attempts = new Map<string, number>()
  const asked: Array<Request> = []
  const http = FakeHttp.layer((request) => {
    const key = decodeURIComponent(request.path.split("?")[0]!.slice("/kv/".length))
    const attempt = attempts.get(key) ?? 0
    attempts.set(key, attempt + 1)
    const troubled = trouble(request, attempt)
    if (troubled !== undefined) return troubled
    if (request.method === "GET") {
      const value = held.get(key)
      return value === undefined ? FakeHttp.answer(404) : FakeHttp.answer(200, value)
    }
    held.set(key, Buffer.from(request.body!))
    return FakeHttp.answer(201)
  }, asked)
  return { held, asked, http }
}

const lines = (count: number) =>
  Array.from({ length: count }, (_, index) => `{"key":"k${index}","value":"v${index}"}\n`).join("")

/** Lets the command sleep as long as it likes. */
const finish = (parameters: ReadonlyArray<string>, surroundings: Parameters<typeof run>[1]) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(run(parameters, surroundings))
    while (fiber.pollUnsafe() === undefined) {
      yield* TestClock.adjust("1 second")
      // Files and streams answer on the real event loop.
      yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
    }
    return yield* Fiber.join(fiber)
  })

describe("import", () => {
  it.effect("writes every record with its bytes and content type", () =>
    Effect.gen(function*() {
      const { asked, held, http } = store()
      const stdin =
        `{"key":"a/b","value":"text"}\n\n{"key":"bin","value":"/wA=","encoding":"base64","contentType":"image/png"}`
      const out = yield* finish(["import", "-", "--w", "all"], { http, stdin })
      assert.match(out.result, /^imported 2 records in 0:0\d \(.*\/s\); 0 retried, 0 failed\n$/)
      assert.strictEqual(held.get("a/b")!.toString(), "text")
      assert.deepStrictEqual(Array.from(held.get("bin")!), [0xff, 0])
      assert.deepStrictEqual(asked.map(({ headers }) => headers!["content-type"]), [
        "text/plain; charset=utf-8",
        "image/png"
      ])
      assert.isTrue(asked.every(({ path }) => path.endsWith("?w=all")))
    }))

  it.effect.each([["a.ndjson", lines(300)], ["a.ndjson.gz", gzipSync(lines(300))]] as const)(
    "reads %s",
    ([name, bytes]) =>
      Effect.gen(function*() {
        const { held, http } = store()
        const file = join(yield* temporaryDirectory, name)
        writeFileSync(file, bytes)
        const out = yield* finish(["import", file, "--json"], { http })
        assert.include(JSON.parse(out.result), { records: 300, failed: 0, retried: 0 })
        assert.strictEqual(held.size, 300)
      })
  )

  it.effect("spreads the records over the nodes and holds no more than it may", () =>
    Effect.gen(function*() {
      const { asked, http } = store()
      yield* finish(["import", "-", "--url", "n1:1,n2:2,n3:3", "--concurrency", "2"], { http, stdin: lines(30) })
      for (const origin of ["http://n1:1", "http://n2:2", "http://n3:3"]) {
        assert.strictEqual(asked.filter((request) => request.origin === origin).length, 10)
      }
    }))

  it.effect("tries again at the next node what fails for now, and counts it by kind", () =>
    Effect.gen(function*() {
      const troubles = [
        FakeHttp.unreachable("http://n1:1"),
        FakeHttp.answer(503, `{"_tag":"WriteQuorumFailed"}`, { "retry-after": "1" }),
        FakeHttp.answer(429)
      ]
      const { asked, held, http } = store((_, attempt) => troubles[attempt])
      const out = yield* finish(["import", "-", "--url", "n1:1,n2:2", "--json"], { http, stdin: lines(1) })
      assert.isTrue(out.succeeded)
      assert.deepInclude(JSON.parse(out.result), {
        records: 1,
        failed: 0,
        retried: 3,
        errors: { "ECONNREFUSED": 1, "503 WriteQuorumFailed": 1, "429": 1 }
      })
      const [first, second] = ["http://n1:1", "http://n2:2"]
      assert.deepStrictEqual(asked.map(({ origin }) => origin), [first, second, first, second])
      assert.strictEqual(held.size, 1)
    }))

  it.effect("names the lines that are wrong or refused, writes the others, and fails", () =>
    Effect.gen(function*() {
      const { held, http } = store(({ path }) =>
        path === "/kv/big" ? FakeHttp.answer(413, `{"_tag":"ValueTooLarge"}`) : undefined
      )
      const stdin = `{"key":"a","value":"x"}\nnonsense\n{"key":"big","value":"x"}\n{"key":"b","value":"x"}\n`
      const out = yield* finish(["import", "-", "--concurrency", "1"], { http, stdin })
      assert.isFalse(out.succeeded)
      assert.strictEqual(
        out.notice,
        "line 2: not JSON\nline 3: 413 ValueTooLarge\nrondo: 2 records were not written\n"
      )
      assert.include(out.result, "2 failed; errors: 413 ValueTooLarge 1, not JSON 1")
      assert.deepStrictEqual(Array.from(held.keys()), ["a", "b"])
    }))

  it.effect("names only the first of many bad lines", () =>
    Effect.gen(function*() {
      const out = yield* finish(["import", "-"], { http: store().http, stdin: "bad\n".repeat(50) })
      assert.strictEqual(out.notice.match(/^line /gm)!.length, 20)
      assert.include(out.notice, "line 20: not JSON (further lines are only counted)")
      assert.include(out.notice, "50 records were not written")
    }))

  it.effect("stops once nobody has taken any record for the time it was told, however many there are", () =>
    Effect.gen(function*() {
      const { http } = store(({ origin }) => FakeHttp.unreachable(origin))
      const began = yield* Clock.currentTimeMillis
      const out = yield* finish(["import", "-", "--retry-seconds", "5", "--quiet"], { http, stdin: lines(1000) })
      assert.isFalse(out.succeeded)
      assert.include(out.notice, "no record got through to http://127.0.0.1:8081 for 5s (ECONNREFUSED)")
      assert.isBelow((yield* Clock.currentTimeMillis) - began, 10_000)
    }))

  it.effect("reads every record back and tells what is absent or different", () =>
    Effect.gen(function*() {
      const { asked, held, http } = store()
      held.set("k0", Buffer.from("v0")).set("k1", Buffer.from("V1"))
      const out = yield* finish(["import", "-", "--verify", "--r", "one"], { http, stdin: lines(3) })
      assert.isFalse(out.succeeded)
      assert.include(out.result, "verified 1 record")
      assert.include(out.notice, "line 2: different bytes\n")
      assert.include(out.notice, "line 3: absent\n")
      assert.include(out.notice, "2 records differ from the file")
      assert.isTrue(asked.every(({ method, path }) => method === "GET" && path.endsWith("?r=one")))
    }))

  it.effect("tries a read again that a node refuses for now", () =>
    Effect.gen(function*() {
      const { held, http } = store((_, attempt) => attempt === 0 ? FakeHttp.answer(503) : undefined)
      held.set("k0", Buffer.from("v0"))
      assert.isTrue((yield* finish(["import", "-", "--verify"], { http, stdin: lines(1) })).succeeded)
    }))

  it.effect("says when the file is missing or its packing is broken", () =>
    Effect.gen(function*() {
      const { http } = store()
      const file = join(yield* temporaryDirectory, "cut.gz")
      assert.include((yield* finish(["import", file], { http })).notice, "cannot read")
      writeFileSync(file, gzipSync(lines(5000)).subarray(0, 2000))
      const cut = yield* finish(["import", file], { http })
      assert.isFalse(cut.succeeded)
      assert.include(cut.notice, "not whole gzip")
    }))

  it.effect("refuses options that contradict each other", () =>
    Effect.gen(function*() {
      const { http } = store()
      assert.include((yield* run(["import", "-", "--verify", "--w", "1"], { http })).notice, "use --r")
      assert.include((yield* run(["import", "-", "--r", "1"], { http })).notice, "--r is for --verify")
    }))
})
