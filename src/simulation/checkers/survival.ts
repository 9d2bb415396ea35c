/**
 * Which operations' copies outlive the run. W replicas hold an acknowledged write, R replicas a version that was read;
 * faults that destroy the data of as many nodes may take all of these copies, and then nothing is promised of them.
 */
import type { Operation, Run } from "../History.ts"

/** Kinds of disturbances that destroy synced data for good. */
export const destructiveKinds: ReadonlySet<string> = new Set(["lost-disk", "bit-rot"])

/** Whether, after `operation` began, data was destroyed on fewer nodes than it has copies. */
export const survivors = (run: Run): (operation: Operation) => boolean => {
  const destructions = run.disturbances.filter(({ kind }) => destructiveKinds.has(kind))
  if (destructions.length === 0) return () => true
  return ({ beganMillis, quorum }) => {
    const nodes = new Set<string>()
    for (const { nodes: destroyed, toMillis } of destructions) {
      if (toMillis >= beganMillis) { for (const node of destroyed) nodes.add(node) }
    }
    return nodes.size < quorum
  }
}
