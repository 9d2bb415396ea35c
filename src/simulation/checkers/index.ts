/** The promises of the design, each with its checker. Not every request promises linearizability: see its file. */
import type { Checker, Run, Violation } from "../History.ts"
import { availability } from "./availability.ts"
import { clearRefusal } from "./clearRefusal.ts"
import { convergence } from "./convergence.ts"
import { durableAck } from "./durableAck.ts"
import { monotonicRead } from "./monotonicRead.ts"
import { noResurrection } from "./noResurrection.ts"
import { orderedAck } from "./orderedAck.ts"
import { quorumRead } from "./quorumRead.ts"
import { uniqueVersions } from "./uniqueVersions.ts"

export const promises: ReadonlyArray<{ readonly name: string; readonly check: Checker }> = [
  { name: "durable-ack", check: durableAck },
  { name: "ordered-ack", check: orderedAck },
  { name: "quorum-read", check: quorumRead },
  { name: "monotonic-read", check: monotonicRead },
  { name: "no-resurrection", check: noResurrection },
  { name: "convergence", check: convergence },
  { name: "availability", check: availability },
  { name: "clear-refusal", check: clearRefusal },
  { name: "unique-versions", check: uniqueVersions }
]

/** Every broken promise, in the order of `promises`. */
export const checkAll = (run: Run): ReadonlyArray<Violation> => promises.flatMap(({ check }) => check(run))
