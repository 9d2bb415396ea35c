/** Requests of the writer, which fills memtables, to the flusher, which writes them to tables, and their outcome. */
import { Effect, Latch } from "effect"
import type { StorageError } from "../disk/StorageError.ts"
import { Waiters } from "./Waiters.ts"

export class Flushes {
  /** Told of the next attempt, whether it succeeds or not. */
  readonly waiters = new Waiters()
  private readonly wanted = Latch.makeUnsafe(false)
  private latestFailure: StorageError | undefined

  /** Why the latest attempt failed; it is tried again. */
  get failure(): StorageError | undefined {
    return this.latestFailure
  }

  /** There is a memtable to flush. */
  request(): void {
    this.wanted.openUnsafe()
  }

  readonly awaitRequest: Effect.Effect<void> = Effect.andThen(this.wanted.await, Effect.asVoid(this.wanted.close))

  end(failure: StorageError | undefined): void {
    this.latestFailure = failure
    this.waiters.tell(failure)
  }
}
