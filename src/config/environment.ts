/** The environment for commands other than `rondo serve`. */
import { Config, Effect } from "effect"
import { identity } from "./NodeConfig.ts"
import { readAll } from "./Setting.ts"

/** `rondo up` hands all of it on to its nodes. */
export const whole: Effect.Effect<Readonly<Record<string, string | undefined>>> = Effect.sync(() => process.env)

/** The nodes that a command talks to when no `--url` is given, so that a shell can be pointed at a cluster once. */
export const url = Config.String("RONDO_URL")

/** For commands that use endpoints of peers. Any text is a secret, so this does not fail. */
export const clusterSecret = readAll({ secret: identity.clusterSecret }).pipe(
  Effect.map(({ secret }) => secret),
  Effect.orDie
)
