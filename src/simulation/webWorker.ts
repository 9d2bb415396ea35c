/**
 * Runs the seeds that it is given in a Web Worker, one message each way a seed, as `worker.ts` does in a Node thread.
 *
 * It says `ready` first: a message that comes while the modules are still loading is lost.
 */
import type { Options } from "./simulate.ts"
import { judge } from "./verdict.ts"

interface WebWorkerScope {
  readonly addEventListener: (type: "message", take: (event: { readonly data: Options }) => void) => void
  readonly postMessage: (message: unknown) => void
}

const scope = globalThis as unknown as WebWorkerScope
scope.addEventListener("message", ({ data }) => scope.postMessage(judge(data)))
scope.postMessage("ready")
