/**
 * The simulator as one module for a Web Worker. esbuild refuses imports that a browser cannot load, such as `node:`.
 */
import { build } from "esbuild"
import { fileURLToPath } from "node:url"

export interface Bundle {
  /** An ES module without imports and exports, see `src/simulation/webWorker.ts`. */
  readonly code: string
  /** The files of this repository in it, by path below `src`. */
  readonly sources: ReadonlyArray<string>
}

export const bundleSimulator = async (): Promise<Bundle> => {
  const root = fileURLToPath(new URL("..", import.meta.url))
  const { metafile, outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: ["src/simulation/webWorker.ts"],
    bundle: true,
    platform: "browser",
    format: "esm",
    target: "es2024",
    // Effect looks there for settings. A worker has none; and without it the code also runs outside of modules.
    define: { "import.meta": "undefined" },
    metafile: true,
    write: false,
    logLevel: "silent"
  })
  const sources = Object.keys(metafile.inputs).filter((path) => path.startsWith("src/"))
  return { code: outputFiles[0]!.text, sources: sources.map((path) => path.slice("src/".length)) }
}
