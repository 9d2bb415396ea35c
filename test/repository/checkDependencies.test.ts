import { assert, describe, it } from "@effect/vitest"
import { leaves, problems, readSources } from "../../scripts/checkDependencies.ts"

/** Sources in which every declared leaf is one, so that only the given files can be wrong. */
const sources = (files: Readonly<Record<string, string>>) =>
  new Map([...Object.keys(leaves).map((path) => [path, "Date.now()"] as const), ...Object.entries(files)])

describe("the direction of dependencies", () => {
  it("holds in this repository", () => {
    assert.deepStrictEqual(problems(readSources()), [])
  })

  it("allows a folder to import from itself and from folders before it", () => {
    const files = {
      "domain/Key.ts": "",
      "ring/HashRing.ts": `import { Key } from "../domain/Key.ts"`,
      "ring/Ring.ts": `import * as HashRing from "./HashRing.ts"`,
      "Node.ts": `import { Ring } from "./ring/Ring.ts"`
    }
    assert.deepStrictEqual(problems(sources(files)), [])
  })

  it("finds an import of a later folder, also when it is of a type or spans lines", () => {
    const found = problems(sources({
      "domain/Key.ts": `import {\n  Ring\n} from "../ring/Ring.ts"`,
      "peer/Peer.ts": `import type { Ring } from "../ring/Ring.ts"`,
      "storage/wal/Log.ts": `import { State } from "../State.ts"`,
      "storage/State.ts": `import { Storage } from "./Storage.ts"`,
      "storage/Storage.ts": `import { frame } from "./wal/frame.ts"`
    }))
    assert.deepStrictEqual(found, [
      "domain/Key.ts imports ring/Ring.ts: ring comes after domain in the order of src/",
      "peer/Peer.ts imports ring/Ring.ts: ring comes after peer in the order of src/",
      "storage/wal/Log.ts imports storage/State.ts: State.ts comes after wal in the order of src/storage/",
      "storage/State.ts imports storage/Storage.ts: Storage.ts comes after State.ts in the order of src/storage/"
    ])
  })

  it("finds an import of the composition root, and a folder outside the order", () => {
    const found = problems(sources({
      "ring/Ring.ts": `import { Node } from "../Node.ts"`,
      "cli/serve.ts": `import { main } from "../main.ts"`,
      "utils/text.ts": `import { Key } from "../domain/Key.ts"`
    }))
    assert.deepStrictEqual(found, [
      "ring/Ring.ts imports Node.ts: Node.ts comes after ring in the order of src/",
      "cli/serve.ts imports main.ts: main.ts has no place in the order of src/",
      "utils/text.ts: the folder utils has no place in the order of src/"
    ])
  })

  it("finds an import past the door of a folder, but not from inside it", () => {
    const found = problems(sources({
      "server/KvHandlers.ts": `import { Lane } from "./lane/Lane.ts"\nimport { bytes } from "./lane/directAnswer.ts"`,
      "server/lane/Lane.ts": `import { bytes } from "./directAnswer.ts"`,
      "server/lane/directAnswer.ts": ""
    }))
    assert.deepStrictEqual(found, [
      "server/KvHandlers.ts imports server/lane/directAnswer.ts: the door of server/lane is server/lane/Lane.ts"
    ])
  })

  it("finds a cycle inside one folder and names its files once", () => {
    const found = problems(sources({
      "ring/A.ts": `import { b } from "./B.ts"`,
      "ring/B.ts": `import { c } from "./C.ts"`,
      "ring/C.ts": `export { a } from "./A.ts"`
    }))
    assert.deepStrictEqual(found, ["import cycle: ring/A.ts -> ring/B.ts -> ring/C.ts -> ring/A.ts"])
  })

  it("finds the time, chance, timers, files and sockets outside leaves, but not in comments or types", () => {
    const found = problems(sources({
      "ring/Ring.ts": `// Date.now() would tie the ring to this machine\n/* setTimeout( */ export const x = 1`,
      "gossip/Gossip.ts": `const now = Date.now()`,
      "gossip/Chance.ts": `const chance = Math.random()`,
      "gossip/Timer.ts": `setInterval(() => {}, 1)`,
      "gossip/Speed.ts": `performance.now()`,
      "server/Table.ts": `import * as fs from "node:fs"`,
      "server/Client.ts": `import { request } from 'node:http'`,
      "server/Bare.ts": `import * as fs from "fs"`,
      "server/Text.ts": `const glob = "/*"; Date.now() // "*/"`,
      "server/Types.ts": `import type { IncomingMessage } from "node:http"`
    }))
    assert.deepStrictEqual(found, [
      "gossip/Gossip.ts uses Date.now( and is no leaf: use Clock",
      "gossip/Chance.ts uses Math.random( and is no leaf: use Random",
      "gossip/Timer.ts uses setInterval( and is no leaf: use Effect.sleep",
      "gossip/Speed.ts uses performance.now( and is no leaf: use Clock",
      `server/Table.ts uses import * as fs from "node:fs" and is no leaf: use Disk`,
      "server/Client.ts uses import { request } from 'node:http' and is no leaf: use PeerClient or HttpServer",
      `server/Bare.ts uses import * as fs from "fs" and is no leaf: use Disk`,
      "server/Text.ts uses Date.now( and is no leaf: use Clock"
    ])
  })

  it("finds the environment read outside config, also in a leaf", () => {
    const found = problems(sources({
      "config/Setting.ts": `Config.String("LISTEN"); process.env`,
      "gossip/Gossip.ts": `ClusterConfig.layer; ConfigProvider.fromEnv() // process.env`,
      "ring/Ring.ts": `Config.Int("VNODES")`,
      "main.ts": `Date.now(); process.env["HOME"]`
    }))
    assert.deepStrictEqual(found, [
      "main.ts uses process.env: only config/ reads the environment",
      "ring/Ring.ts uses Config.Int: only config/ reads the environment"
    ])
  })

  it("finds what a browser lacks from the domain to the coordinator and in the simulator, types too", () => {
    const uses = `import type { Socket } from "node:net"\nconst none: Buffer = make()`
    const places = ["domain/Key.ts", "coordinator/Coordinator.ts", "Node.ts", "api/Api.ts", "simulation/World.ts"]
    for (const path of places) {
      assert.deepStrictEqual(problems(sources({ [path]: uses })), [
        `${path} uses "node:net" and is no leaf: use what a browser has too`,
        `${path} uses Buffer and is no leaf: use domain/bytes`
      ])
    }
    const allowed = [
      "server/Face.ts",
      "cli/get.ts",
      "level/Level.ts",
      "peer/exchange.ts",
      "simulation/main.ts"
    ]
    for (const path of allowed) assert.deepStrictEqual(problems(sources({ [path]: uses })), [], path)
    const harmless = `// a Buffer of "node:buffer"\nconst memory = new ArrayBuffer(8)\nclass MessageBuffer {}`
    assert.deepStrictEqual(problems(sources({ "domain/Key.ts": harmless })), [])
    const others = {
      "ring/Ring.ts": `import { join } from "path"`,
      "ring/Id.ts": `const id = process.pid; this.process.exit()`,
      "coordinator/Coordinator.ts": `import * as DiskNode from "../disk/DiskNode.ts"`
    }
    assert.deepStrictEqual(problems(sources(others)), [
      "coordinator/Coordinator.ts imports disk/DiskNode.ts: that leaf is not for browsers",
      `ring/Ring.ts uses "path" and is no leaf: use what a browser has too`,
      "ring/Id.ts uses process.pid and is no leaf: use a service"
    ])
    assert.deepStrictEqual(problems(sources({ "ring/Ring.ts": `import("@effect/platform-node/Undici")` })), [
      `ring/Ring.ts uses "@effect/platform-node/Undici" and is no leaf: use what a browser has too`
    ])
  })

  it("finds a leaf that is none any more", () => {
    const [path] = Object.keys(leaves)
    const gone = new Map(sources({}))
    gone.delete(path!)
    for (const files of [gone, sources({ [path!]: "// Date.now() once" })]) {
      assert.deepStrictEqual(problems(files), [`${path} is declared a leaf and reaches nothing`])
    }
  })
})
