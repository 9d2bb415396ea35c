import { assert, describe, it } from "@effect/vitest"
import * as SeededRandom from "../../../src/domain/SeededRandom.ts"
import {
  checkLinearizability,
  checkRegister,
  linearizability
} from "../../../src/simulation/checkers/linearizability.ts"
import type { Operation } from "../../../src/simulation/History.ts"
import { isLinearizable } from "./bruteForce.ts"
import {
  atomicHistory,
  get,
  notApplied,
  put,
  refusedPut,
  remove,
  run,
  shown,
  unknown,
  unknownPut,
  unknownRemove
} from "./histories.ts"

const stuckAt = (operations: ReadonlyArray<Operation>) => {
  const verdict = checkRegister(operations)
  return typeof verdict === "string" ? verdict : verdict.stuck.operation.id
}

const absent = undefined

describe("a register's history is linearizable", () => {
  it("when nothing happened, or one after another", () => {
    assert.strictEqual(checkRegister([]), "linearizable")
    const history = [get([1, 2]), put("a", [3, 4], 1), get([5, 6], 1, "a"), remove([7, 8], 2), get([9, 10], 2)]
    assert.strictEqual(checkRegister(history), "linearizable")
  })

  it("when concurrent writes can be put in the order that reads tell", () => {
    const history = [put("a", [1, 9], 2), put("b", [2, 8], 1), get([3, 4], 2, "a"), get([10, 11], 1, "b")]
    assert.strictEqual(checkRegister(history), "linearizable")
  })

  it("when a write of unknown outcome takes effect long after its client gave up, or never", () => {
    const late = [unknownPut("a", [1, 2]), put("b", [3, 4], 1), get([5, 6], 1, "b"), get([7, 8], 2, "a")]
    assert.strictEqual(checkRegister(late), "linearizable")
    assert.strictEqual(checkRegister(late.slice(0, 3)), "linearizable")
  })

  it("when deletes of unknown outcome explain absences, each at most once", () => {
    const history = [
      put("a", [1, 2], 1),
      unknownRemove([3, 4]),
      get([5, 6], 2),
      put("b", [7, 8], 3),
      get([9, 10], 4)
    ]
    assert.strictEqual(stuckAt(history), 9)
    assert.strictEqual(checkRegister([...history, unknownRemove([0, 1])]), "linearizable")
    assert.strictEqual(stuckAt([...history, unknownRemove([11, 12])]), 9)
  })

  it("when a read failed that could have seen anything", () => {
    const failed = { ...get([3, 4]), outcome: unknown("ReadQuorumNotReached") }
    assert.strictEqual(checkRegister([put("a", [1, 2], 1), failed]), "linearizable")
  })
})

describe("a register's history is not linearizable", () => {
  it("when a read misses a write that ended before it began", () => {
    const history = [put("a", [1, 2], 1), get([3, 4])]
    assert.strictEqual(stuckAt(history), 3)
    const verdict = checkRegister([put("a", [1, 2], 1), put("b", [3, 4], 2), get([5, 6], 1, "a")])
    if (typeof verdict === "string") return assert.fail(verdict)
    assert.deepStrictEqual([verdict.stuck.after.map(({ id }) => id), verdict.stuck.holding], [[1], "a"])
  })

  it("when two reads see two concurrent writes in different orders", () => {
    const writes = [put("a", [1, 9], 1), put("b", [2, 9], 2)]
    const history = [...writes, get([3, 4], 1, "a"), get([5, 6], 2, "b"), get([7, 8], 1, "a")]
    assert.strictEqual(stuckAt(history), 7)
  })

  it("when a read sees a value before it was written, or one that was refused or never written", () => {
    assert.strictEqual(stuckAt([get([1, 2], 1, "a"), put("a", [3, 4], 1)]), 1)
    assert.strictEqual(stuckAt([refusedPut("a", [1, 2]), get([3, 4], 1, "a")]), 3)
    assert.strictEqual(stuckAt([get([3, 4], 1, "a")]), 3)
  })

  it("when a write of unknown outcome is seen, gone, and seen again", () => {
    const history = [unknownPut("a", [1, 2]), get([3, 4], 1, "a"), put("b", [5, 6], 2), get([7, 8], 1, "a")]
    assert.strictEqual(stuckAt(history), 7)
  })

  it("when an absence follows a write, and the only delete is later", () => {
    assert.strictEqual(stuckAt([put("a", [1, 2], 1), get([3, 4]), remove([5, 6], 2)]), 3)
  })

  it("when an absence follows a write, and the only delete was refused", () => {
    const refused = { ...remove([3, 4], 2), outcome: notApplied("WriteQuorumNotReached") }
    assert.strictEqual(stuckAt([put("a", [1, 2], 1), refused, get([5, 6])]), 5)
  })
})

/** Another value in place of what one read saw. */
const mutate = (random: SeededRandom.SeededRandom, history: ReadonlyArray<Operation>): ReadonlyArray<Operation> => {
  const reads = history.filter(({ kind, outcome }) => kind === "get" && outcome?._tag === "Ok")
  if (reads.length === 0) return history
  const victim = random.pick(reads)
  const value = random.pick([absent, ...history.filter(({ kind }) => kind === "put").map(({ value }) => value)])
  return history.map((operation) =>
    operation === victim ? { ...operation, outcome: { _tag: "Ok", version: absent, value } } : operation
  )
}

/** Reads of a value that an acknowledged write had overwritten before they began, as no register shows it. */
const overwrittenRead = (history: ReadonlyArray<Operation>): ReadonlyArray<Operation> | undefined => {
  const puts = history.filter(({ kind, outcome }) => kind === "put" && outcome?._tag === "Ok")
  for (const read of history.filter(({ kind, outcome }) => kind === "get" && outcome?._tag === "Ok")) {
    const second = puts.findLast(({ ended }) => ended < read.began)
    const first = second && puts.findLast(({ ended }) => ended < second.began)
    if (first === undefined) continue
    return history.map((operation) =>
      operation === read ? { ...read, outcome: { _tag: "Ok", version: absent, value: first.value } } : operation
    )
  }
  return undefined
}

/** Operations that overlap at random and saw anything: about a quarter is linearizable. */
const arbitraryHistory = (random: SeededRandom.SeededRandom, unknownShare: number): ReadonlyArray<Operation> => {
  const operations = 9
  const puts = 1 + random.below(3)
  return Array.from({ length: operations }, (_, id) => {
    const began = random.below(2 * operations) * 2
    const span = [began, began + 1 + 2 * random.below(5)] as const
    if (id < puts) {
      return random.chance(unknownShare) ? unknownPut(`${id}`, span, { id }) : put(`${id}`, span, 1, { id })
    }
    if (random.chance(0.4)) return random.chance(unknownShare) ? unknownRemove(span, { id }) : remove(span, 1, { id })
    return get(span, 1, random.chance(0.5) ? absent : `${random.below(puts)}`, { id })
  })
}

describe("the search", () => {
  it("agrees with trying every order, on 6,000 seeds of arbitrary histories", () => {
    let accepted = 0
    for (let seed = 0; seed < 6_000; seed++) {
      const history = arbitraryHistory(SeededRandom.make(seed >>> 1), seed % 2 === 0 ? 0.3 : 0.5)
      const expected = isLinearizable(history)
      if (expected) accepted++
      assert.strictEqual(checkRegister(history) === "linearizable", expected, `seed ${seed}`)
    }
    assert.isAbove(Math.min(accepted, 6_000 - accepted), 1_000)
  })

  it("agrees with trying every order, on 4,000 seeds of small histories and their mutations", () => {
    const counts = { linearizable: 0, not: 0 }
    for (let seed = 0; seed < 4_000; seed++) {
      const random = SeededRandom.make(seed)
      const history = atomicHistory(random, { clients: 4, operations: 7, unknownShare: 0.3, deleteShare: 0.4 })
      assert.strictEqual(checkRegister(history), "linearizable", `seed ${seed}: an atomic register's own history`)
      const mutated = mutate(random, mutate(random, history))
      const expected = isLinearizable(mutated)
      counts[expected ? "linearizable" : "not"]++
      assert.strictEqual(checkRegister(mutated) === "linearizable", expected, `seed ${seed}: mutated`)
    }
    assert.isAbove(Math.min(counts.linearizable, counts.not), 500, JSON.stringify(counts))
  })

  it("accepts long histories of an atomic register, and none in which an overwritten value is read", () => {
    for (let seed = 0; seed < 60; seed++) {
      const random = SeededRandom.make(seed)
      const clients = 2 + random.below(15)
      const history = atomicHistory(random, { clients, operations: 200, unknownShare: 0.15, deleteShare: 0.3 })
      assert.strictEqual(checkRegister(history), "linearizable", `seed ${seed}`)
      const broken = overwrittenRead(history)
      assert.isDefined(broken, `seed ${seed}`)
      assert.isObject(checkRegister(broken!), `seed ${seed}: a value that was overwritten`)
    }
  })

  it("gives up after its steps, and says so", () => {
    const history = [put("a", [1, 2], 1), get([3, 4], 1, "a")]
    assert.strictEqual(checkRegister(history, 2), "undecided")
    assert.strictEqual(checkRegister(history, 3), "linearizable")
    assert.deepStrictEqual(checkLinearizability(run(history), 2), { violations: [], undecided: ["key"] })
  })
})

describe("linearizability", () => {
  it("holds for each key by itself", () => {
    const other = { key: "other" }
    const history = [put("a", [1, 2], 1), get([3, 4], absent, absent, other), put("b", [5, 6], 1, other)]
    assert.deepStrictEqual(linearizability(run(history)), [])
  })

  it("breaks with the operation that has no place and those before it", () => {
    const violations = linearizability(run([put("a", [1, 2], 1), remove([3, 4], 2), get([5, 6], 1, "a")]))
    assert.deepStrictEqual(shown(violations), [[1, 3, 5]])
    assert.include(violations[0]!.detail, "get key (operation 5, client 1 on node1) saw a and has no place")
  })

  it("looks only at keys on which any two operations share a replica", () => {
    const history = [put("a", [1, 2], 1), get([3, 4])]
    assert.lengthOf(linearizability(run(history)), 1)
    const one = get([5, 6], 1, "a", { quorum: 1 })
    assert.deepStrictEqual(linearizability(run([...history, one])), [])
  })
})
