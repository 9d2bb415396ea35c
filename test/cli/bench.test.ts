import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { render } from "../../src/cli/bench.ts"
import { serve } from "../peer/loopback.ts"
import * as FakeHttp from "./FakeHttp.ts"
import { run } from "./run.ts"

const http = FakeHttp.layer(() => FakeHttp.answer(404))
const outcome = {
  requests: 24_690,
  seconds: 2,
  requestsPerSecond: 12_345,
  p50Millis: 2.345,
  p99Millis: 12.34,
  maxMillis: 50,
  errors: {}
}
const load = {
  targets: [],
  connections: 32,
  operation: "put",
  valueBytes: 100,
  keys: [],
  seed: 1,
  query: "",
  warmUpMillis: 0,
  durationMillis: 2000
} as const

describe("bench", () => {
  it("shows rate, latencies and errors by kind", () => {
    assert.strictEqual(
      render(load, outcome),
      "put, values of 100 bytes, 32 connections, 2.0 s\n" +
        "  12,345 requests/s (24,690 in all)\n" +
        "  p50 2.35 ms   p99 12.3 ms   max 50.0 ms\n" +
        "  no errors"
    )
    assert.include(
      render(load, { ...outcome, errors: { "503": 1200, ECONNRESET: 2 } }),
      "errors: 503 1,200, ECONNRESET 2"
    )
  })

  it.effect("writes the keys before it reads them, and gives up when that fails", () =>
    Effect.gen(function*() {
      const methods: Array<string> = []
      const { port } = yield* serve((request, response) => {
        methods.push(request.method!)
        response.writeHead(503)
        request.resume().on("end", () => response.end())
      })
      const out = yield* run(
        ["bench", "--op", "get", "--keys", "5", "--connections", "2", "--url", `127.0.0.1:${port}`],
        { http }
      )
      assert.isFalse(out.succeeded)
      assert.include(out.notice, `could not write the keys to read: {"503":5}`)
      assert.deepStrictEqual(methods, ["PUT", "PUT", "PUT", "PUT", "PUT"])
    }))
})
