/** The errors that the engine can get from its disk. */
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

/** Another version of Rondo wrote the file. It is whole, so nothing is cut, moved aside or given up because of it. */
export class UnknownFormat extends Schema.TaggedError<UnknownFormat>()("UnknownFormat", {
  path: Schema.String,
  /** The format that the file names. */
  format: Schema.String,
  /** The formats that this version reads. */
  known: Schema.String
}) {
  override get message() {
    return `${this.path} has the format ${this.format}, and this version of Rondo reads ${this.known}: ` +
      "start the version that wrote it on this directory; the file was left as it is"
  }
}

export const StorageError = Schema.Union([DiskFull, DiskError, Corruption, UnknownFormat])
export type StorageError = typeof StorageError.Type

/** There is no such file. */
export const isMissing = (error: StorageError): boolean => error._tag === "DiskError" && error.code === "ENOENT"

/** The device could not read a place, though the request was sound. */
export const isUnreadable = (error: StorageError): error is DiskError =>
  error._tag === "DiskError" && error.code === "EIO"
