import { assert, describe, it } from "@effect/vitest"
import { clearRefusal } from "../../../src/simulation/checkers/clearRefusal.ts"
import { get, notApplied, put, run, shown, unknown } from "./histories.ts"

describe("clear-refusal", () => {
  it("holds for answers, for known errors, and for operations that are still open", () => {
    const failures = [
      notApplied("WriteQuorumNotReached"),
      unknown("WriteQuorumNotReached"),
      notApplied("ReadQuorumNotReached"),
      notApplied("Overloaded"),
      notApplied("ConnectionRefused"),
      unknown("ConnectionLost"),
      unknown("ClientGone"),
      unknown("ClientTimeout")
    ]
    const history = failures.map((outcome, index) => ({ ...get([index, index + 1]), outcome }))
    assert.deepStrictEqual(
      clearRefusal(run([...history, put("a", [1, 2], 1), { ...get([1, 2]), outcome: undefined }])),
      []
    )
  })

  it("breaks on a defect, and says which", () => {
    const violations = clearRefusal(run([{ ...get([1, 2]), outcome: { _tag: "Defect", detail: "TypeError: no" } }]))
    assert.deepStrictEqual(shown(violations), [[1]])
    assert.include(violations[0]!.detail, "failed with a defect: TypeError: no")
  })

  it("breaks on an error that no client knows, whatever its outcome", () => {
    const history = [
      { ...get([1, 2]), outcome: notApplied("StorageFailed") },
      { ...get([3, 4]), outcome: unknown("TimeoutError") }
    ]
    assert.deepStrictEqual(shown(clearRefusal(run(history))), [[1], [3]])
  })
})
