/** A body that is refused while it arrives. */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import type { IncomingMessage, ServerResponse } from "node:http"
import { PassThrough } from "node:stream"
import * as requestBody from "../../../src/server/lane/requestBody.ts"

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
