/**
 * Attempts of a node's operations. One attempt asks several replicas at once, each in a fiber of its own, until a rule
 * of `quorum.ts` decides, and returns its verdict.
 *
 * The fibers belong to the attempt. When it is decided or interrupted, those that still run are interrupted (reads), or
 * become fibers of the node and run on (writes: a cell that one replica took should reach the others, or become a
 * hint). The attempt does not wait for them: a slow disk must not hold up the answer that a hedge brought. So they are
 * no children in Effect's sense, for which a fiber waits at its end.
 *
 * An attempt is one object with methods. With a closure for each step, and a scope's finalizer for each straggler, a
 * PUT allocated 1.2 KB more (4 %).
 */
import { Cause, Effect, Exit, type Fiber, FiberSet, type Scope } from "effect"
import type { NodeId } from "../domain/NodeId.ts"
import type { PeerFailed } from "../peer/PeerError.ts"
import type { ReplicaFailure } from "./CoordinatorError.ts"
import type { Deadline, Deadlines } from "./Deadlines.ts"
import * as quorum from "./quorum.ts"

export interface Attempt<A, V> {
  /** In the order in which to ask them. */
  readonly nodes: ReadonlyArray<NodeId>
  /** How many are asked at once. The others are spares: one is asked for each failure, and one at `hedgeAtMillis`. */
  readonly atOnce: number
  /** Replicas known to be down: not asked. */
  readonly absent: ReadonlyArray<ReplicaFailure>
  readonly ask: (node: NodeId, index: number) => Effect.Effect<A, PeerFailed>
  readonly rule: (known: quorum.Answers<A>) => V | undefined
  /** Both in the time of the deadlines. */
  readonly hedgeAtMillis?: number
  readonly expiresAtMillis: number
  /** When the attempt is over, it interrupts the requests under way or lets them run on. */
  readonly stragglers: "interrupt" | "run-on"
}

export interface Attempts {
  readonly run: <A, V>(attempt: Attempt<A, V>) => Effect.Effect<V>
  /** Work of the node that no answer waits for. */
  readonly inBackground: (work: Effect.Effect<void>) => void
}

/** The closing scope interrupts the requests that run on. */
export const make = Effect.fnUntraced(function*(deadlines: Deadlines): Effect.fn.Return<Attempts, never, Scope.Scope> {
  const fork: Fork = Effect.runForkWith(yield* Effect.context<never>())
  const stragglers = yield* FiberSet.make<unknown, unknown>()
  const node: Node = { deadlines, fork, runOn: (fiber) => FiberSet.addUnsafe(stragglers, fiber) }
  return {
    run: (attempt) =>
      Effect.callback((resume) => {
        const running = new Running(attempt, node, resume)
        running.begin()
        return Effect.sync(() => running.end())
      }),
    inBackground: (work) => node.runOn(fork(work))
  }
})

type Fork = <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>

/** All attempts of a node use the same one. */
interface Node {
  readonly deadlines: Deadlines
  readonly fork: Fork
  readonly runOn: (fiber: Fiber.Fiber<unknown, unknown>) => void
}

/** An attempt under way. */
class Running<A, V> {
  private readonly attempt: Attempt<A, V>
  private readonly node: Node
  private readonly resume: (outcome: Effect.Effect<V>) => void
  private readonly fibers: Array<Fiber.Fiber<A, PeerFailed>> = []
  private known: quorum.Answers<A>
  private deadline: Deadline | undefined
  private isOver = false

  constructor(attempt: Attempt<A, V>, node: Node, resume: (outcome: Effect.Effect<V>) => void) {
    this.attempt = attempt
    this.node = node
    this.resume = resume
    this.known = quorum.begin(attempt.atOnce, attempt.nodes.length - attempt.atOnce, attempt.absent)
  }

  begin(): void {
    const { atOnce, expiresAtMillis, hedgeAtMillis = expiresAtMillis, stragglers } = this.attempt
    for (let index = 0; index < atOnce; index++) {
      // A write goes to every replica, even when the first ones decide before the last is asked.
      if (this.isOver && stragglers === "interrupt") break
      this.ask(index)
    }
    if (this.isOver) return
    const hedges = this.known.spares > 0 && hedgeAtMillis < expiresAtMillis
    if (hedges) this.deadline = this.node.deadlines.at(hedgeAtMillis, () => this.hedge())
    else this.awaitExpiry()
  }

  end(): void {
    this.isOver = true
    this.deadline?.cancel()
    for (const fiber of this.fibers) this.letGo(fiber)
  }

  private ask(index: number): void {
    const replica = this.attempt.nodes[index]!
    const fiber = this.node.fork(this.attempt.ask(replica, index))
    if (this.isOver) this.letGo(fiber)
    else this.fibers.push(fiber)
    fiber.addObserver((exit) => this.isOver ? this.report(replica, exit) : this.receive(replica, exit))
  }

  private receive(replica: NodeId, exit: Exit.Exit<A, PeerFailed>): void {
    if (Exit.isSuccess(exit)) return this.learn(quorum.answered(this.known, replica, exit.value))
    const failure = exit.cause.reasons.find(Cause.isFailReason)
    // A defect is a bug of ours: it must surface, not count as an absent replica.
    if (failure === undefined) return this.decide(Exit.failCause(exit.cause as Cause.Cause<never>))
    this.learn(quorum.failed(this.known, replica, failure.error.reason))
    this.askSpare()
  }

  private report(replica: NodeId, exit: Exit.Exit<A, PeerFailed>): void {
    if (Exit.isSuccess(exit) || !Exit.hasDies(exit)) return
    const text = `a request to ${replica} died of a defect when its attempt was over`
    this.node.fork(Effect.logError(text, exit.cause))
  }

  private askSpare(): void {
    if (this.isOver || this.known.spares === 0) return
    const index = this.attempt.nodes.length - this.known.spares
    this.known = quorum.spareAsked(this.known)
    this.ask(index)
  }

  private hedge(): void {
    this.awaitExpiry()
    this.askSpare()
  }

  private awaitExpiry(): void {
    this.deadline = this.node.deadlines.at(
      this.attempt.expiresAtMillis,
      () => this.learn(quorum.expired(this.known))
    )
  }

  private learn(now: quorum.Answers<A>): void {
    this.known = now
    const verdict = this.attempt.rule(now)
    if (verdict !== undefined) this.decide(Exit.succeed(verdict))
  }

  private decide(outcome: Exit.Exit<V>): void {
    this.end()
    this.resume(outcome)
  }

  private letGo(fiber: Fiber.Fiber<A, PeerFailed>): void {
    if (this.attempt.stragglers === "interrupt") fiber.interruptUnsafe()
    else this.node.runOn(fiber)
  }
}
