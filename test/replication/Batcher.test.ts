import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Deferred, Effect, Exit, Fiber, References, Schema } from "effect"
import { TestClock } from "effect/testing"
import { NodeId } from "../../src/domain/NodeId.ts"
import { PeerFailed } from "../../src/peer/PeerError.ts"
import * as Batcher from "../../src/replication/Batcher.ts"
import { settle } from "../coordinator/requests.ts"

const failure = (reason: PeerFailed["reason"]) =>
  new PeerFailed({ peer: NodeId.make("b"), reason, detail: "on purpose" })

/** Bounds that no test meets by accident. */
const wide = {
  bytesOf: (request: string) => request.length,
  batchRequestsMax: 1000,
  batchBytesMax: 1000,
  queueMax: 1000,
  queueBytesMax: 100_000,
  failsAll: ({ reason }: PeerFailed) => reason === "timeout",
  overloaded: () => failure("overloaded"),
  batchSent: () => {}
}

/** A peer that keeps each batch until the test answers it; to `x` it answers `re: x`. */
const withPeer = Effect.fnUntraced(function*(options?: Partial<typeof wide>) {
  const sent: Array<{ readonly batch: ReadonlyArray<string>; readonly done: Deferred.Deferred<void, PeerFailed> }> = []
  const ask = yield* Batcher.make<string, string>({
    send: (batch) => {
      const done = Deferred.makeUnsafe<void, PeerFailed>()
      sent.push({ batch, done })
      return Effect.map(Deferred.await(done), () => batch.map((request) => `re: ${request}`))
    },
    ...wide,
    ...options
  })
  const submit = (request: string) => Effect.forkChild(ask(request))
  return {
    submit: Effect.fnUntraced(function*(...requests: ReadonlyArray<string>) {
      const fibers = yield* Effect.forEach(requests, submit)
      yield* settle
      return fibers
    }),
    batches: () => sent.map(({ batch }) => batch),
    /** Lets the latest batch end. */
    answer: (exit: Exit.Exit<void, PeerFailed> = Exit.void) =>
      Effect.andThen(Deferred.done(sent.at(-1)!.done, exit), settle)
  }
})

describe("Batcher", () => {
  it.effect("sends a lone request at once", () =>
    Effect.gen(function*() {
      const { answer, batches, submit } = yield* withPeer()
      const [fiber] = yield* submit("a")
      assert.deepStrictEqual(batches(), [["a"]])
      yield* answer()
      assert.strictEqual(yield* Fiber.join(fiber!), "re: a")
    }))

  it.effect("sends requests together that arrive while one is under way, and never two batches at once", () =>
    Effect.gen(function*() {
      const { answer, batches, submit } = yield* withPeer()
      const first = yield* submit("a")
      const second = yield* submit("b")
      const third = yield* submit("c", "d")
      assert.deepStrictEqual(batches(), [["a"]])
      yield* answer()
      assert.deepStrictEqual(batches(), [["a"], ["b", "c", "d"]])
      assert.strictEqual(yield* Fiber.join(first[0]!), "re: a")
      assert.isUndefined(second[0]!.pollUnsafe())
      yield* answer()
      assert.deepStrictEqual(yield* Fiber.joinAll([...second, ...third]), ["re: b", "re: c", "re: d"])
      assert.strictEqual(batches().length, 2)
    }))

  it.effect.each<readonly [what: string, options: Partial<typeof wide>, batches: ReadonlyArray<ReadonlyArray<string>>]>(
    [
      ["requests", { batchRequestsMax: 2 }, [["bb", "cc"], ["d", "eeeeee"], ["f"]]],
      ["bytes, unless one request is larger,", { batchBytesMax: 4 }, [["bb", "cc"], ["d"], ["eeeeee"], ["f"]]]
    ]
  )("puts no more %s in a batch than allowed, in order of arrival", ([, options, expected]) =>
    Effect.gen(function*() {
      const { answer, batches, submit } = yield* withPeer(options)
      yield* submit("a")
      yield* submit("bb", "cc", "d", "eeeeee", "f")
      for (const _ of expected) yield* answer()
      assert.deepStrictEqual(batches().slice(1), expected)
    }))

  it.effect.each<[string, Partial<typeof wide>]>([
    ["requests", { queueMax: 2 }],
    ["bytes", { queueBytesMax: 2 }]
  ])(
    "refuses at once more %s than the queue can hold, and takes more when the queue has moved on",
    ([, options]) =>
      Effect.gen(function*() {
        const { answer, submit } = yield* withPeer(options)
        yield* submit("a")
        const [b, c, d] = yield* submit("b", "c", "d")
        assert.strictEqual((yield* Effect.flip(Fiber.join(d!))).reason, "overloaded")
        yield* answer()
        const [e] = yield* submit("e")
        yield* answer()
        assert.deepStrictEqual(yield* Fiber.joinAll([b!, c!]), ["re: b", "re: c"])
        yield* answer()
        assert.strictEqual(yield* Fiber.join(e!), "re: e")
      })
  )

  it.effect.each<[string, Partial<typeof wide>]>([
    ["request", { queueMax: 1 }],
    ["byte", { queueBytesMax: 1 }]
  ])("has room again for a %s whose caller left", ([, options]) =>
    Effect.gen(function*() {
      const { answer, batches, submit } = yield* withPeer(options)
      yield* submit("a")
      yield* Fiber.interruptAll(yield* submit("b"))
      const [c] = yield* submit("c")
      yield* answer()
      yield* answer()
      assert.strictEqual(yield* Fiber.join(c!), "re: c")
      assert.deepStrictEqual(batches(), [["a"], ["c"]])
    }))

  it.effect("leaves out callers that were interrupted before the batch left", () =>
    Effect.gen(function*() {
      const { answer, batches, submit } = yield* withPeer()
      yield* submit("a")
      const [b, c] = yield* submit("b", "c")
      yield* Fiber.interrupt(b!)
      yield* answer()
      assert.deepStrictEqual(batches(), [["a"], ["c"]])
      yield* answer()
      assert.strictEqual(yield* Fiber.join(c!), "re: c")
      yield* submit("d")
      yield* Fiber.interruptAll(yield* submit("e", "f"))
      yield* answer()
      assert.deepStrictEqual(batches().slice(2), [["d"]], "nothing goes out for nobody")
      yield* submit("g")
      assert.deepStrictEqual(batches().slice(2), [["d"], ["g"]])
    }))

  it.effect("drops the answer of a caller that was interrupted after the batch left, and no other", () =>
    Effect.gen(function*() {
      const { answer, submit } = yield* withPeer()
      yield* submit("a")
      const [b, c] = yield* submit("b", "c")
      yield* answer()
      yield* Fiber.interrupt(b!)
      yield* answer()
      assert.strictEqual(yield* Fiber.join(c!), "re: c")
    }))

  it.effect.each([Exit.fail(failure("unreachable")), Exit.die("a bug")])(
    "fails everyone in a failed batch alike, and nobody in the next (%#)",
    (exit) =>
      Effect.gen(function*() {
        const { answer, submit } = yield* withPeer()
        yield* submit("a")
        const failing = yield* submit("b", "c")
        yield* answer()
        const next = yield* submit("d")
        yield* answer(exit)
        for (const fiber of failing) assert.deepStrictEqual<unknown>(yield* Fiber.await(fiber), exit)
        yield* answer()
        assert.strictEqual(yield* Fiber.join(next[0]!), "re: d")
      })
  )

  it.effect("answers the others of a batch when an observer of one of them throws, and sends the next", () =>
    Effect.gen(function*() {
      const { answer, submit } = yield* withPeer()
      const [first, second] = yield* submit("a", "b")
      first!.addObserver(() => {
        throw new Error("a bug")
      })
      yield* answer()
      assert.strictEqual(yield* Fiber.join(second!), "re: b")
      yield* TestClock.adjust("1 second")
      const [next] = yield* submit("c")
      yield* answer()
      assert.strictEqual(yield* Fiber.join(next!), "re: c")
    }))

  it.effect("fails those who wait behind a batch that timed out with it, and nobody for a refusal", () =>
    Effect.gen(function*() {
      const { answer, batches, submit } = yield* withPeer()
      const [first] = yield* submit("a")
      const [second] = yield* submit("b")
      yield* answer(Exit.fail(failure("refused")))
      assert.isDefined(first!.pollUnsafe())
      assert.isUndefined(second!.pollUnsafe())
      const [third] = yield* submit("c")
      yield* answer(Exit.fail(failure("timeout")))
      assert.strictEqual((yield* Effect.flip(Fiber.join(second!))).reason, "timeout")
      assert.strictEqual((yield* Effect.flip(Fiber.join(third!))).reason, "timeout")
      assert.deepStrictEqual(batches(), [["a"], ["b"]])
    }))

  /** Below three operations a turn, Effect itself makes no progress. */
  it.effect.prop("forgets nobody, wherever fibers take turns and requests come together", {
    turn: Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 3, maximum: 16 }))),
    clients: Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 5 }))),
    batch: Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 3 })))
  }, ({ batch, clients, turn }) =>
    Effect.gen(function*() {
      const ask = yield* Batcher.make<string, string>({
        ...wide,
        send: (batch) => Effect.succeed(batch.map((request) => `re: ${request}`)),
        batchRequestsMax: batch
      })
      const client = (name: number) =>
        Effect.forEach(Array.from({ length: 20 }, (_, index) => `${name} ${index}`), (request) =>
          Effect.map(ask(request), (answer) => assert.strictEqual(answer, `re: ${request}`)))
      const names = Array.from({ length: clients }, (_, name) =>
        name)
      yield* Effect.forEach(names, client, { concurrency: "unbounded" })
    }).pipe(Effect.scoped, Effect.provideService(References.MaxOpsBeforeYield, turn)))

  it.effect("ends with its scope", () =>
    Effect.gen(function*() {
      const { batches, submit } = yield* Effect.scoped(withPeer())
      yield* submit("a")
      assert.deepStrictEqual(batches(), [])
    }))
})
