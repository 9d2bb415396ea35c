import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import type { ReplicaFailure } from "../../src/coordinator/CoordinatorError.ts"
import * as quorum from "../../src/coordinator/quorum.ts"
import { NodeId } from "../../src/domain/NodeId.ts"
import * as Version from "../../src/domain/Version.ts"
import type { WriteAnswer } from "../../src/peer/PeerClient.ts"
import { a, b, c, version } from "./requests.ts"

const accepted: WriteAnswer = { _tag: "Accepted", replaced: false }
const replaced: WriteAnswer = { _tag: "Accepted", replaced: true }
const recovering: WriteAnswer = { _tag: "Uncounted", reason: "recovering" }
const superseded = (counter: number): WriteAnswer => ({ _tag: "Superseded", newest: version(counter, b) })

/** One replica answers, or fails. */
type Event = WriteAnswer | "fails"

const node = (index: number) => NodeId.make(`n${index}`)

const after = (known: quorum.Answers<WriteAnswer>, event: Event, index: number) =>
  event === "fails" ? quorum.failed(known, node(index), "timeout") : quorum.answered(known, node(index), event)

/** The record after these events of replicas that were all asked at once. */
const recordOf = (events: ReadonlyArray<Event>): quorum.Answers<WriteAnswer> =>
  events.reduce(after, quorum.begin(events.length, 0, []))

/** The verdict, and after how many events it came. */
const play = <V>(rule: (known: quorum.Answers<WriteAnswer>) => V | undefined, events: ReadonlyArray<Event>) => {
  let known: quorum.Answers<WriteAnswer> = quorum.begin(events.length, 0, [])
  for (const [index, event] of events.entries()) {
    known = after(known, event, index)
    const verdict = rule(known)
    if (verdict !== undefined) return { verdict, events: index + 1 }
  }
  return assert.fail("every replica answered or failed, and still nothing is decided")
}

const event: Arbitrary.Arbitrary<Event> = Arbitrary.map(
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 7 }))),
  (kind) => ([accepted, accepted, replaced, recovering, "fails", "fails", superseded(5), superseded(9)] as const)[kind]!
)
const events = Arbitrary.array(event, { minLength: 1, maxLength: 5 })
const wantedOf = (share: number, count: number) => 1 + Math.floor(share * count)
const share = Arbitrary.schema(Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 0.99 })))
const seed = Arbitrary.schema(Schema.Int)

const shuffle = <A>(items: ReadonlyArray<A>, seed: number): ReadonlyArray<A> =>
  items.map((item, index) => ({ item, place: Math.sin(seed + index) }))
    .toSorted((left, right) => left.place - right.place)
    .map(({ item }) => item)

const many = { arbitrary: { runs: 500 } }

describe("quorum", () => {
  it("acknowledges a write when as many replicas took it as are wanted", () => {
    assert.isUndefined(quorum.write(2)(quorum.answered(quorum.begin(3, 0, []), a, accepted)))
    assert.deepStrictEqual(play(quorum.write(2), [accepted, accepted, accepted]), {
      verdict: { _tag: "Acknowledged", acks: 2, replaced: false },
      events: 2
    })
  })

  it("says that a value was replaced when any replica that took the write had one", () => {
    assert.deepInclude(play(quorum.write(2), [replaced, accepted]).verdict, { _tag: "Acknowledged", replaced: true })
  })

  it("supersedes a write as soon as one replica holds something newer, unless enough took it", () => {
    const newest = version(9, b)
    assert.deepStrictEqual(play(quorum.write(2), [accepted, superseded(9), accepted]).verdict, {
      _tag: "Superseded",
      newest,
      by: node(1)
    })
    const both = recordOf([superseded(5), superseded(9), accepted])
    assert.deepStrictEqual(quorum.write(2)(both), { _tag: "Superseded", newest, by: node(1) })
    assert.deepInclude(quorum.write(1)(both), { _tag: "Acknowledged", acks: 1 })
  })

  it("gives a write up when too few replicas are left, and lists why, those known to be down first", () => {
    const down: ReplicaFailure = { node: c, reason: "down" }
    const known: quorum.Answers<WriteAnswer> = quorum.answered(quorum.begin(2, 0, [down]), a, recovering)
    assert.deepStrictEqual(quorum.write(2)(known), {
      _tag: "NotEnough",
      got: 0,
      failures: [down, { node: a, reason: "recovering" }],
      isExpired: false
    })
    assert.isUndefined(quorum.write(1)(known))
    assert.deepStrictEqual(quorum.write(1)(quorum.failed(known, b, "storage")), {
      _tag: "NotEnough",
      got: 0,
      failures: [down, { node: b, reason: "storage" }, { node: a, reason: "recovering" }],
      isExpired: false
    })
  })

  it("counts every answer of a read, in the order in which they came", () => {
    const one: quorum.Answers<string> = quorum.answered(quorum.begin(3, 0, []), c, "z")
    assert.isUndefined(quorum.count(2)(one))
    assert.deepStrictEqual(quorum.count(2)(quorum.answered(one, a, "x")), {
      _tag: "Enough",
      answers: [{ node: c, answer: "z" }, { node: a, answer: "x" }]
    })
  })

  it("does not give up while a spare can make up for a failure", () => {
    const failed: quorum.Answers<string> = quorum.failed(quorum.begin(2, 1, []), a, "timeout")
    assert.isUndefined(quorum.count(2)(failed))
    const asked = quorum.spareAsked(failed)
    assert.isUndefined(quorum.count(2)(asked))
    assert.deepInclude(quorum.count(2)(quorum.failed(asked, c, "storage")), { _tag: "NotEnough", got: 0 })
  })

  it("ends when the time is up, and says so", () => {
    const known: quorum.Answers<WriteAnswer> = quorum.answered(quorum.begin(3, 0, []), a, accepted)
    const notEnough = { _tag: "NotEnough", got: 1, failures: [], isExpired: true }
    assert.deepStrictEqual<unknown>(quorum.write(2)(quorum.expired(known)), notEnough)
    assert.deepStrictEqual<unknown>(quorum.count(2)(quorum.expired(known)), notEnough)
  })

  it.prop("the order in a record changes no verdict", [events, share, seed], ([events, share, seed]) => {
    const wanted = wantedOf(share, events.length)
    const known = recordOf(events)
    const mixed = { ...known, given: shuffle(known.given, seed), failures: shuffle(known.failures, seed) }
    for (const rule of [quorum.write(wanted), quorum.count(wanted)]) {
      assert.strictEqual(rule(mixed)?._tag, rule(known)?._tag)
    }
    const [left, right] = [quorum.write(wanted)(known), quorum.write(wanted)(mixed)]
    if (left?._tag === "Superseded" && right?._tag === "Superseded") assert.deepStrictEqual(left.newest, right.newest)
    else if (left?._tag === "Acknowledged") assert.deepStrictEqual(left, right)
  }, many)

  it.prop("without newer versions, replicas may answer in any order", [events, share, seed], ([all, share, seed]) => {
    const events = all.map((event) => event !== "fails" && event._tag === "Superseded" ? accepted : event)
    const wanted = wantedOf(share, events.length)
    const took = events.filter((event) => event !== "fails" && event._tag === "Accepted").length
    for (const order of [events, shuffle(events, seed)]) {
      assert.strictEqual(play(quorum.write(wanted), order).verdict._tag, took >= wanted ? "Acknowledged" : "NotEnough")
    }
  }, many)

  it.prop("an attempt is decided as soon as it can be, and no sooner", [events, share], ([events, share]) => {
    const wanted = wantedOf(share, events.length)
    const isOpen = (counted: ReadonlyArray<Event>, left: number) =>
      counted.length < wanted && counted.length + left >= wanted
    const [write, count] = [play(quorum.write(wanted), events).events, play(quorum.count(wanted), events).events]
    for (let seen = 1; seen <= events.length; seen++) {
      const answers = events.slice(0, seen).filter((event) => event !== "fails")
      const left = events.length - seen
      const accepted = answers.filter(({ _tag }) => _tag === "Accepted")
      const isSuperseded = answers.some(({ _tag }) => _tag === "Superseded")
      if (seen <= count) assert.strictEqual(isOpen(answers, left), seen < count)
      if (seen <= write) assert.strictEqual(isOpen(accepted, left) && !isSuperseded, seen < write)
    }
  }, many)

  it.prop("a newer version is taken from the highest answer", [events], ([events]) => {
    const verdict = quorum.write(events.length + 1)({ ...recordOf(events), spares: 9 })
    const newest = events.flatMap((event) => event !== "fails" && event._tag === "Superseded" ? [event.newest] : [])
    if (newest.length === 0) return assert.isUndefined(verdict)
    if (verdict?._tag !== "Superseded") return assert.fail("not superseded")
    for (const version of newest) assert.isAtMost(Version.compare(version, verdict.newest), 0)
  }, many)

  it.prop("an attempt whose time is up is decided", [events, share], ([events, share]) => {
    const wanted = wantedOf(share, events.length)
    const known = quorum.expired({ ...recordOf(events), open: 3, spares: 2 })
    assert.isDefined(quorum.write(wanted)(known))
    assert.isDefined(quorum.count(wanted)(known))
  }, many)
})
