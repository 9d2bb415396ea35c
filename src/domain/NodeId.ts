/**
 * The name that an operator gives a node. Its identity, unlike its address: it must not change while the node
 * keeps its data.
 *
 * Pure.
 */
import { Schema } from "effect"

/** Letters that survive in file names, headers, metrics and URLs unescaped. A pattern for one id, without anchors. */
export const nodeIdPattern = "[A-Za-z0-9][A-Za-z0-9._-]{0,62}"
/** The same in words. */
export const nodeIdShape = "1 to 63 letters, digits, dots, dashes or underscores, the first a letter or digit"

const whole = new RegExp(`^${nodeIdPattern}$`)

export const isNodeId = (text: string): text is NodeId => whole.test(text)

export const NodeId = Schema.String.check(Schema.isPattern(whole, { message: `a node id has ${nodeIdShape}` }))
  .pipe(Schema.brand("NodeId"))
export type NodeId = typeof NodeId.Type
