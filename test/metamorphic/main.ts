/**
 * `npm run test:metamorphic` runs seed after seed until it has run enough operations. It stops at the first failure,
 * and says how to run that again.
 */
import { performance } from "node:perf_hooks"
import { parseArgs } from "node:util"
import * as virtualTime from "../../src/simulation/virtualTime.ts"
import { examine, report } from "./examine.ts"

const { values } = parseArgs({
  options: {
    operations: { type: "string", default: process.env.OPERATIONS ?? "1000000" },
    seed: { type: "string", default: process.env.SEED ?? "1" }
  }
})

const wanted = Number(values.operations)
const first = Number(values.seed)
if (!Number.isInteger(wanted) || !Number.isInteger(first)) {
  process.stderr.write("usage: node test/metamorphic/main.ts [--operations N] [--seed S]\n")
  process.exit(2)
}

const began = performance.now()
let done = 0
for (let seed = first; done < wanted; seed++) {
  const { found, operations } = virtualTime.run(examine(seed))
  done += operations
  if (found !== undefined) {
    process.stdout.write(report(found))
    process.exit(1)
  }
  if ((seed - first) % 50 === 49) process.stderr.write(`${done} operations, seeds ${first} to ${seed}\n`)
}
const seconds = (performance.now() - began) / 1000
process.stdout.write(`${done} operations from seed ${first} on, all as the model: ${seconds.toFixed(1)} seconds\n`)
