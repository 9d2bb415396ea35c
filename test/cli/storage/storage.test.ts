/** The commands on real files in temporary directories. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Logger, Scope } from "effect"
import * as fs from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Request } from "../../../src/cli/Http.ts"
import * as Record from "../../../src/cli/record.ts"
import { Disk } from "../../../src/disk/Disk.ts"
import * as DiskNode from "../../../src/disk/DiskNode.ts"
import type { Cell } from "../../../src/domain/cell/Cell.ts"
import * as Engine from "../../../src/storage/Engine.ts"
import type { Storage } from "../../../src/storage/Storage.ts"
import { cell, tombstone } from "../../storage/store.ts"
import * as FakeHttp from "../FakeHttp.ts"
import { run } from "../run.ts"

const http = FakeHttp.layer(() => FakeHttp.answer(500))
const fixture = "test/storage/fixtures/format-2"

const temporary = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(join(tmpdir(), "rondo-storage-"))),
  (path) => Effect.sync(() => fs.rmSync(path, { recursive: true, force: true }))
)

/** A store on the real disk, as a node leaves it. */
const store = Effect.fnUntraced(
  function*(directory: string, fill: (storage: Storage["Service"]) => Effect.Effect<void, unknown>) {
    const disk = yield* Disk
    yield* disk.makeDirectory(directory)
    const scope = yield* Scope.make()
    const storage = yield* Engine.open(disk, {
      directory,
      fsync: "always",
      memtableBytesMax: 1024 * 1024,
      blockCacheBytesMax: 0
    }).pipe(Scope.provide(scope))
    yield* fill(storage)
    yield* Scope.close(scope, Exit.void)
    return directory
  },
  Effect.provide(DiskNode.layer)
)

/** Two tables and a log: `b` is newest in the log, `c` deleted. */
const usual = (directory: string) =>
  store(directory, (storage) =>
    Effect.gen(function*() {
      yield* storage.apply([cell("a", 1), cell("b", 2), cell("c", 3), cell("d/1", 4)])
      yield* storage.flush
      yield* storage.apply([cell("b", 5), tombstone("c", 6)])
      yield* storage.flush
      yield* storage.apply([cell("b", 7), cell("d/2", 8)])
    }))

const snapshotOf = Effect.fnUntraced(function*(directory: string, cells: ReadonlyArray<Cell>) {
  const source = yield* store(`${directory}-source`, (storage) => storage.apply(cells))
  yield* run(["storage", "snapshot", source, directory], { http })
  return directory
})

const linesOf = (text: string) => text.split("\n").filter((line) => line !== "")
const keysOf = (text: string) => linesOf(text).map((line) => (JSON.parse(line) as { readonly key: string }).key)

/** Names and bytes of everything there. */
const picture = (directory: string) =>
  fs.readdirSync(directory).map((name) => [name, fs.readFileSync(join(directory, name)).toString("latin1")])

const damage = (path: string, offset: number) => {
  const bytes = fs.readFileSync(path)
  bytes[offset] = bytes[offset]! ^ 0xff
  fs.writeFileSync(path, bytes)
}

describe("storage inspect", () => {
  it.effect("shows levels, logs and amplification, and changes nothing", () =>
    Effect.gen(function*() {
      const directory = yield* usual(join(yield* temporary, "node1"))
      const before = picture(directory)
      const shown = yield* run(["storage", "inspect", directory], { http })
      assert.isTrue(shown.succeeded)
      assert.include(shown.result, "format 2, 2 tables of")
      assert.include(shown.result, "with 6 cells (1 tombstone)")
      assert.match(shown.result, /\n0 {6}2 .* 6 .* 1 .*"a" .*"d\/1"\n/)
      assert.match(shown.result, /wal-\d{6}\.log: \d+ B, 2 cells\n/)
      assert.include(shown.result, "a read looks into up to 2 sorted runs")
      assert.include(shown.result, "--full measures it")
      assert.include(shown.result, "nothing is known to be lost (the tables were not read: rondo storage verify does)")
      const tables = yield* run(["storage", "inspect", directory, "--tables", "--full"], { http })
      assert.match(tables.result, /\n0 {6}000002 /)
      assert.match(tables.result, /space amplification \d\.\d\d: the newest 5 cells \(1 tombstone\) take \d+ B/)
      const json = JSON.parse((yield* run(["storage", "inspect", directory, "--json", "--full"], { http })).result)
      assert.deepInclude(json, { format: 2, cells: 6, tombstones: 1, readAmplification: 2, problems: [] })
      assert.strictEqual(json.levels[0].tables.length, 2)
      assert.strictEqual(json.newest.cells, 5)
      assert.approximately(json.spaceAmplification, json.bytes / json.newest.bytes, 1e-9)
      assert.deepStrictEqual(picture(directory), before)
    }).pipe(Effect.scoped))

  it.effect("says what is wrong with the directory", () =>
    Effect.gen(function*() {
      const root = yield* temporary
      const missing = yield* run(["storage", "inspect", join(root, "none")], { http })
      assert.strictEqual(missing.notice, `rondo: no such directory: ${join(root, "none")}\n`)
      const empty = yield* run(["storage", "inspect", root], { http })
      assert.include(empty.notice, "is neither a data directory nor a snapshot")
      assert.isFalse(empty.succeeded)
    }).pipe(Effect.scoped))
})

describe("a directory in use", () => {
  it.effect("is refused by every command, with what to do instead", () =>
    Effect.gen(function*() {
      const root = yield* temporary
      const directory = yield* usual(join(root, "node1"))
      yield* Effect.flatMap(Disk, (disk) => disk.lock(directory)).pipe(Effect.provide(DiskNode.layer))
      for (
        const parameters of [
          ["inspect", directory],
          ["verify", directory],
          ["dump", directory],
          ["compact", directory],
          ["snapshot", directory, join(root, "copy")]
        ]
      ) {
        const { notice, result, succeeded } = yield* run(["storage", ...parameters], { http })
        assert.isFalse(succeeded, parameters[0])
        assert.strictEqual(result, "", parameters[0])
        assert.match(
          notice,
          /node1 is in use by a running node: .*rondo storage snapshot --node URL NAME/,
          parameters[0]
        )
      }
    }).pipe(Effect.scoped))
})

describe("storage verify", () => {
  it.effect("finds a whole store whole, and fails with every place that is not", () =>
    Effect.gen(function*() {
      const directory = yield* usual(join(yield* temporary, "node1"))
      const whole = yield* run(["storage", "verify", directory], { http })
      assert.match(whole.result, /^whole: 2 tables, 2 blocks, \d+ B, 1 log checked, 0 problems\n$/)
      damage(join(directory, "000002.sst"), 30)
      damage(join(directory, "000004.idx"), 30)
      const log = fs.readdirSync(directory).find((name) => name.endsWith(".log"))!
      damage(join(directory, log), 20)
      const before = picture(directory)
      const damaged = yield* run(["storage", "verify", directory], { http })
      assert.isFalse(damaged.succeeded)
      assert.match(damaged.result, /000002\.sst at byte 0, keys from "a" to "d\/1": the block's checksum/)
      assert.match(damaged.result, /000004\.idx at byte 0, keys from "b" to "c": the checksum does not match/)
      assert.include(damaged.result, `${log} is damaged at byte 0`)
      assert.include(damaged.result, "damaged: 1 table, ")
      assert.include(
        damaged.notice,
        "node1 is damaged. A node does not start with this log; if other replicas have the data, start it once with " +
          "--salvage. rondo storage dump --skip-damage saves what is left."
      )
      const json = JSON.parse((yield* run(["storage", "verify", directory, "--json"], { http })).result)
      assert.deepStrictEqual([json.problems.length, json.damage.length, json.tables], [3, 2, 1])
      assert.deepStrictEqual(picture(directory), before)
    }).pipe(Effect.scoped))
})

describe("storage dump", () => {
  it.effect("writes the newest of each key as import reads it, with what logs hold, and no tombstone", () =>
    Effect.gen(function*() {
      const directory = yield* usual(join(yield* temporary, "node1"))
      const { result } = yield* run(["storage", "dump", directory], { http })
      const records = linesOf(result).map(Record.decode)
      assert.deepStrictEqual(
        records.map((record) => record._tag === "Success" ? [record.success.key, String(record.success.bytes)] : []),
        [["a", "a@1"], ["b", "b@7"], ["d/1", "d/1@4"], ["d/2", "d/2@8"]]
      )
    }).pipe(Effect.scoped))

  it.effect("walks the keys that it is told to", () =>
    Effect.gen(function*() {
      const directory = yield* usual(join(yield* temporary, "node1"))
      const dumped = (...flags: ReadonlyArray<string>) =>
        Effect.map(run(["storage", "dump", directory, ...flags], { http }), ({ result }) => keysOf(result))
      assert.deepStrictEqual(yield* dumped("--prefix", "d/"), ["d/1", "d/2"])
      assert.deepStrictEqual(yield* dumped("--from", "b", "--to", "d/2"), ["b", "d/1"])
      assert.deepStrictEqual(yield* dumped("--reverse", "--limit", "2"), ["d/2", "d/1"])
      assert.deepStrictEqual(yield* dumped("--limit", "0"), [])
      assert.deepStrictEqual(yield* dumped("--table", "2"), ["a", "b", "c", "d/1"])
      assert.deepStrictEqual(yield* dumped("--table", "4", "--cells", "--tombstones"), ["b", "c"])
    }).pipe(Effect.scoped))

  it.effect("prints cells as tables hold them, and passes over what is lost when told to", () =>
    Effect.gen(function*() {
      const { result } = yield* run(["storage", "dump", fixture, "--cells", "--tombstones", "--skip-damage"], { http })
      assert.strictEqual(result, fs.readFileSync(join(fixture, "expected.ndjson"), "utf8"))
    }))

  it.effect("of several nodes gives the newest of each key, and nothing that one of them has deleted", () =>
    Effect.gen(function*() {
      const root = yield* temporary
      const snapshots = [
        yield* snapshotOf(join(root, "1"), [cell("a", 1), cell("b", 2), cell("c", 3)]),
        yield* snapshotOf(join(root, "2"), [cell("a", 9), tombstone("b", 8)]),
        yield* snapshotOf(join(root, "3"), [cell("a", 4), cell("c", 3)])
      ]
      const { result } = yield* run(["storage", "dump", ...snapshots, "--cells"], { http })
      assert.deepStrictEqual(
        linesOf(result).map((line) => (JSON.parse(line) as { readonly value: string }).value),
        ["a@9", "c@3"]
      )
    }).pipe(Effect.scoped))

  it.effect("stops at damage, unless told to skip it", () =>
    Effect.gen(function*() {
      const directory = yield* usual(join(yield* temporary, "node1"))
      damage(join(directory, "000002.sst"), 30)
      const stopped = yield* run(["storage", "dump", directory], { http })
      assert.isFalse(stopped.succeeded)
      assert.match(stopped.notice, /000002\.sst is damaged at byte 0: .*\n {2}--skip-damage/)
      const rest = yield* run(["storage", "dump", directory, "--skip-damage"], { http })
      assert.deepStrictEqual([rest.succeeded, keysOf(rest.result)], [true, ["b", "d/2"]])
      assert.strictEqual(
        rest.notice,
        "skipped 1 damaged range: keys from \"a\" to \"d/1\"; a key there may be missing, or have an older value\n"
      )
      const elsewhere = yield* run(["storage", "dump", directory, "--skip-damage", "--from", "d/2"], { http })
      assert.strictEqual(elsewhere.notice, "")
    }).pipe(Effect.scoped))

  it.effect("writes nothing beside lines of JSON to where the cells go, whatever is damaged", () =>
    Effect.gen(function*() {
      const directory = yield* usual(join(yield* temporary, "node1"))
      damage(join(directory, "000002.sst"), 30)
      const logged: Array<unknown> = []
      const logger = Logger.make(({ message }) => {
        logged.push(message)
      })
      for (
        const parameters of [["dump", directory], ["dump", directory, "--skip-damage"], [
          "inspect",
          directory,
          "--full"
        ]]
      ) {
        yield* Effect.provide(run(["storage", ...parameters], { http }), Logger.layer([logger]))
      }
      assert.deepStrictEqual(logged, [])
      const inspected = yield* run(["storage", "inspect", directory, "--full", "--json"], { http })
      assert.match(JSON.parse(inspected.result).problems.join(), /^cells are lost of keys from "a" to "d\/1": /)
      const shown = yield* run(["storage", "inspect", directory, "--full"], { http })
      assert.include(shown.result, "\ncells are lost of keys from \"a\" to \"d/1\": ")
    }).pipe(Effect.scoped))

  it.effect("refuses what it cannot mean", () =>
    Effect.gen(function*() {
      const directory = yield* usual(join(yield* temporary, "node1"))
      for (
        const [parameters, message] of [
          [[directory, "--tombstones"], "--tombstones needs --cells"],
          [[directory, directory, "--reverse"], "--reverse is for one directory"],
          [[directory, directory, "--table", "2"], "--table is for one directory"],
          [[directory, "--table", "99"], "has no table 99"]
        ] as const
      ) {
        const { notice, result, succeeded } = yield* run(["storage", "dump", ...parameters], { http })
        assert.isFalse(succeeded)
        assert.strictEqual(result, "")
        assert.include(notice, message)
      }
    }).pipe(Effect.scoped))
})

describe("storage compact, snapshot and restore", () => {
  it.effect("rewrite a stopped node's store, copy it, and make the copy a data directory", () =>
    Effect.gen(function*() {
      const root = yield* temporary
      const directory = yield* usual(join(root, "node1"))
      const before = (yield* run(["storage", "dump", directory], { http })).result
      const compacted = yield* run(["storage", "compact", directory, "--json"], { http })
      assert.deepInclude(JSON.parse(compacted.result), { tablesBefore: 3, tables: 1 })
      const again = yield* run(["storage", "compact", directory], { http })
      assert.strictEqual(again.result, "nothing to compact: the store is one sorted run already\n")
      const [copy, restored] = [join(root, "copy"), join(root, "restored")]
      const taken = yield* run(["storage", "snapshot", directory, copy], { http })
      assert.match(taken.result, /copy: 1 table of \d+ B, by hard links\n$/)
      const refused = yield* run(["storage", "snapshot", directory, copy], { http })
      assert.include(refused.notice, "copy is not empty: name a directory that does not exist yet")
      const done = yield* run(["storage", "restore", copy, restored], { http })
      assert.match(done.result, /^restored 1 table of \d+ B with 5 cells into .*, by hard links\n/)
      assert.include(done.result, "(/readyz says so)\nuntil it has synced with every other replica")
      assert.isFalse(fs.existsSync(join(restored, "identity.json")))
      assert.strictEqual((yield* run(["storage", "dump", restored], { http })).result, before)
      const twice = yield* run(["storage", "restore", copy, restored], { http })
      assert.include(twice.notice, "restored is not empty")
    }).pipe(Effect.scoped))

  it.effect("restore nothing that is damaged, unless it is to be", () =>
    Effect.gen(function*() {
      const root = yield* temporary
      const snapshot = yield* snapshotOf(join(root, "copy"), [cell("a", 1), cell("b", 2)])
      damage(join(snapshot, fs.readdirSync(snapshot).find((name) => name.endsWith(".sst"))!), 30)
      const target = join(root, "restored")
      const refused = yield* run(["storage", "restore", snapshot, target], { http })
      assert.include(refused.notice, "copy is damaged in 1 place: ")
      assert.isFalse(fs.existsSync(target))
      const done = yield* run(["storage", "restore", snapshot, target, "--allow-damage"], { http })
      assert.isTrue(done.succeeded)
      assert.match(
        done.result,
        /\n1 place is damaged: keys from "a" to "b", of .*copy\/\d{6}\.sst\. The node gets them from other replicas\n/
      )
      assert.isFalse(fs.existsSync(join(target, "LOCK")))
      const parameters = ["storage", "restore", snapshot, `${target}-2`, "--allow-damage", "--json"]
      const json = JSON.parse((yield* run(parameters, { http })).result)
      assert.strictEqual(json.damage.length, 1)
      assert.deepInclude(json.damage[0], { from: "a", to: "b\u0000" })
    }).pipe(Effect.scoped))

  it.effect("restore without a file that is missing, when damage is allowed", () =>
    Effect.gen(function*() {
      const root = yield* temporary
      for (const ending of [".idx", ".sst"]) {
        const snapshot = yield* snapshotOf(join(root, `copy${ending}`), [cell("a", 1), cell("b", 2)])
        const missing = join(snapshot, fs.readdirSync(snapshot).find((name) => name.endsWith(ending))!)
        fs.rmSync(missing)
        const target = join(root, `restored${ending}`)
        const refused = yield* run(["storage", "restore", snapshot, target], { http })
        assert.isFalse(refused.succeeded)
        assert.include(refused.notice, missing)
        assert.isFalse(fs.existsSync(target))
        const done = yield* run(["storage", "restore", snapshot, target, "--allow-damage"], { http })
        assert.isTrue(done.succeeded, done.notice)
        assert.include(done.result, "1 place is damaged: keys from \"a\" to \"b\"")
        // What a node would make of it.
        const holes: Array<unknown> = []
        yield* store(target, (storage) =>
          Effect.map(storage.stats, (stats) => {
            holes.push(...stats.holes)
          }))
        assert.strictEqual(holes.length, 1)
      }
    }).pipe(Effect.scoped))

  it.effect("restore no data directory, and leave nothing where it was to go", () =>
    Effect.gen(function*() {
      const root = yield* temporary
      const directory = yield* snapshotOf(join(root, "node1"), [cell("a", 1)])
      fs.writeFileSync(join(directory, "identity.json"), "{}")
      const refused = yield* run(["storage", "restore", directory, join(root, "restored")], { http })
      assert.include(refused.notice, `rondo storage snapshot ${directory} NEW-DIRECTORY`)
      assert.isFalse(fs.existsSync(join(root, "restored")))
    }).pipe(Effect.scoped))

  it.effect("leave no lock in a snapshot that they compact", () =>
    Effect.gen(function*() {
      const root = yield* temporary
      const snapshot = yield* snapshotOf(join(root, "copy"), [cell("a", 1)])
      assert.isTrue((yield* run(["storage", "compact", snapshot], { http })).succeeded)
      assert.deepStrictEqual(
        fs.readdirSync(snapshot).filter((name) => !/^(?:MANIFEST|\d+\.(?:sst|idx))$/.test(name)),
        []
      )
    }).pipe(Effect.scoped))

  it.effect("name what compaction has lost, which verification then does not call whole", () =>
    Effect.gen(function*() {
      const directory = yield* usual(join(yield* temporary, "node1"))
      damage(join(directory, "000002.sst"), 30)
      const compacted = yield* run(["storage", "compact", directory], { http })
      assert.include(
        compacted.result,
        "1 range could not be read and is lost here: a node that starts on this directory gets the cells from other " +
          "replicas\nkeys from \"a\" to \"d/1\", of "
      )
      const verified = yield* run(["storage", "verify", directory], { http })
      assert.isFalse(verified.succeeded)
      assert.include(verified.result, "readable, but 1 range is lost: ")
      assert.isFalse(JSON.parse((yield* run(["storage", "verify", directory, "--json"], { http })).result).whole)
    }).pipe(Effect.scoped))

  it.effect("say how to go on where a log is damaged or the manifest is lost", () =>
    Effect.gen(function*() {
      const root = yield* temporary
      const directory = yield* usual(join(root, "node1"))
      damage(join(directory, fs.readdirSync(directory).find((name) => name.endsWith(".log"))!), 20)
      for (const parameters of [["compact", directory], ["snapshot", directory, join(root, "copy")]]) {
        const { notice } = yield* run(["storage", ...parameters], { http })
        assert.include(notice, "start the node once with --salvage, then stop it and try again", parameters[0])
      }
      const dumped = yield* run(["storage", "dump", directory], { http })
      assert.match(
        dumped.notice,
        /\.log is damaged at byte 0, and .*\n {2}--skip-damage dumps every record of it that can be read/
      )
      const lost = yield* run(["storage", "forget-lost", directory], { http })
      assert.match(
        lost.result,
        /^no lost cells are known in tables; .*\.log is damaged: see rondo storage verify/
      )
      for (
        const spoil of [() => damage(join(directory, "MANIFEST"), 5), () => fs.rmSync(join(directory, "MANIFEST"))]
      ) {
        spoil()
        for (const command of ["inspect", "verify", "dump", "compact"]) {
          const { notice } = yield* run(["storage", command, directory], { http })
          assert.include(notice, "The store cannot be opened without its MANIFEST.", command)
          assert.include(notice, `jq -c 'select(.key)' ${directory}/*.sst`, command)
        }
      }
    }).pipe(Effect.scoped))

  it.effect("compact a database of level without its tombstones, as the database does", () =>
    Effect.gen(function*() {
      const root = yield* temporary
      for (const [owner, tombstones] of [["level", 0], ["node1", 1]] as const) {
        const directory = yield* usual(join(root, owner))
        fs.writeFileSync(join(directory, "identity.json"), JSON.stringify({ format: 1, nodeId: owner }))
        assert.isTrue((yield* run(["storage", "compact", directory], { http })).succeeded)
        const inspected = yield* run(["storage", "inspect", directory, "--json"], { http })
        assert.strictEqual(JSON.parse(inspected.result).tombstones, tombstones, owner)
      }
    }).pipe(Effect.scoped))

  it.effect("are refused for a file", () =>
    Effect.gen(function*() {
      const directory = yield* usual(join(yield* temporary, "node1"))
      const file = join(directory, "000002.sst")
      const { notice } = yield* run(["storage", "verify", file], { http })
      assert.strictEqual(notice, `rondo: ${file} is a file: give its directory\n`)
      assert.include(
        (yield* run(["storage", "compact", join(directory, "none")], { http })).notice,
        "no such directory"
      )
    }).pipe(Effect.scoped))

  it.effect("compact no directory that is no store, and create nothing there", () =>
    Effect.gen(function*() {
      const root = yield* temporary
      const { notice } = yield* run(["storage", "compact", root], { http })
      assert.include(notice, "is neither a data directory nor a snapshot")
      assert.deepStrictEqual(fs.readdirSync(root), [])
    }).pipe(Effect.scoped))
})

describe("storage snapshot --node", () => {
  const taken = { name: "monday", directory: "d/snapshots/monday", tables: 3, cells: 40, bytes: 5000, bytesCopied: 0 }
  const environment = { CLUSTER_SECRET: "s" }

  it.effect("takes one of each node, with the cluster's secret", () =>
    Effect.gen(function*() {
      const asked: Array<Request> = []
      const nodes = FakeHttp.layer(() => FakeHttp.answer(201, JSON.stringify(taken)), asked)
      const out = yield* run(["storage", "snapshot", "--node", "a:1,b:2", "monday"], { http: nodes, environment })
      assert.strictEqual(
        out.result,
        "http://a:1: d/snapshots/monday: 3 tables of 4.9 KiB, by hard links\n" +
          "http://b:2: d/snapshots/monday: 3 tables of 4.9 KiB, by hard links\n"
      )
      assert.deepStrictEqual(asked.map(({ method, path }) => [method, path]), [
        ["POST", "/snapshots"],
        ["POST", "/snapshots"]
      ])
      assert.match(asked[0]!.headers!["authorization"]!, /^Bearer [0-9a-f]{64}$/)
      assert.deepStrictEqual(JSON.parse(Buffer.from(asked[0]!.body!).toString()), { name: "monday" })
    }))

  it.effect("asks every node, and fails with what each of them refused", () =>
    Effect.gen(function*() {
      const problem = JSON.stringify({ _tag: "SnapshotExists", detail: "there is a snapshot monday" })
      const nodes = FakeHttp.layer(({ origin }) =>
        origin === "http://a:1"
          ? FakeHttp.unreachable(origin)
          : origin === "http://b:2"
          ? FakeHttp.answer(409, problem)
          : origin === "http://c:3"
          ? FakeHttp.answer(401)
          : FakeHttp.answer(201, JSON.stringify(taken))
      )
      const out = yield* run(["storage", "snapshot", "--node", "a:1,b:2,c:3,d:4", "monday"], { http: nodes })
      assert.isFalse(out.succeeded)
      assert.include(out.result, "http://d:4: d/snapshots/monday")
      assert.strictEqual(
        out.notice,
        "rondo: cannot connect to http://a:1\n" +
          "rondo: http://b:2: a snapshot monday exists already: choose another name, or remove it: " +
          "rondo storage snapshot --node b:2 monday --remove\n" +
          "rondo: http://c:3 refused the secret: set CLUSTER_SECRET to that of the cluster\n"
      )
    }))

  it.effect("lists and removes", () =>
    Effect.gen(function*() {
      const asked: Array<Request> = []
      const stored = { name: "monday", state: "complete", tables: 3, cells: 40, bytes: 5000 }
      const nodes = FakeHttp.layer(({ method }) =>
        method === "DELETE"
          ? FakeHttp.answer(204)
          : FakeHttp.answer(200, JSON.stringify({ node: "node1", snapshots: [stored] })), asked)
      const list = yield* run(["storage", "snapshot", "--node", "a:1", "--list"], { http: nodes, environment })
      assert.match(list.result, /^node .*\nnode1 {2}monday {4}complete {2}3 {7}4\.9 KiB {2}40\n$/)
      const removed = yield* run(["storage", "snapshot", "--node", "a:1", "--remove", "monday"], {
        http: nodes,
        environment
      })
      assert.strictEqual(removed.result, "http://a:1: removed monday\n")
      assert.deepStrictEqual([asked[1]!.method, asked[1]!.path], ["DELETE", "/snapshots/monday"])
    }))

  it.effect("says what it needs", () =>
    Effect.gen(function*() {
      for (
        const [parameters, message] of [
          [["a"], "give the directory of a stopped node and a new directory"],
          [["a", "--list"], "add --node URL"],
          [["--node", "a:1"], "give the snapshot a name, such as"],
          [["--node", "a:1", "x", "y"], "give one name"],
          [["--node", "a:1", "--list", "x"], "--list takes no name"]
        ] as const
      ) {
        assert.include((yield* run(["storage", "snapshot", ...parameters], { http })).notice, message)
      }
    }))
})

describe("storage forget-lost", () => {
  it.effect("says what would be given up, and gives it up only when told to", () =>
    Effect.gen(function*() {
      const directory = yield* usual(join(yield* temporary, "node1"))
      const nothing = yield* run(["storage", "forget-lost", directory], { http })
      assert.deepStrictEqual([nothing.succeeded, nothing.result], [true, "no lost cells are known\n"])
      damage(join(directory, "000004.idx"), 30)
      const before = picture(directory)
      const asked = yield* run(["storage", "forget-lost", directory], { http })
      assert.deepStrictEqual([asked.succeeded, asked.notice], [true, ""])
      assert.include(asked.result, "1 range has lost cells")
      assert.include(asked.result, "keys from \"b\" to \"c\"")
      assert.include(asked.result, "Add --yes to confirm")
      assert.deepStrictEqual(picture(directory), before)
      const done = yield* run(["storage", "forget-lost", directory, "--yes"], { http })
      assert.strictEqual(done.result, "gave up the lost cells of\nkeys from \"b\" to \"c\"\n")
      const { result } = yield* run(["storage", "dump", directory], { http })
      // The newer `b` is in the log; the tombstone of `c` is what was lost.
      assert.deepStrictEqual(keysOf(result), ["a", "b", "c", "d/1", "d/2"])
    }).pipe(Effect.scoped))
})
