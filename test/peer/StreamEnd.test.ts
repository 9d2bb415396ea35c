import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema, Stream } from "effect"
import * as StreamEnd from "../../src/peer/StreamEnd.ts"

const received = <E>(lines: Stream.Stream<string, E>) =>
  Stream.runCollect(StreamEnd.require(() => "cut" as const)(lines))

const lines = Arbitrary.array(Arbitrary.schema(Schema.Literals(["", "a", "{}", `{"end":false}`])), { maxLength: 5 })

describe("StreamEnd", () => {
  it.effect.prop("a whole stream arrives without its end", [lines], ([lines]) =>
    Effect.gen(function*() {
      const whole = StreamEnd.append(Stream.fromIterable(lines))
      for (const time of ["first", "second"]) assert.deepStrictEqual(yield* received(whole), lines, time)
    }))

  it.effect.prop(
    "a stream that was cut anywhere fails, after what arrived",
    [lines],
    ([lines]) =>
      Effect.gen(function*() {
        const seen: Array<string> = []
        const failure = yield* Effect.flip(received(Stream.fromIterable(lines)))
        assert.strictEqual(failure, "cut")
        const tapped = StreamEnd.require(() => "cut" as const)(Stream.fromIterable(lines)).pipe(
          Stream.runForEach((line) => Effect.sync(() => seen.push(line)))
        )
        yield* Effect.flip(tapped)
        assert.deepStrictEqual(seen, lines)
      })
  )

  it.effect("nothing arrives after the end, nor is it asked for", () =>
    Effect.gen(function*() {
      const after = Stream.fromEffect(Effect.die("read on after the end"))
      const whole = Stream.concat(Stream.make("a", StreamEnd.line), after)
      assert.deepStrictEqual(yield* received(whole), ["a"])
      assert.deepStrictEqual(yield* received(Stream.make("a", StreamEnd.line, "b", StreamEnd.line)), ["a"])
    }))

  it.effect("a failure of the stream is its own, not a cut", () =>
    Effect.gen(function*() {
      const failing = Stream.concat(Stream.make("a"), Stream.fail("disk" as const))
      assert.strictEqual(yield* Effect.flip(received(failing)), "disk")
      assert.strictEqual(yield* Effect.flip(received(StreamEnd.append(failing))), "disk")
    }))
})
