/** Databases in real directories: both are closed and removed when the test ends. */
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { onTestFinished } from "vitest"
import { RondoLevel, type RondoLevelOptions } from "../../src/level/RondoLevel.ts"

export const temporaryDirectory = (): string => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "rondo-level-"))
  onTestFinished(() => fs.rmSync(directory, { recursive: true, force: true }))
  return directory
}

export const database = <K = string, V = string>(
  directory = path.join(temporaryDirectory(), "db"),
  options?: RondoLevelOptions<K, V>
): RondoLevel<K, V> => {
  const db = new RondoLevel<K, V>(directory, options)
  onTestFinished(() => db.close())
  return db
}

/** A database that was opened once. */
export const closedDatabase = async (): Promise<RondoLevel> => {
  const db = database()
  await db.open()
  await db.close()
  return db
}

/** The error of a rejected promise, or its cause if it reports only that the database is not open. */
export const errorOf = async (
  promise: Promise<unknown>
): Promise<{ readonly code: string; readonly message: string }> => {
  try {
    await promise
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "LEVEL_DATABASE_NOT_OPEN" && error.cause
      ? error.cause as never
      : error as never
  }
  throw new Error("expected a rejection")
}
