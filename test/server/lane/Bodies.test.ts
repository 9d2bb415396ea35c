/** How many bodies may arrive together, at what pace, and one that is refused while it arrives. */
import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import type { IncomingMessage, ServerResponse } from "node:http"
import { PassThrough } from "node:stream"
import { Bodies, bytesTogetherMax } from "../../../src/server/lane/Bodies.ts"
import * as requestBody from "../../../src/server/lane/requestBody.ts"
import { configLayer } from "../fakes.ts"

const kibibytes64 = 64 * 1024

it.effect("bodies are bounded in number, and each that ends makes room", () =>
  Effect.gen(function*() {
    const bodies = yield* Bodies
    const first = bodies.begin(() => {})!
    assert.isDefined(bodies.begin(() => {}))
    assert.isUndefined(bodies.begin(() => {}))
    bodies.end(first)
    assert.isDefined(bodies.begin(() => {}))
  }).pipe(Effect.provide(Layer.provide(Bodies.layer, configLayer({ requestsInFlightMax: 2 })))))

it.effect("bodies are bounded in bytes together, however often one ends", () =>
  Effect.gen(function*() {
    const bodies = yield* Bodies
    const first = bodies.begin(() => {})!
    const second = bodies.begin(() => {})!
    assert.isTrue(bodies.add(first, bytesTogetherMax - 1))
    assert.isFalse(bodies.add(second, 2))
    assert.isTrue(bodies.add(second, 1))
    bodies.end(first)
    bodies.end(first)
    assert.isFalse(bodies.add(second, bytesTogetherMax))
    assert.isTrue(bodies.add(second, bytesTogetherMax - 1))
  }).pipe(Effect.provide(Layer.provide(Bodies.layer, configLayer()))))

it.effect("a body has ten seconds, and one more for each 64 KiB that has arrived", () =>
  Effect.gen(function*() {
    const bodies = yield* Bodies
    const late: Array<string> = []
    const begin = (name: string) => {
      const body = bodies.begin(() => {
        late.push(name)
        bodies.end(body)
      })!
      return body
    }
    begin("idle")
    const steady = begin("steady")
    assert.isTrue(bodies.add(steady, 3 * kibibytes64))
    yield* TestClock.adjust("9 seconds")
    assert.isEmpty(late)
    yield* TestClock.adjust("1 second")
    assert.deepStrictEqual(late, ["idle"])
    yield* TestClock.adjust("2 seconds")
    assert.deepStrictEqual(late, ["idle"])
    yield* TestClock.adjust("1 second")
    assert.deepStrictEqual(late, ["idle", "steady"])
  }).pipe(Effect.provide(Layer.provide(Bodies.layer, configLayer()))))

it.effect("a body for which there is no room together with others is refused and ends once", () =>
  Effect.gen(function*() {
    let ended = 0
    const bodies = {
      begin: (tooSlow: () => void) => ({ beganAtMillis: 0, bytes: 0, tooSlow }),
      add: () => false,
      end: () => {
        ended++
      }
    }
    const request = Object.assign(new PassThrough(), { headers: { "content-length": "3" } })
    request.end("abc")
    const body = yield* requestBody.receive(
      request as unknown as IncomingMessage,
      {} as unknown as ServerResponse,
      10,
      bodies
    )
    assert.strictEqual(body, "too-many")
    assert.strictEqual(ended, 1)
  }))
