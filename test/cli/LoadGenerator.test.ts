import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { keysOf, type Load, type Outcome, run } from "../../src/cli/LoadGenerator.ts"
import { serve } from "../peer/loopback.ts"

const load = (port: number, overrides?: Partial<Load>): Load => ({
  targets: [{ host: "127.0.0.1", port }],
  connections: 4,
  operation: "put",
  valueBytes: 10,
  keys: keysOf(1, 50),
  seed: 1,
  query: "",
  warmUpMillis: 0,
  durationMillis: undefined,
  ...overrides
})

const outcomeOf = (options: Load) =>
  Effect.callback<Outcome>((resume) => {
    run(options, (outcome) => resume(Effect.succeed(outcome)))
  })

describe("LoadGenerator", () => {
  it.effect("sends each key once with a value of the size asked for", () =>
    Effect.gen(function*() {
      const seen: Array<string> = []
      const { port } = yield* serve((request, response) => {
        let bytes = 0
        request.on("data", (chunk: Buffer) => bytes += chunk.length)
        request.on("end", () => {
          seen.push(`${request.method} ${request.url} ${bytes}`)
          response.writeHead(201, { "content-length": 0 })
          response.end()
        })
      })
      const options = load(port, { query: "?w=1" })
      const outcome = yield* outcomeOf(options)
      assert.deepStrictEqual(seen.toSorted(), options.keys.map((key) => `PUT /kv/${key}?w=1 10`).toSorted())
      assert.strictEqual(outcome.requests, 50)
      assert.deepStrictEqual(outcome.errors, {})
      assert.isAtMost(outcome.p50Millis, outcome.p99Millis)
      assert.isAtMost(outcome.p99Millis, outcome.maxMillis)
    }))

  it.effect("counts failures by status and by the code of a broken connection, and goes on", () =>
    Effect.gen(function*() {
      let count = 0
      const { port } = yield* serve((request, response) => {
        count++
        if (count === 7) return request.socket.destroy()
        response.writeHead(count % 2 === 0 ? 503 : 200)
        return response.end("body")
      })
      const outcome = yield* outcomeOf(load(port, { operation: "get" }))
      assert.strictEqual(count, 50)
      assert.strictEqual(outcome.errors["503"], 25)
      assert.strictEqual(outcome.requests, 24)
      assert.strictEqual(Object.keys(outcome.errors).length, 2)
    }))

  it.effect("counts an answer that is not HTTP as a failure, and goes on", () =>
    Effect.gen(function*() {
      let count = 0
      const { port } = yield* serve((request, response) => {
        if (++count === 7) request.socket.end("hello\r\n\r\n")
        else response.end()
      })
      const outcome = yield* outcomeOf(load(port, { operation: "get" }))
      assert.deepStrictEqual(outcome.errors, { "malformed answer": 1 })
      assert.strictEqual(outcome.requests, 49)
    }))

  it.effect("draws from the seed: equal seeds mix equally", () =>
    Effect.gen(function*() {
      const runs: Array<ReadonlyArray<string>> = []
      for (const seed of [1, 1, 2]) {
        const seen: Array<string> = []
        const { port } = yield* serve((request, response) => {
          seen.push(`${request.method} ${request.url}`)
          request.resume().on("end", () => response.end())
        })
        yield* outcomeOf(load(port, { operation: "mixed", seed, connections: 1 }))
        runs.push(seen)
      }
      assert.deepStrictEqual(runs[0], runs[1])
      assert.notDeepEqual(runs[0], runs[2])
      assert.isTrue(runs[0]!.some((line) => line.startsWith("GET")) && runs[0]!.some((line) => line.startsWith("PUT")))
    }))

  it.effect("stops when it is told to", () =>
    Effect.gen(function*() {
      let stop = () => {}
      const { port } = yield* serve((_, response) => {
        stop()
        response.end()
      })
      const outcome = yield* Effect.callback<Outcome>((resume) => {
        stop = run(load(port, { durationMillis: 600_000 }), (outcome) => resume(Effect.succeed(outcome)))
      })
      assert.isAtMost(outcome.requests, 4)
    }))
})
