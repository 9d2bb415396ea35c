import { assert, describe, it } from "@effect/vitest"
import { createContext, runInContext } from "node:vm"
import { bundleSimulator } from "../../scripts/bundleSimulator.ts"
import { leaves } from "../../scripts/checkDependencies.ts"
import { faultKinds } from "../../src/simulation/Schedule.ts"
import type { Options } from "../../src/simulation/simulate.ts"
import { judge, type Verdict } from "../../src/simulation/verdict.ts"

type Take = (event: { readonly data: Options }) => void

/** The worker in a realm of JavaScript alone, with the few web APIs that it needs. */
const startWorker = async (code: string) => {
  let take: Take | undefined
  const posted: Array<unknown> = []
  const web = {
    TextDecoder,
    TextEncoder,
    addEventListener: (_: "message", given: Take) => take = given,
    postMessage: (message: unknown) => posted.push(message)
  }
  // It awaits WebAssembly at its top, as a module may and a script may not.
  await runInContext(`(async () => {${code}\n})()`, createContext(web))
  assert.deepStrictEqual(posted.splice(0), ["ready"])
  return (options: Options): Verdict => {
    take!({ data: options })
    return posted.pop() as Verdict
  }
}

describe("the simulator in a browser", async () => {
  const { code, sources } = await bundleSimulator()

  it("is bundled without Node, and without any leaf but the natives that it looks for at run time", () => {
    assert.deepStrictEqual(sources.filter((path) => path in leaves), ["domain/bytesNode.ts"])
    assert.includeMembers([...sources], ["Node.ts", "simulation/simulate.ts"])
    assert.notMatch(code, /^\s*(import|export)\b|\bimport\(|\brequire\(/m)
  })

  it("gives the trace that Node gives, where there is no Buffer, process or require", async () => {
    const run = await startWorker(code)
    const options: Options = { seed: 1, nodes: 5, minutes: 0.2, kinds: faultKinds }
    const { broken, traceHash } = run(options)
    assert.lengthOf(broken, 0)
    assert.strictEqual(traceHash, judge(options).traceHash)
  })
})
