import { assert } from "@effect/vitest"
import { inVirtualTime } from "../inVirtualTime.ts"
import { examine, report } from "./examine.ts"

/** More run with `npm run test:metamorphic`. */
const operationsMin = 60_000

inVirtualTime("one sequence gives the model's answers under all settings, despite restarts and crashes", function*() {
  let done = 0
  for (let seed = 1; done < operationsMin; seed++) {
    const { found, operations } = yield* examine(seed)
    if (found !== undefined) assert.fail(report(found))
    done += operations
  }
})
