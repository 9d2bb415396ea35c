/** Requests to the compactor: to look whether there is something to merge, or to merge everything. */
import { Effect, Latch } from "effect"
import type { StorageError } from "../disk/StorageError.ts"
import { waiterOf, Waiters } from "./Waiters.ts"

export class Compactions {
  /** Callers that asked to have everything merged, and those for whom that is under way. */
  private readonly requests = new Waiters()
  private readonly underWay = new Waiters()
  private readonly wanted = Latch.makeUnsafe(true)

  /** Tables or their damage have changed. */
  wake(): void {
    this.wanted.openUnsafe()
  }

  /** Waits until somebody wakes it. */
  readonly awaitWork: Effect.Effect<void> = Effect.andThen(this.wanted.await, Effect.asVoid(this.wanted.close))

  /** Completes when everything that was there is merged into the last level. */
  readonly request: Effect.Effect<void, StorageError> = Effect.callback((resume) => {
    this.requests.add(waiterOf(resume))
    // It may begin within this call, so it has to know by now.
    this.wake()
  })

  isRequested(): boolean {
    return !this.requests.isEmpty()
  }

  /** Later callers wait for the next time. */
  begin(): void {
    for (const waiter of this.requests.take()) this.underWay.add(waiter)
  }

  complete(): void {
    this.underWay.tell()
  }

  /** The failure of any compaction would stop the one that others wait for, too. */
  refuse(failure: StorageError): void {
    this.underWay.tell(failure)
    this.requests.tell(failure)
  }
}
