/** Errors as users of Level expect them: an `Error` with a stable `code`. */
import { Cause, Schema } from "effect"

export class DatabaseMissing extends Schema.TaggedError<DatabaseMissing>()("DatabaseMissing", { path: Schema.String }) {
  override get message() {
    return `the database ${this.path} does not exist, and createIfMissing is false`
  }
}

export class DatabaseExists extends Schema.TaggedError<DatabaseExists>()("DatabaseExists", { path: Schema.String }) {
  override get message() {
    return `the database ${this.path} exists already, and errorIfExists is true`
  }
}

export class InvalidOption extends Schema.TaggedError<InvalidOption>()("InvalidOption", {
  name: Schema.String,
  value: Schema.String,
  expected: Schema.String
}) {
  override get message() {
    return `the option ${this.name} is ${this.value}, but must be ${this.expected}`
  }
}

export class LevelError extends Error {
  readonly code: string

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = code === "LEVEL_ABORTED" ? "AbortError" : "LevelError"
    this.code = code
  }
}

/** By the tag of the engine's error. Codes that `classic-level` has mean the same here. */
const codes: Readonly<Record<string, string>> = {
  DatabaseMissing: "LEVEL_DATABASE_MISSING",
  DatabaseExists: "LEVEL_DATABASE_EXISTS",
  InvalidOption: "LEVEL_INVALID_OPTION",
  DirectoryLocked: "LEVEL_LOCKED",
  DirectoryOfOtherNode: "LEVEL_FOREIGN_DIRECTORY",
  Corruption: "LEVEL_CORRUPTION",
  UnknownFormat: "LEVEL_UNKNOWN_FORMAT",
  DiskFull: "LEVEL_DISK_FULL",
  DiskError: "LEVEL_IO_ERROR"
}

/** In place of messages that name settings of a node, which a database does not have. */
const sentences: Readonly<Record<string, string>> = {
  DirectoryLocked: "the database is in use: another process, or another RondoLevel in this one, has it open",
  DirectoryOfOtherNode: "the directory holds the data of a Rondo node, which its replicas rely on"
}

/** Anything but an error of the engine is a defect, and is thrown as it is. */
const from = (cause: unknown): unknown => {
  if (!(cause instanceof Error) || !("_tag" in cause)) return cause
  const tag = String(cause._tag)
  const code = codes[tag]
  return code === undefined ? cause : new LevelError(code, sentences[tag] ?? cause.message, { cause })
}

/** The error to throw for an effect that ended with this cause. */
export const ofCause = (cause: Cause.Cause<unknown>): unknown =>
  Cause.hasInterruptsOnly(cause) ? aborted() : from(Cause.squash(cause))

export const aborted = (): LevelError => new LevelError("LEVEL_ABORTED", "Operation has been aborted")
