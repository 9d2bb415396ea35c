/**
 * The name that an operator gives a node. Its identity, unlike its address: it must not change while the node
 * keeps its data.
 *
 * Pure.
 */
import { Schema } from "effect"

/** Letters that survive in file names, headers, metrics and URLs unescaped. */
export const NodeId = Schema.String.check(
  Schema.isPattern(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, {
    message: "a node id has 1 to 63 letters, digits, dots, dashes or underscores and starts with a letter or digit"
  })
).pipe(Schema.brand("NodeId"))
export type NodeId = typeof NodeId.Type
