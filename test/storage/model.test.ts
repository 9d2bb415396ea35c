import { assert, it } from "@effect/vitest"
import { Effect, Exit, Schema, Scope } from "effect"
import * as DiskMemory from "../../src/disk/DiskMemory.ts"
import * as CellModule from "../../src/domain/cell/Cell.ts"
import type { Cell } from "../../src/domain/cell/Cell.ts"
import { compare } from "../../src/domain/Key.ts"
import * as Follower from "../../src/simulation/Follower.ts"
import { run } from "../inVirtualTime.ts"
import { atOnce, cell, collect, crash, key, type Open, open as openStore, plain, tombstone } from "./store.ts"

/** Few keys, so that they are overwritten often; some with characters that JSON or byte order treat specially. */
const keys = ["a", "b", "k/1", "k/2", "k/10", "quote\"", "back\\slash", "line\nfeed", "ü", "\uFFEE", "\u{1F600}", "z"]

const Write = Schema.Struct({
  key: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: keys.length - 1 })),
  counter: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 40 })),
  kind: Schema.Literals(["short", "long", "binary", "tombstone"])
})

const Step = Schema.Union([
  Schema.Struct({ step: Schema.Literal("apply"), writes: Schema.Array(Write) }),
  Schema.Struct({ step: Schema.Literals(["flush", "compact", "restart", "crash", "read", "apply concurrently"]) })
])

const toCell = ({ counter, key: index, kind }: typeof Write.Type): Cell => {
  const name = keys[index]!
  if (kind === "tombstone") return tombstone(name, counter)
  if (kind === "short") return cell(name, counter)
  if (kind === "long") return cell(name, counter, `${name}@${counter} `.repeat(200))
  return { ...cell(name, counter), value: { bytes: Buffer.from([0xff, counter, 0, 0x0a, 0x22]), contentType: "x/y" } }
}

const check = Effect.fnUntraced(function*({ follower, storage }: Followed, model: ReadonlyMap<string, Cell>) {
  assert.isUndefined(yield* follower.check)
  for (const name of keys) {
    assert.deepStrictEqual(plain(yield* storage.get(key(name))), plain(model.get(name)))
    assert.deepStrictEqual(yield* storage.version(key(name)), model.get(name)?.version)
  }
  const expected = Array.from(model.values()).sort((left, right) => compare(left.key, right.key))
  assert.deepStrictEqual((yield* collect(storage)).map(plain), expected.map(plain))
  const stats = yield* storage.stats
  assert.isUndefined(stats.refusing)
})

interface Followed extends Open {
  readonly follower: Follower.Follower
}

const open = Effect.fnUntraced(function*(memory: DiskMemory.DiskMemory) {
  const opened = yield* openStore(memory, { memtableBytesMax: 4000, blockCacheBytesMax: 20_000 })
  const scope = yield* Scope.make()
  const follower = yield* Follower.start(opened.storage).pipe(Scope.provide(scope))
  const followed: Followed = {
    ...opened,
    follower,
    close: Effect.andThen(Scope.close(scope, Exit.void), opened.close)
  }
  return followed
})

/** The model: a map of the newest cell of each key. */
const take = (model: Map<string, Cell>, one: Cell): string => {
  const before = model.get(one.key)
  const wins = before === undefined || CellModule.compare(one, before) >= 0
  if (wins) model.set(one.key, one)
  return wins ? "Accepted" : "Superseded"
}

it.prop(
  "any sequence of writes, flushes, compactions, restarts and crashes equals a map and the feed",
  {
    seed: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 ** 31 })),
    steps: Schema.Array(Step).check(Schema.isMaxLength(40))
  },
  ({ seed, steps }) =>
    run(Effect.gen(function*() {
      const memory = DiskMemory.make(seed)
      const model = new Map<string, Cell>()
      let opened = yield* open(memory)
      for (const one of steps) {
        switch (one.step) {
          case "apply": {
            const cells = one.writes.map(toCell)
            const answers = yield* opened.storage.apply(cells)
            assert.deepStrictEqual(answers.map(({ _tag }) => _tag), cells.map((written) => take(model, written)))
            break
          }
          case "apply concurrently": {
            const cells = keys.map((name, index) => cell(name, 41 + index))
            yield* atOnce(cells.map((written) => opened.storage.apply([written])))
            for (const written of cells) take(model, written)
            break
          }
          case "flush":
          case "compact":
            yield* opened.storage[one.step]
            break
          case "restart":
            yield* opened.close
            opened = yield* open(memory)
            break
          case "crash":
            yield* crash(memory, opened)
            opened = yield* open(memory)
            break
          case "read":
            yield* check(opened, model)
        }
      }
      yield* check(opened, model)
      yield* opened.close
    })),
  { arbitrary: { runs: 150 } }
)
