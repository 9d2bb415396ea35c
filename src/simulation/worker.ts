/** Runs the seeds that it is given, one message each way a seed. The loop of a run leaves no room for anything else. */
import { parentPort } from "node:worker_threads"
import type { Options } from "./simulate.ts"
import { judge } from "./verdict.ts"

parentPort!.on("message", (options: Options) => parentPort!.postMessage(judge(options)))
