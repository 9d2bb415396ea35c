/** What can go wrong between the engine and its disk. */
import { Schema } from "effect"

/** No space is left. Writes are refused and reads go on; the engine tries again by itself when space returns. */
export class DiskFull extends Schema.TaggedError<DiskFull>()("DiskFull", { path: Schema.String }) {
  override get message() {
    return `no space left on the device that holds ${this.path}: free some, and writes resume by themselves`
  }
}

/** The operating system refused a file operation. */
export class DiskError extends Schema.TaggedError<DiskError>()("DiskError", {
  operation: Schema.String,
  path: Schema.String,
  /** The system's code, such as `EIO` or `ENOENT`. */
  code: Schema.String
}) {
  override get message() {
    return `${this.operation} ${this.path}: ${this.code}`
  }
}

/** Bytes on disk do not match their checksum or their format. Never skipped silently. */
export class Corruption extends Schema.TaggedError<Corruption>()("Corruption", {
  path: Schema.String,
  offsetBytes: Schema.Int,
  reason: Schema.String
}) {
  override get message() {
    return `${this.path} is damaged at byte ${this.offsetBytes}: ${this.reason}`
  }
}

export const StorageError = Schema.Union([DiskFull, DiskError, Corruption])
export type StorageError = typeof StorageError.Type
