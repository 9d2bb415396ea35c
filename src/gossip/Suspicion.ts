/**
 * Failure detection for one member: from silence to a probe, from a failed probe to `suspect`, from longer silence to
 * `down`, and back with any news.
 *
 * Pure: callers pass the time of the local clock.
 * Source: Das, Gupta, Motivala, "SWIM: Scalable Weakly-consistent Infection-style Process Group Membership Protocol"
 * (DSN 2002), sections 3 and 4. It departs from SWIM in that silence of the gossiped heartbeats, not a round of
 * probes, starts a probe, and that suspicion is each node's own and is not gossiped as a state.
 *
 * Invariants
 * - Only a probe that failed makes a member `suspect`, and only a suspect becomes `down`.
 * - A pause of this node is never counted as silence of a member: see `shift` and `probed`.
 */
import { Duration } from "effect"

export type Liveness = "up" | "suspect" | "down"

export interface Opinion {
  readonly liveness: Liveness
  readonly heardAtMillis: number
  /** When the latest probe began. */
  readonly probedAtMillis: number | undefined
  /** Whether that probe is still under way. */
  readonly probing: boolean
}

export interface Timing {
  /** How often opinions are looked at. */
  readonly tickMillis: number
  /** A tick later than this means that this node itself stood still. */
  readonly lagMillis: number
  readonly probeAfterMillis: number
  readonly downAfterMillis: number
  /** A member is probed at most this often. */
  readonly probeEveryMillis: number
  /** How long the member may take before others are asked to try as well. */
  readonly directProbeMillis: number
  /** How long a probe may take with everything. */
  readonly probeMillis: number
}

/** Three seconds and ten at the usual interval of two: with slower gossip, a longer silence means nothing. */
export const timingOf = (gossipInterval: Duration.Duration): Timing => {
  const intervalMillis = Duration.toMillis(gossipInterval)
  return {
    tickMillis: 200,
    lagMillis: 100,
    probeAfterMillis: 1.5 * intervalMillis,
    downAfterMillis: 5 * intervalMillis,
    probeEveryMillis: 1_000,
    directProbeMillis: 400,
    probeMillis: 1_000
  }
}

/** The opinion of a new member, which gets the benefit of the doubt until it has been silent. */
export const initial = (nowMillis: number): Opinion => ({
  liveness: "up",
  heardAtMillis: nowMillis,
  probedAtMillis: undefined,
  probing: false
})

/** News arrived: a newer heartbeat or a message. */
export const heard = (opinion: Opinion, nowMillis: number): Opinion => ({
  ...opinion,
  liveness: "up",
  heardAtMillis: nowMillis
})

/** Whether a probe may begin. A member that is down is met by gossip instead. */
export const mayProbe = (opinion: Opinion, nowMillis: number, { probeEveryMillis }: Timing): boolean =>
  opinion.liveness !== "down" &&
  !opinion.probing &&
  (opinion.probedAtMillis === undefined || nowMillis - opinion.probedAtMillis >= probeEveryMillis)

export const needsProbe = (opinion: Opinion, nowMillis: number, timing: Timing): boolean =>
  nowMillis - opinion.heardAtMillis >= timing.probeAfterMillis && mayProbe(opinion, nowMillis, timing)

export const probing = (opinion: Opinion, nowMillis: number): Opinion => ({
  ...opinion,
  probedAtMillis: nowMillis,
  probing: true
})

/** A probe ended. If it took longer than it may, this node stood still, which says nothing about the member. */
export const probed = (opinion: Opinion, reached: boolean, nowMillis: number, timing: Timing): Opinion => {
  const ended = { ...opinion, probing: false }
  if (reached) return heard(ended, nowMillis)
  const startedAtMillis = opinion.probedAtMillis ?? nowMillis
  const isLate = Math.abs(nowMillis - startedAtMillis) > timing.probeMillis + timing.lagMillis
  const hasNews = opinion.heardAtMillis > startedAtMillis
  return isLate || hasNews || opinion.liveness === "down" ? ended : { ...ended, liveness: "suspect" }
}

/** The opinion after time has passed without news. */
export const aged = (opinion: Opinion, nowMillis: number, { downAfterMillis }: Timing): Opinion =>
  opinion.liveness === "suspect" && nowMillis - opinion.heardAtMillis >= downAfterMillis
    ? { ...opinion, liveness: "down" }
    : opinion

/**
 * How far this node stood still, from when it last looked and should have looked again; 0 within tolerance. Negative
 * when the clock was set back.
 */
export const lag = (lookedAtMillis: number, nowMillis: number, { lagMillis, tickMillis }: Timing): number => {
  const late = nowMillis - lookedAtMillis - tickMillis
  return Math.abs(late) > lagMillis ? late : 0
}

/** Takes time in which this node stood still out of the member's silence. */
export const shift = (opinion: Opinion, byMillis: number, nowMillis: number): Opinion => ({
  ...opinion,
  heardAtMillis: Math.min(opinion.heardAtMillis + byMillis, nowMillis)
})
