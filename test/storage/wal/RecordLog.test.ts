import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import * as DiskMemory from "../../../src/disk/DiskMemory.ts"
import * as Bytes from "../../../src/domain/bytes.ts"
import { headerBytes } from "../../../src/storage/wal/frame.ts"
import * as RecordLog from "../../../src/storage/wal/RecordLog.ts"
import { inVirtualTime } from "../../inVirtualTime.ts"

const path = "data/hints.log"
const records = (...texts: ReadonlyArray<string>) => texts.map((text) => Buffer.from(text))
const texts = ({ payloads }: { readonly payloads: ReadonlyArray<Uint8Array> }) =>
  payloads.map((payload) => Bytes.utf8(payload))

describe("RecordLog", () => {
  inVirtualTime("gives what was appended, and appends behind it after it is opened again", function*() {
    const memory = DiskMemory.make(1)
    const first = yield* RecordLog.open(memory.disk, path, 0)
    yield* first.append(records("one", "two"))
    yield* first.sync
    yield* first.close
    const contents = yield* RecordLog.recover(memory.disk, path)
    assert.deepStrictEqual(texts(contents), ["one", "two"])
    assert.strictEqual(contents.sizeBytes, 2 * headerBytes + 6)
    const second = yield* RecordLog.open(memory.disk, path, contents.sizeBytes)
    yield* second.append(records("three"))
    assert.deepStrictEqual(texts(yield* RecordLog.recover(memory.disk, path)), ["one", "two", "three"])
  })

  inVirtualTime("takes a missing file for an empty log", function*() {
    const contents = yield* RecordLog.recover(DiskMemory.make(1).disk, path)
    assert.deepStrictEqual(contents, { payloads: [], sizeBytes: 0, tornBytes: 0, lostBytes: 0 })
  })

  inVirtualTime("reads page by page, at least one record a page, and stops at the end", function*() {
    const log = yield* RecordLog.open(DiskMemory.make(1).disk, path, 0)
    yield* log.append(records("a", "b", "x".repeat(500), "c"))
    const first = yield* log.read(0, 2 * headerBytes + 5)
    assert.deepStrictEqual(texts(first), ["a", "b"])
    const second = yield* log.read(first.next, 10)
    assert.deepStrictEqual(texts(second), ["x".repeat(500)])
    const third = yield* log.read(second.next, 1000)
    assert.deepStrictEqual(texts(third), ["c"])
    assert.strictEqual(third.next, log.sizeBytes())
    assert.deepStrictEqual(yield* log.read(third.next, 1000), { payloads: [], next: third.next })
  })

  inVirtualTime("reports damage found while reading a page", function*() {
    const memory = DiskMemory.make(1)
    const log = yield* RecordLog.open(memory.disk, path, 0)
    yield* log.append(records("one", "two"))
    memory.damage(path, headerBytes + 3 + headerBytes)
    const page = yield* log.read(0, 1000)
    assert.deepStrictEqual(texts(page), ["one"])
    assert.deepInclude(yield* Effect.flip(log.read(page.next, 1000)), { _tag: "Corruption", offsetBytes: page.next })
  })

  inVirtualTime("is cut at an offset, and appends from there", function*() {
    const memory = DiskMemory.make(1)
    const log = yield* RecordLog.open(memory.disk, path, 0)
    yield* log.append(records("one"))
    const size = log.sizeBytes()
    yield* log.append(records("two"))
    yield* log.truncate(size)
    assert.strictEqual(log.sizeBytes(), size)
    yield* log.append(records("three"))
    assert.deepStrictEqual(texts(yield* RecordLog.recover(memory.disk, path)), ["one", "three"])
  })

  inVirtualTime("accepts nothing after a failed sync, not even another sync", function*() {
    const memory = DiskMemory.make(1)
    const log = yield* RecordLog.open(memory.disk, path, 0)
    yield* log.append(records("one"))
    memory.failNext("sync", path)
    assert.strictEqual((yield* Effect.flip(log.sync))._tag, "DiskError")
    assert.isTrue(log.isBroken())
    assert.include((yield* Effect.flip(log.sync)).message, "BROKEN_LOG")
    assert.include((yield* Effect.flip(log.append(records("two")))).message, "BROKEN_LOG")
  })

  inVirtualTime("finds damage to its last record once that was vouched for", function*() {
    const memory = DiskMemory.make(1)
    const log = yield* RecordLog.open(memory.disk, path, 0)
    yield* log.append(records("one"))
    yield* log.vouch
    memory.damage(path, headerBytes)
    assert.strictEqual((yield* Effect.flip(RecordLog.recover(memory.disk, path)))._tag, "Corruption")
  })

  inVirtualTime("fails to open when its name cannot be made durable", function*() {
    const memory = DiskMemory.make(1)
    memory.failNext("syncDirectory", "data")
    assert.strictEqual((yield* Effect.flip(RecordLog.open(memory.disk, path, 0)))._tag, "DiskError")
  })
})
