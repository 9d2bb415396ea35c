/** Writers and readers that run until they are stopped, and remember what was acknowledged and what failed. */
import { type Cluster, send } from "./Cluster.ts"

export interface Load {
  /** Value by key of every acknowledged write. */
  readonly acknowledged: ReadonlyMap<string, string>
  /** A line for each request that did not succeed. */
  readonly failures: ReadonlyArray<string>
  readonly reads: () => number
  readonly stop: () => Promise<void>
}

/**
 * Each worker writes new keys, one at a time, through the given nodes in turn, and after each write reads an
 * acknowledged key through the next one. Every key is written once, so what it must hold is never in doubt.
 */
export const start = (cluster: Cluster, nodes: ReadonlyArray<number>, workers: number): Load => {
  const acknowledged = new Map<string, string>()
  const failures: Array<string> = []
  let reads = 0
  let isStopping = false

  const attempt = async (what: string, request: () => Promise<string | undefined>) => {
    const problem = await request().catch(String)
    if (problem !== undefined) failures.push(`${what}: ${problem}`)
    return problem === undefined
  }
  const put = (node: number, key: string, value: string) =>
    attempt(`put ${key} through node${node + 1}`, async () => {
      const answer = await send(cluster.keyUrl(node, key), { method: "PUT", body: value })
      const text = await answer.text()
      return answer.status === 201 || answer.status === 204 ? undefined : `${answer.status} ${text}`
    })
  const get = (node: number, key: string, value: string) =>
    attempt(`get ${key} through node${node + 1}`, async () => {
      const answer = await send(cluster.keyUrl(node, key))
      const text = await answer.text()
      reads++
      return answer.status === 200 && text === value ? undefined : `${answer.status} ${text}`
    })

  const work = async (worker: number) => {
    for (let count = 0; !isStopping; count++) {
      const key = `load/${worker}/${count}`
      const value = `value ${count} of worker ${worker} ${"x".repeat(count % 200)}`
      const node = nodes[(worker + count) % nodes.length]!
      if (!await put(node, key, value)) continue
      acknowledged.set(key, value)
      await get(nodes[(worker + count + 1) % nodes.length]!, key, value)
    }
  }
  const running = Array.from({ length: workers }, (_, worker) => work(worker))
  return {
    acknowledged,
    failures,
    reads: () => reads,
    stop: async () => {
      isStopping = true
      await Promise.all(running)
    }
  }
}
