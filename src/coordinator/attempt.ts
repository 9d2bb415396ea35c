/**
 * One attempt of an operation: asks several replicas at once, each in a fiber of its own, until a rule of `quorum.ts`
 * decides, and returns its verdict.
 *
 * The fibers belong to the attempt. When it is decided or interrupted, those that still run are interrupted (reads), or
 * become fibers of a scope and run on (writes: a cell that one replica took should reach the others, or become a hint).
 * The attempt does not wait for them: a slow disk must not hold up the answer that a hedge brought. So they are no
 * children in Effect's sense, for which a fiber waits at its end.
 */
import { Cause, type Context, Effect, Exit, Fiber, type Scope } from "effect"
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
  readonly deadlines: Deadlines
  /** Both in the time of `deadlines`. */
  readonly hedgeAtMillis?: number
  readonly expiresAtMillis: number
  readonly stragglers: "interrupt" | Scope.Scope
}

export const run = <A, V>(options: Attempt<A, V>): Effect.Effect<V> =>
  Effect.contextWith((context: Context.Context<never>) => {
    const fork = Effect.runForkWith(context)
    return Effect.callback<V>((resume) => {
      const { absent, atOnce, deadlines, expiresAtMillis, hedgeAtMillis = expiresAtMillis, nodes, stragglers } = options
      const fibers: Array<Fiber.Fiber<A, PeerFailed>> = []
      let known: quorum.Answers<A> = quorum.begin(atOnce, nodes.length - atOnce, absent)
      let deadline: Deadline | undefined
      let isOver = false

      const ask = (index: number) => {
        const node = nodes[index]!
        const fiber = fork(options.ask(node, index))
        if (isOver) letGo(fiber)
        else fibers.push(fiber)
        fiber.addObserver((exit) => {
          if (isOver) return report(node, exit)
          if (Exit.isSuccess(exit)) return learn(quorum.answered(known, node, exit.value))
          const failure = exit.cause.reasons.find(Cause.isFailReason)
          // A defect is a bug of ours: it must surface, not count as an absent replica.
          if (failure === undefined) return decide(Exit.failCause(exit.cause as Cause.Cause<never>))
          learn(quorum.failed(known, node, failure.error.reason))
          askSpare()
        })
      }

      const report = (node: NodeId, exit: Exit.Exit<A, PeerFailed>) => {
        if (Exit.isSuccess(exit) || !Exit.hasDies(exit)) return
        fork(Effect.logError(`a request to ${node} died of a defect when its attempt was over`, exit.cause))
      }

      const askSpare = () => {
        if (isOver || known.spares === 0) return
        const index = nodes.length - known.spares
        known = quorum.spareAsked(known)
        ask(index)
      }

      const learn = (now: quorum.Answers<A>) => {
        known = now
        const verdict = options.rule(known)
        if (verdict !== undefined) decide(Exit.succeed(verdict))
      }

      const decide = (outcome: Exit.Exit<V>) => {
        end()
        resume(outcome)
      }

      const end = () => {
        isOver = true
        deadline?.cancel()
        fibers.forEach(letGo)
      }

      const letGo = (fiber: Fiber.Fiber<A, PeerFailed>) => {
        if (stragglers === "interrupt") fiber.interruptUnsafe()
        else Fiber.runIn(fiber, stragglers)
      }

      const expire = () => learn(quorum.expired(known))

      const hedge = () => {
        deadline = deadlines.at(expiresAtMillis, expire)
        askSpare()
      }

      for (let index = 0; index < atOnce; index++) {
        // A write goes to every replica, even when the first ones decide before the last is asked.
        if (isOver && stragglers === "interrupt") break
        ask(index)
      }
      if (!isOver) {
        deadline = known.spares > 0 && hedgeAtMillis < expiresAtMillis
          ? deadlines.at(hedgeAtMillis, hedge)
          : deadlines.at(expiresAtMillis, expire)
      }
      return Effect.sync(end)
    })
  })
