/**
 * Where gossip reads this node's Lamport clock, which starts later than gossip and knows nothing of it.
 *
 * The composition root makes one for each node, gives it to `Gossip`, and sets `read` once the clock is there. Until
 * then, and where nobody provides one, it reads 0.
 */
import { Context } from "effect"

export interface CounterReading {
  read: () => number
}

export const CounterSource = Context.Reference<Readonly<CounterReading>>("rondo/gossip/CounterSource", {
  defaultValue: () => ({ read: () => 0 })
})
