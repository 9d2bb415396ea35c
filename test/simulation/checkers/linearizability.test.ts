import { assert, describe, it } from "@effect/vitest"
import * as SeededRandom from "../../../src/domain/SeededRandom.ts"
import {
  checkLinearizability,
  checkRegister,
  linearizability
} from "../../../src/simulation/checkers/linearizability.ts"
import type { Operation } from "../../../src/simulation/History.ts"
import { isLinearizable } from "./bruteForce.ts"
import { get, notApplied, put, remove, run, shown, unknown } from "./histories.ts"

const absent = undefined

describe("a register's history", () => {
  it("is linearizable when concurrent writes can be put in the order that reads tell", () => {
    const history = [put("a", [1, 9], 2), put("b", [2, 8], 1), get([3, 4], 2, "a"), get([10, 11], 1, "b")]
    assert.strictEqual(checkRegister(history), "linearizable")
    assert.strictEqual(checkRegister([]), "linearizable")
  })

  it("is not when a read misses a write that ended before it began: the search says how far it came", () => {
    const verdict = checkRegister([put("a", [1, 2], 1), put("b", [3, 4], 2), get([5, 6], 1, "a")])
    if (typeof verdict === "string") return assert.fail(verdict)
    const { after, holding, operation, urgent } = verdict.stuck
    assert.deepStrictEqual([operation.id, urgent.id, after.map(({ id }) => id), holding], [5, 3, [1], "a"])
  })
})

/** What clients of a real register see: each operation takes effect at one moment between its beginning and its end. */
const atomicHistory = (random: SeededRandom.SeededRandom, operations: number): ReadonlyArray<Operation> => {
  let held: string | undefined
  return Array.from({ length: operations }, (_, id) => {
    const span = [100 * id - random.below(800), 100 * id + 1 + random.below(800)] as const
    if (random.chance(0.5)) return get(span, 1, held, { id })
    const value = random.chance(0.3) ? absent : `${id}`
    const isUnknown = random.chance(0.15)
    if (!isUnknown || random.chance(0.5)) held = value
    const write = value === absent ? remove(span, 1, { id }) : put(value, span, 1, { id })
    return isUnknown ? { ...write, outcome: unknown("ConnectionLost") } : write
  })
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

/**
 * Operations that overlap at random and saw anything, some of them refused or of unknown outcome: about a quarter is
 * linearizable.
 */
const arbitraryHistory = (random: SeededRandom.SeededRandom, unknownShare: number): ReadonlyArray<Operation> => {
  const operations = 9
  const puts = 1 + random.below(3)
  return Array.from({ length: operations }, (_, id) => {
    const began = random.below(2 * operations) * 2
    const span = [began, began + 1 + 2 * random.below(5)] as const
    const operation = id < puts
      ? put(`${id}`, span, 1, { id })
      : random.chance(0.4)
      ? remove(span, 1, { id })
      : get(span, 1, random.chance(0.5) ? absent : `${random.below(puts)}`, { id })
    const share = random.next()
    if (share < unknownShare) return { ...operation, outcome: unknown("ConnectionLost") }
    return share < unknownShare + 0.05 ? { ...operation, outcome: notApplied("WriteQuorumNotReached") } : operation
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

  it("accepts long histories of an atomic register, and none in which an overwritten value is read", () => {
    for (let seed = 0; seed < 60; seed++) {
      const history = atomicHistory(SeededRandom.make(seed), 200)
      assert.strictEqual(checkRegister(history), "linearizable", `seed ${seed}`)
      const broken = overwrittenRead(history)
      assert.isDefined(broken, `seed ${seed}`)
      assert.isObject(checkRegister(broken!), `seed ${seed}: a value that was overwritten`)
    }
  })

  it("visits a configuration once, so concurrent writes do not cost a step for each of their orders", () => {
    const written = Array.from({ length: 8 }, (_, id) => [
      put(`${id}`, [id, 100], 1, { id }),
      get([10 + id, 110], 1, `${id}`)
    ]).flat()
    assert.isObject(checkRegister([...written, get([120, 121])], 10_000))
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
