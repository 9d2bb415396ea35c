/** Cells, and requests to replicas that a test answers by hand. */
import { assert } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import type { Cell } from "../../src/domain/cell/Cell.ts"
import { Key } from "../../src/domain/Key.ts"
import { NodeId } from "../../src/domain/NodeId.ts"
import { Incarnation, type Version } from "../../src/domain/Version.ts"
import { PeerFailed } from "../../src/peer/PeerError.ts"

export const [a, b, c, d] = ["a", "b", "c", "d"].map((name) => NodeId.make(name)) as [NodeId, NodeId, NodeId, NodeId]
export const key = Key.make("k")

export const version = (counter: number, nodeId: NodeId = a): Version => ({
  counter,
  nodeId,
  incarnation: Incarnation.make("9f86d081884c")
})

export const cellOf = (counter: number, contents = "v"): Cell => ({
  key,
  version: version(counter),
  value: { bytes: Buffer.from(contents), contentType: "text/plain" }
})

export const cell = (name: string, counter = 1, contents = `${name} ${counter}`): Cell => ({
  ...cellOf(counter, contents),
  key: Key.make(name)
})

export const failedBy = (peer: NodeId, reason: PeerFailed["reason"] = "timeout") =>
  new PeerFailed({ peer, reason, detail: "on purpose" })

export interface Request<A, E> {
  readonly effect: Effect.Effect<A, E>
  readonly state: () => "waiting" | "running" | "interrupted" | "done"
  /** How it ends: at once when it is running, else as soon as it starts. */
  readonly succeed: (answer: A) => void
  readonly fail: (error: E) => void
  readonly die: (defect: unknown) => void
}

export const request = <A, E>(): Request<A, E> => {
  const outcome = Deferred.makeUnsafe<A, E>()
  let state: ReturnType<Request<A, E>["state"]> = "waiting"
  const become = (next: typeof state) =>
    Effect.sync(() => {
      state = next
    })
  return {
    effect: become("running").pipe(
      Effect.andThen(Deferred.await(outcome)),
      Effect.onExit((exit) =>
        become(
          exit._tag === "Failure" && exit.cause.reasons.some(({ _tag }) => _tag === "Interrupt")
            ? "interrupted"
            : "done"
        )
      )
    ),
    state: () => state,
    succeed: (answer) => Deferred.doneUnsafe(outcome, Effect.succeed(answer)),
    fail: (error) => Deferred.doneUnsafe(outcome, Effect.fail(error)),
    die: (defect) => Deferred.doneUnsafe(outcome, Effect.die(defect))
  }
}

/** Lets fibers run until they all wait again. */
export const settle: Effect.Effect<void> = Effect.forEach(Array.from({ length: 20 }), () => Effect.yieldNow, {
  discard: true
})

/** Runs the effect, which must end after this time, and not before. */
export const endingAfter = Effect.fnUntraced(function*<A, E>(millis: number, effect: Effect.Effect<A, E>) {
  const fiber = yield* Effect.forkChild(effect)
  yield* settle
  yield* TestClock.adjust(millis - 1)
  assert.isUndefined(fiber.pollUnsafe(), "it ended too early")
  yield* TestClock.adjust(1)
  return yield* Fiber.join(fiber)
})
