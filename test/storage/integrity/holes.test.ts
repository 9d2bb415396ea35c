import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { DiskFull } from "../../../src/disk/StorageError.ts"
import {
  accepted,
  assertAbsent,
  assertHolds,
  cell,
  collect,
  key,
  numbered,
  pathsOf,
  type Stage,
  withStore,
  writeTable
} from "../store.ts"

const cells = numbered(60, 300)

/** Damages two blocks of the only table: gives the holes that these leave, and the lost cells. */
const damaged = Effect.fnUntraced(function*({ memory, storage }: Stage) {
  yield* writeTable(storage, ...cells)
  for (const offsetBytes of [1000, 10_000]) memory.damage(pathsOf(memory, ".sst")[0]!, offsetBytes)
  yield* storage.verify
  yield* Effect.sleep("1 second")
  const { holes } = yield* storage.stats
  assert.strictEqual(holes.length, 2)
  return { holes, lost: cells.filter((cell) => holes.some(({ from, to }) => from <= cell.key && cell.key < to)) }
})

describe("holes", () => {
  withStore("closed after a repair stay closed after a crash", function*(stage) {
    const { storage } = stage
    const { holes, lost } = yield* damaged(stage)
    yield* storage.apply(lost, { fills: holes })
    yield* storage.closeHoles(holes)
    assert.deepStrictEqual((yield* storage.stats).holes, [])
    assert.strictEqual((yield* collect(storage)).length, cells.length)
    const reopened = yield* stage.crash
    assert.deepStrictEqual((yield* reopened.stats).holes, [])
    yield* assertHolds(reopened, ...cells)
  })

  withStore("are closed one by one, and the others stay after a restart", function*(stage) {
    const { storage } = stage
    const { holes } = yield* damaged(stage)
    yield* storage.closeHoles([{ ...holes[0]! }])
    assert.deepStrictEqual((yield* storage.stats).holes, holes.slice(1))
    const reopened = yield* stage.restart
    assert.deepStrictEqual((yield* reopened.stats).holes, holes.slice(1))
    assert.strictEqual((yield* Effect.flip(reopened.get(key(holes[1]!.from))))._tag, "Corruption")
    yield* assertAbsent(reopened, holes[0]!.from)
  })

  withStore("stay open when the manifest cannot be written", function*(stage) {
    const { memory, storage } = stage
    const { holes } = yield* damaged(stage)
    memory.setFull(true)
    assert.instanceOf(yield* Effect.flip(storage.closeHoles(holes)), DiskFull)
    assert.deepStrictEqual((yield* storage.stats).holes, holes)
    memory.setFull(false)
    yield* storage.closeHoles(holes)
    assert.deepStrictEqual((yield* storage.stats).holes, [])
  })

  withStore("accept an older cell than the lost one", function*(stage) {
    const { storage } = stage
    const { holes, lost } = yield* damaged(stage)
    const older = cell(lost[0]!.key, 0, "what the other replicas have")
    assert.deepStrictEqual(yield* storage.apply([older], { fills: holes }), [accepted])
    yield* storage.closeHoles(holes)
    yield* assertHolds(storage, older)
    assert.deepStrictEqual(yield* storage.version(older.key), older.version)
  })
})
