/** The commands on real files in temporary directories. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger } from "effect"
import * as fs from "node:fs"
import { join } from "node:path"
import type { Request } from "../../../src/cli/Http.ts"
import * as Record from "../../../src/cli/record.ts"
import { Disk } from "../../../src/disk/Disk.ts"
import * as DiskNode from "../../../src/disk/DiskNode.ts"
import type { Cell } from "../../../src/domain/cell/Cell.ts"
import type { Storage } from "../../../src/storage/Storage.ts"
import { cell, open, tombstone } from "../../storage/store.ts"
import * as FakeHttp from "../FakeHttp.ts"
import { run } from "../run.ts"
import { temporaryDirectory } from "../temporary.ts"

const fixture = "test/storage/fixtures/format-2"

/** Runs `rondo storage` with these parameters. */
const storage = (...parameters: ReadonlyArray<string>) =>
  run(["storage", ...parameters], { http: FakeHttp.layer(() => FakeHttp.answer(500)) })

const json = (...parameters: ReadonlyArray<string>) =>
  Effect.map(storage(...parameters, "--json"), ({ result }) => JSON.parse(result))

/** A store on the real disk, as a node leaves it. */
const store = Effect.fnUntraced(
  function*(directory: string, fill: (storage: Storage["Service"]) => Effect.Effect<void, unknown>) {
    const disk = yield* Disk
    yield* disk.makeDirectory(directory)
    const { close, storage } = yield* open({ disk }, { directory })
    yield* fill(storage)
    yield* close
    return directory
  },
  Effect.provide(DiskNode.layer)
)

/** Two tables and a log: `b` is newest in the log, `c` deleted. */
const usual = Effect.fnUntraced(function*(parent?: string, name = "node1") {
  return yield* store(join(parent ?? (yield* temporaryDirectory), name), (storage) =>
    Effect.gen(function*() {
      yield* storage.apply([cell("a", 1), cell("b", 2), cell("c", 3), cell("d/1", 4)])
      yield* storage.flush
      yield* storage.apply([cell("b", 5), tombstone("c", 6)])
      yield* storage.flush
      yield* storage.apply([cell("b", 7), cell("d/2", 8)])
    }))
})

const snapshotOf = Effect.fnUntraced(function*(directory: string, cells: ReadonlyArray<Cell>) {
  const source = yield* store(`${directory}-source`, ({ apply }) => apply(cells))
  yield* storage("snapshot", source, directory)
  return directory
})

const linesOf = (text: string) => text.split("\n").filter((line) => line !== "")
const keysOf = (text: string) => linesOf(text).map((line) => (JSON.parse(line) as { readonly key: string }).key)

const fileIn = (directory: string, ending: string) =>
  join(directory, fs.readdirSync(directory).find((name) => name.endsWith(ending))!)

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
      const directory = yield* usual()
      const before = picture(directory)
      const shown = yield* storage("inspect", directory)
      assert.isTrue(shown.succeeded)
      assert.include(shown.result, "format 2, 2 tables of")
      assert.include(shown.result, "with 6 cells (1 tombstone)")
      assert.match(shown.result, /\n0 {6}2 .* 6 .* 1 .*"a" .*"d\/1"\n/)
      assert.match(shown.result, /wal-\d{6}\.log: \d+ B, 2 cells\n/)
      assert.include(shown.result, "a read looks into up to 2 sorted runs")
      assert.include(shown.result, "--full measures it")
      assert.include(shown.result, "nothing is known to be lost (the tables were not read: rondo storage verify does)")
      const tables = yield* storage("inspect", directory, "--tables", "--full")
      assert.match(tables.result, /\n0 {6}000002 /)
      assert.match(tables.result, /space amplification \d\.\d\d: the newest 5 cells \(1 tombstone\) take \d+ B/)
      const inspection = yield* json("inspect", directory, "--full")
      assert.deepInclude(inspection, { format: 2, cells: 6, tombstones: 1, readAmplification: 2, problems: [] })
      assert.strictEqual(inspection.levels[0].tables.length, 2)
      assert.strictEqual(inspection.newest.cells, 5)
      assert.approximately(inspection.spaceAmplification, inspection.bytes / inspection.newest.bytes, 1e-9)
      assert.deepStrictEqual(picture(directory), before)
    }))
})

describe("every command", () => {
  it.effect("refuses a directory in use, and says what to do instead", () =>
    Effect.gen(function*() {
      const directory = yield* usual()
      yield* Effect.flatMap(Disk, (disk) => disk.lock(directory)).pipe(Effect.provide(DiskNode.layer))
      const commands = [["inspect"], ["verify"], ["dump"], ["compact"], ["snapshot", `${directory}-copy`]]
      for (const [command, ...more] of commands) {
        const { notice, result, succeeded } = yield* storage(command!, directory, ...more)
        assert.deepStrictEqual([succeeded, result], [false, ""], command)
        assert.match(notice, /node1 is in use by a running node: .*rondo storage snapshot --node URL NAME/, command)
      }
    }))

  it.effect("refuses what is no store, says why, and creates nothing there", () =>
    Effect.gen(function*() {
      const root = yield* temporaryDirectory
      const none = join(root, "none")
      const file = join(root, "file")
      const empty = join(root, "empty")
      fs.writeFileSync(file, "")
      fs.mkdirSync(empty)
      for (const command of ["inspect", "compact"]) {
        assert.strictEqual((yield* storage(command, none)).notice, `rondo: no such directory: ${none}\n`)
        assert.strictEqual((yield* storage(command, file)).notice, `rondo: ${file} is a file: give its directory\n`)
        const { notice, succeeded } = yield* storage(command, empty)
        assert.include(notice, "is neither a data directory nor a snapshot")
        assert.isFalse(succeeded)
      }
      assert.deepStrictEqual(fs.readdirSync(empty), [])
    }))

  it.effect("says how to go on where a log is damaged or the manifest is lost", () =>
    Effect.gen(function*() {
      const directory = yield* usual()
      damage(fileIn(directory, ".log"), 20)
      for (const [command, ...more] of [["compact"], ["snapshot", `${directory}-copy`]]) {
        const { notice } = yield* storage(command!, directory, ...more)
        assert.include(notice, "start the node once with --salvage, then stop it and try again", command)
      }
      assert.match(
        (yield* storage("dump", directory)).notice,
        /\.log is damaged at byte 0, and .*\n {2}--skip-damage dumps every record of it that can be read/
      )
      assert.match(
        (yield* storage("forget-lost", directory)).result,
        /^no lost cells are known in tables; .*\.log is damaged: see rondo storage verify/
      )
      const manifest = join(directory, "MANIFEST")
      for (const spoil of [() => damage(manifest, 5), () => fs.rmSync(manifest)]) {
        spoil()
        for (const command of ["inspect", "verify", "dump", "compact"]) {
          const { notice } = yield* storage(command, directory)
          assert.include(notice, "The store cannot be opened without its MANIFEST.", command)
          assert.include(notice, `jq -c 'select(.key)' ${directory}/*.sst`, command)
        }
      }
    }))
})

describe("storage verify", () => {
  it.effect("finds a whole store whole, and fails with every place that is not", () =>
    Effect.gen(function*() {
      const directory = yield* usual()
      const whole = yield* storage("verify", directory)
      assert.match(whole.result, /^whole: 2 tables, 2 blocks, \d+ B, 1 log checked, 0 problems\n$/)
      damage(join(directory, "000002.sst"), 30)
      damage(join(directory, "000004.idx"), 30)
      const log = fileIn(directory, ".log")
      damage(log, 20)
      const before = picture(directory)
      const damaged = yield* storage("verify", directory)
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
      const report = yield* json("verify", directory)
      assert.deepStrictEqual([report.problems.length, report.damage.length, report.tables], [3, 2, 1])
      assert.deepStrictEqual(picture(directory), before)
    }))
})

describe("storage dump", () => {
  it.effect("writes the newest of each key as import reads it, with what logs hold, and no tombstone", () =>
    Effect.gen(function*() {
      const { result } = yield* storage("dump", yield* usual())
      const records = linesOf(result).map(Record.decode)
      assert.deepStrictEqual(
        records.map((record) => record._tag === "Success" ? [record.success.key, String(record.success.bytes)] : []),
        [["a", "a@1"], ["b", "b@7"], ["d/1", "d/1@4"], ["d/2", "d/2@8"]]
      )
    }))

  it.effect("walks the keys that it is told to", () =>
    Effect.gen(function*() {
      const directory = yield* usual()
      const dumped = (...flags: ReadonlyArray<string>) =>
        Effect.map(storage("dump", directory, ...flags), ({ result }) => keysOf(result))
      assert.deepStrictEqual(yield* dumped("--prefix", "d/"), ["d/1", "d/2"])
      assert.deepStrictEqual(yield* dumped("--from", "b", "--to", "d/2"), ["b", "d/1"])
      assert.deepStrictEqual(yield* dumped("--reverse", "--limit", "2"), ["d/2", "d/1"])
      assert.deepStrictEqual(yield* dumped("--limit", "0"), [])
      assert.deepStrictEqual(yield* dumped("--table", "2"), ["a", "b", "c", "d/1"])
      assert.deepStrictEqual(yield* dumped("--table", "4", "--cells", "--tombstones"), ["b", "c"])
    }))

  it.effect("prints cells as tables hold them, and passes over what is lost when told to", () =>
    Effect.gen(function*() {
      const { result } = yield* storage("dump", fixture, "--cells", "--tombstones", "--skip-damage")
      assert.strictEqual(result, fs.readFileSync(join(fixture, "expected.ndjson"), "utf8"))
    }))

  it.effect("of several nodes gives the newest of each key, and nothing that one of them has deleted", () =>
    Effect.gen(function*() {
      const root = yield* temporaryDirectory
      const snapshots = [
        yield* snapshotOf(join(root, "1"), [cell("a", 1), cell("b", 2), cell("c", 3)]),
        yield* snapshotOf(join(root, "2"), [cell("a", 9), tombstone("b", 8)]),
        yield* snapshotOf(join(root, "3"), [cell("a", 4), cell("c", 3)])
      ]
      const { result } = yield* storage("dump", ...snapshots, "--cells")
      assert.deepStrictEqual(linesOf(result).map((line) => JSON.parse(line).value), ["a@9", "c@3"])
    }))

  it.effect("stops at damage, unless told to skip it", () =>
    Effect.gen(function*() {
      const directory = yield* usual()
      damage(join(directory, "000002.sst"), 30)
      const stopped = yield* storage("dump", directory)
      assert.isFalse(stopped.succeeded)
      assert.match(stopped.notice, /000002\.sst is damaged at byte 0: .*\n {2}--skip-damage/)
      const rest = yield* storage("dump", directory, "--skip-damage")
      assert.deepStrictEqual([rest.succeeded, keysOf(rest.result)], [true, ["b", "d/2"]])
      assert.strictEqual(
        rest.notice,
        "skipped 1 damaged range: keys from \"a\" to \"d/1\"; a key there may be missing, or have an older value\n"
      )
      const elsewhere = yield* storage("dump", directory, "--skip-damage", "--from", "d/2")
      assert.strictEqual(elsewhere.notice, "")
    }))

  it.effect("writes nothing beside lines of JSON to where the cells go, whatever is damaged", () =>
    Effect.gen(function*() {
      const directory = yield* usual()
      damage(join(directory, "000002.sst"), 30)
      const logged: Array<unknown> = []
      const logger = Logger.layer([Logger.make(({ message }) => {
        logged.push(message)
      })])
      for (const [command, ...flags] of [["dump"], ["dump", "--skip-damage"], ["inspect", "--full"]]) {
        yield* Effect.provide(storage(command!, directory, ...flags), logger)
      }
      assert.deepStrictEqual(logged, [])
      const { problems } = yield* json("inspect", directory, "--full")
      assert.match(problems.join(), /^cells are lost of keys from "a" to "d\/1": /)
      const shown = yield* storage("inspect", directory, "--full")
      assert.include(shown.result, "\ncells are lost of keys from \"a\" to \"d/1\": ")
    }))

  const contradictions = [
    [["here", "--tombstones"], "--tombstones needs --cells"],
    [["here", "here", "--reverse"], "--reverse is for one directory"],
    [["here", "here", "--table", "2"], "--table is for one directory"],
    [["here", "--table", "99"], "has no table 99"]
  ] as const
  it.effect.each(contradictions)("refuses what it cannot mean: %s", ([parameters, message]) =>
    Effect.gen(function*() {
      const directory = yield* usual()
      const given = parameters.map((parameter) => parameter === "here" ? directory : parameter)
      const { notice, result, succeeded } = yield* storage("dump", ...given)
      assert.deepStrictEqual([succeeded, result], [false, ""])
      assert.include(notice, message)
    }))
})

describe("storage compact, snapshot and restore", () => {
  it.effect("rewrite a stopped node's store, copy it, and make the copy a data directory", () =>
    Effect.gen(function*() {
      const directory = yield* usual()
      const before = (yield* storage("dump", directory)).result
      assert.deepInclude(yield* json("compact", directory), { tablesBefore: 3, tables: 1 })
      const again = yield* storage("compact", directory)
      assert.strictEqual(again.result, "nothing to compact: the store is one sorted run already\n")
      const [copy, restored] = [`${directory}-copy`, `${directory}-restored`]
      const taken = yield* storage("snapshot", directory, copy)
      assert.match(taken.result, /copy: 1 table of \d+ B, by hard links\n$/)
      const refused = yield* storage("snapshot", directory, copy)
      assert.include(refused.notice, "copy is not empty: name a directory that does not exist yet")
      const done = yield* storage("restore", copy, restored)
      assert.match(done.result, /^restored 1 table of \d+ B with 5 cells into .*, by hard links\n/)
      assert.include(done.result, "(/readyz says so)\nuntil it has synced with every other replica")
      assert.isFalse(fs.existsSync(join(restored, "identity.json")))
      assert.strictEqual((yield* storage("dump", restored)).result, before)
      assert.include((yield* storage("restore", copy, restored)).notice, "restored is not empty")
    }))

  const spoilings: ReadonlyArray<
    readonly [what: string, ending: string, spoil: (file: string) => void, holesAtStart: number]
  > = [
    ["a damaged table", ".sst", (file) => damage(file, 30), 0],
    ["no table", ".sst", fs.rmSync, 1],
    ["no index", ".idx", fs.rmSync, 1]
  ]
  it.effect.each(spoilings)(
    "restore a snapshot with %s only when damage is allowed",
    ([, ending, spoil, holes]) =>
      Effect.gen(function*() {
        const snapshot = yield* snapshotOf(join(yield* temporaryDirectory, "copy"), [cell("a", 1), cell("b", 2)])
        const target = `${snapshot}-restored`
        const file = fileIn(snapshot, ending)
        spoil(file)
        const refused = yield* storage("restore", snapshot, target)
        assert.isFalse(refused.succeeded)
        assert.include(refused.notice, `copy is damaged in 1 place: ${file} `)
        assert.isFalse(fs.existsSync(target))
        const done = yield* storage("restore", snapshot, target, "--allow-damage")
        assert.isTrue(done.succeeded, done.notice)
        assert.match(
          done.result,
          /\n1 place is damaged: keys from "a" to "b", of .*copy\/\d{6}\.\w+\. The node gets them from other replicas\n/
        )
        assert.isFalse(fs.existsSync(join(target, "LOCK")))
        const report = yield* json("restore", snapshot, `${target}-2`, "--allow-damage")
        assert.strictEqual(report.damage.length, 1)
        assert.deepInclude(report.damage[0], { from: "a", to: "b\u0000" })
        // A node notices a missing file when it starts, a damaged block when it reads it.
        yield* store(target, ({ stats }) => Effect.map(stats, (found) => assert.lengthOf(found.holes, holes)))
      })
  )

  it.effect("restore no data directory, and leave nothing where it was to go", () =>
    Effect.gen(function*() {
      const directory = yield* snapshotOf(join(yield* temporaryDirectory, "node1"), [cell("a", 1)])
      fs.writeFileSync(join(directory, "identity.json"), "{}")
      const refused = yield* storage("restore", directory, `${directory}-restored`)
      assert.include(refused.notice, `rondo storage snapshot ${directory} NEW-DIRECTORY`)
      assert.isFalse(fs.existsSync(`${directory}-restored`))
    }))

  it.effect("leave no lock in a snapshot that they compact", () =>
    Effect.gen(function*() {
      const snapshot = yield* snapshotOf(join(yield* temporaryDirectory, "copy"), [cell("a", 1)])
      assert.isTrue((yield* storage("compact", snapshot)).succeeded)
      for (const name of fs.readdirSync(snapshot)) assert.match(name, /^(?:MANIFEST|\d+\.(?:sst|idx))$/)
    }))

  it.effect("name what compaction has lost, which verification then does not call whole", () =>
    Effect.gen(function*() {
      const directory = yield* usual()
      damage(join(directory, "000002.sst"), 30)
      assert.include(
        (yield* storage("compact", directory)).result,
        "1 range could not be read and is lost here: a node that starts on this directory gets the cells from other " +
          "replicas\nkeys from \"a\" to \"d/1\", of "
      )
      const verified = yield* storage("verify", directory)
      assert.isFalse(verified.succeeded)
      assert.include(verified.result, "readable, but 1 range is lost: ")
      assert.isFalse((yield* json("verify", directory)).whole)
    }))

  it.effect("compact a database of level without its tombstones, as the database does", () =>
    Effect.gen(function*() {
      const root = yield* temporaryDirectory
      for (const [owner, tombstones] of [["level", 0], ["node1", 1]] as const) {
        const directory = yield* usual(root, owner)
        fs.writeFileSync(join(directory, "identity.json"), JSON.stringify({ format: 1, nodeId: owner }))
        assert.isTrue((yield* storage("compact", directory)).succeeded)
        assert.strictEqual((yield* json("inspect", directory)).tombstones, tombstones, owner)
      }
    }))
})

describe("storage snapshot --node", () => {
  const taken = { name: "monday", directory: "d/snapshots/monday", tables: 3, cells: 40, bytes: 5000, bytesCopied: 0 }
  const live = (http: ReturnType<typeof FakeHttp.layer>, ...parameters: ReadonlyArray<string>) =>
    run(["storage", "snapshot", "--node", ...parameters], { http, environment: { CLUSTER_SECRET: "s" } })

  it.effect("takes one of each node, with the cluster's secret", () =>
    Effect.gen(function*() {
      const asked: Array<Request> = []
      const nodes = FakeHttp.layer(() => FakeHttp.answer(201, JSON.stringify(taken)), asked)
      assert.strictEqual(
        (yield* live(nodes, "a:1,b:2", "monday")).result,
        "http://a:1: d/snapshots/monday: 3 tables of 4.9 KiB, by hard links\n" +
          "http://b:2: d/snapshots/monday: 3 tables of 4.9 KiB, by hard links\n"
      )
      assert.deepStrictEqual(
        asked.map(({ method, path }) => `${method} ${path}`),
        ["POST /snapshots", "POST /snapshots"]
      )
      assert.match(asked[0]!.headers!["authorization"]!, /^Bearer [0-9a-f]{64}$/)
      assert.deepStrictEqual(JSON.parse(Buffer.from(asked[0]!.body!).toString()), { name: "monday" })
    }))

  it.effect("asks every node, and fails with what each of them refused", () =>
    Effect.gen(function*() {
      const answers: Readonly<Record<string, ReturnType<typeof FakeHttp.answer>>> = {
        "http://b:2": FakeHttp.answer(409, JSON.stringify({ _tag: "SnapshotExists" })),
        "http://c:3": FakeHttp.answer(401),
        "http://d:4": FakeHttp.answer(201, JSON.stringify(taken))
      }
      const nodes = FakeHttp.layer(({ origin }) => answers[origin] ?? FakeHttp.unreachable(origin))
      const out = yield* live(nodes, "a:1,b:2,c:3,d:4", "monday")
      assert.isFalse(out.succeeded)
      assert.include(out.result, "http://d:4: d/snapshots/monday")
      assert.strictEqual(
        out.notice,
        "rondo: cannot connect to http://a:1: is a node running there?\n" +
          "rondo: http://b:2: a snapshot monday exists already: choose another name, or remove it: " +
          "rondo storage snapshot --node b:2 monday --remove\n" +
          "rondo: http://c:3 refused the secret: set CLUSTER_SECRET to that of the cluster\n"
      )
    }))

  it.effect("lists and removes", () =>
    Effect.gen(function*() {
      const asked: Array<Request> = []
      const stored = { name: "monday", state: "complete", tables: 3, cells: 40, bytes: 5000 }
      const list = FakeHttp.answer(200, JSON.stringify({ node: "node1", snapshots: [stored] }))
      const nodes = FakeHttp.layer(({ method }) => method === "DELETE" ? FakeHttp.answer(204) : list, asked)
      assert.match(
        (yield* live(nodes, "a:1", "--list")).result,
        /^node .*\nnode1 {2}monday {4}complete {2}3 {7}4\.9 KiB {2}40\n$/
      )
      const removed = yield* live(nodes, "a:1", "--remove", "monday")
      assert.strictEqual(removed.result, "http://a:1: removed monday\n")
      assert.deepStrictEqual([asked[1]!.method, asked[1]!.path], ["DELETE", "/snapshots/monday"])
    }))

  const incomplete = [
    [["a"], "give the directory of a stopped node and a new directory"],
    [["a", "--list"], "add --node URL"],
    [["--node", "a:1"], "give the snapshot a name, such as"],
    [["--node", "a:1", "x", "y"], "give one name"],
    [["--node", "a:1", "--list", "x"], "--list takes no name"]
  ] as const
  it.effect.each(incomplete)("given %s says what it needs: %s", ([parameters, message]) =>
    Effect.gen(function*() {
      assert.include((yield* storage("snapshot", ...parameters)).notice, message)
    }))
})

describe("storage forget-lost", () => {
  it.effect("says what would be given up, and gives it up only when told to", () =>
    Effect.gen(function*() {
      const directory = yield* usual()
      const nothing = yield* storage("forget-lost", directory)
      assert.deepStrictEqual([nothing.succeeded, nothing.result], [true, "no lost cells are known\n"])
      damage(join(directory, "000004.idx"), 30)
      const before = picture(directory)
      const asked = yield* storage("forget-lost", directory)
      assert.deepStrictEqual([asked.succeeded, asked.notice], [true, ""])
      assert.include(asked.result, "1 range has lost cells")
      assert.include(asked.result, "keys from \"b\" to \"c\"")
      assert.include(asked.result, "Add --yes to confirm")
      assert.deepStrictEqual(picture(directory), before)
      const done = yield* storage("forget-lost", directory, "--yes")
      assert.strictEqual(done.result, "gave up the lost cells of\nkeys from \"b\" to \"c\"\n")
      // The newer `b` is in the log; the tombstone of `c` is what was lost.
      assert.deepStrictEqual(keysOf((yield* storage("dump", directory)).result), ["a", "b", "c", "d/1", "d/2"])
    }))
})
