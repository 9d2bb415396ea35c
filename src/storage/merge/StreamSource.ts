/**
 * A stream in key order as one source of a merge. It holds one chunk of the stream.
 *
 * Invariant
 * - It fails rather than give out a key that is not above the one before: a merge would miss cells without knowing.
 */
import { Effect, Pull, type Scope, Stream } from "effect"
import { compare } from "../../domain/Key.ts"
import type { Merger, Source } from "./Merger.ts"

interface Keyed {
  readonly key: string
}

export class StreamSource<A extends Keyed, E> implements Source {
  private chunk: ReadonlyArray<A> = []
  private index = 0
  private isEnded = false
  /** Must be run, by the owner, whenever `mustLoad` says so. */
  readonly load: Effect.Effect<void, E>

  constructor(pull: Pull.Pull<ReadonlyArray<A>, E>, outOfOrder: Effect.Effect<never, E>) {
    const next = Pull.catchDone(pull, () => Effect.succeed([]))
    this.load = Effect.flatMap(next, (chunk) => this.take(chunk) ? Effect.void : outOfOrder)
  }

  isOut(): boolean {
    return this.index === this.chunk.length
  }
  mustLoad(): boolean {
    return this.isOut() && !this.isEnded
  }
  /** `undefined` when it is out. */
  head(): A | undefined {
    return this.chunk[this.index]
  }
  advance(): void {
    this.index++
  }

  /** Returns whether the chunk is in order. A stream has no empty chunks: that is its end. */
  private take(chunk: ReadonlyArray<A>): boolean {
    let before = this.chunk.at(-1)
    for (const element of chunk) {
      if (before !== undefined && compare(before.key, element.key) >= 0) return false
      before = element
    }
    this.isEnded = chunk.length === 0
    this.chunk = chunk
    this.index = 0
    return true
  }
}

/** The stream runs in the scope. Disorder in one of this node's own is a defect. */
export const make = <A extends Keyed, E, R, E2 = never>(
  stream: Stream.Stream<A, E, R>,
  outOfOrder: Effect.Effect<never, E2> = Effect.die("keys are out of order")
): Effect.Effect<StreamSource<A, E | E2>, never, R | Scope.Scope> =>
  Effect.map(Stream.toPull(stream), (pull) => new StreamSource<A, E | E2>(pull, outOfOrder))

/** Loads the sources that the merge waits for. */
export const loadWaiting = <A extends Keyed, E>(merger: Merger<StreamSource<A, E>>): Effect.Effect<void, E> =>
  Effect.suspend(() =>
    Effect.map(
      Effect.forEach(merger.waiting, ({ load }) => load, { concurrency: "unbounded", discard: true }),
      () => merger.resume()
    )
  )
