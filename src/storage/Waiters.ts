/** Callers that wait for the outcome of work in the background, and get it together. */
import { Effect } from "effect"
import type { StorageError } from "../disk/StorageError.ts"

/** Called once, with the failure if there was one. */
export type Waiter = (failure: StorageError | undefined) => void

export class Waiters {
  private waiting: Array<Waiter> = []

  isEmpty(): boolean {
    return this.waiting.length === 0
  }

  add(waiter: Waiter): void {
    this.waiting.push(waiter)
  }

  /** Callers that come later wait for the next outcome. */
  tell(failure?: StorageError): void {
    for (const waiter of this.take()) waiter(failure)
  }

  /** Takes all that wait away. */
  take(): ReadonlyArray<Waiter> {
    const taken = this.waiting
    this.waiting = []
    return taken
  }

  /** Waits for the next outcome. */
  readonly outcome: Effect.Effect<void, StorageError> = Effect.callback((resume) => this.add(waiterOf(resume)))
}

/** The waiter that a fiber becomes. */
export const waiterOf = (resume: (outcome: Effect.Effect<void, StorageError>) => void): Waiter => (failure) =>
  resume(failure === undefined ? Effect.void : Effect.fail(failure))
