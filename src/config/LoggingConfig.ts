/** Settings of the log of `rondo serve`. */
import * as Kind from "./Kind.ts"
import { readAll, setting } from "./Setting.ts"

export const declared = {
  level: setting(
    "LOG_LEVEL",
    "lowest level that is logged: all, trace, debug, info, warn, error or none",
    Kind.oneOf(["all", "trace", "debug", "info", "warn", "error", "none"]),
    "info"
  ),
  format: setting("LOG_FORMAT", "human, or json for one object a line", Kind.oneOf(["human", "json"]), "human")
}

export const load = readAll(declared)
