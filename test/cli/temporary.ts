/** A real directory for one test, removed when the test ends. */
import { NodeFileSystem } from "@effect/platform-node"
import { Effect, FileSystem } from "effect"

export const temporaryDirectory = Effect.flatMap(
  FileSystem.FileSystem,
  (files) => files.makeTempDirectoryScoped({ prefix: "rondo-cli-" })
).pipe(Effect.provide(NodeFileSystem.layer))
