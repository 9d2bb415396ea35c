/** Settings of the log of `rondo serve`. */
import * as Setting from "./Setting.ts"

export const declared = {
  level: Setting.make(
    "LOG_LEVEL",
    "lowest level that is logged: all, trace, debug, info, warn, error or none",
    Setting.oneOf(["all", "trace", "debug", "info", "warn", "error", "none"]),
    "info"
  ),
  format: Setting.make(
    "LOG_FORMAT",
    "human, or json for one object a line",
    Setting.oneOf(["human", "json"]),
    "human"
  )
}

export const load = Setting.readAll(declared)
