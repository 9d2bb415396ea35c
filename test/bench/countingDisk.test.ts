import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as countingDisk from "../../bench/storage/countingDisk.ts"
import { Disk } from "../../src/disk/Disk.ts"
import * as DiskMemory from "../../src/disk/DiskMemory.ts"

describe("countingDisk", () => {
  it.effect("counts bytes by log and table, and each read, and hands everything on", () =>
    Effect.gen(function*() {
      const counted = countingDisk.counts()
      const inner = yield* Disk
      const disk = countingDisk.make(inner, counted)
      yield* disk.makeDirectory("/data")
      const log = yield* disk.openAppend("/data/wal-000001.log")
      yield* log.append(Buffer.from("12345"))
      const table = yield* disk.openAppend("/data/000001.sst")
      yield* table.append(Buffer.from("123"))
      yield* table.append(Buffer.from("4567"))
      assert.deepStrictEqual(counted, { logBytes: 5, tableBytes: 7, reads: 0 })
      const handle = yield* disk.openRead("/data/000001.sst")
      assert.strictEqual((yield* handle.read(1, 3)).toString(), "234")
      assert.strictEqual(counted.reads, 1)
      assert.strictEqual((yield* inner.readFile("/data/000001.sst"))?.toString(), "1234567")
    }).pipe(Effect.provide(DiskMemory.layer)))

  it.effect("counts a read at once when it succeeds, since one that is refused is asked for again", () =>
    Effect.gen(function*() {
      const counted = countingDisk.counts()
      const inner = yield* Disk
      const resident = {
        ...inner,
        openRead: () =>
          Effect.succeed({
            read: () => Effect.die("not asked for"),
            readNow: (offsetBytes: number) => offsetBytes === 0,
            close: Effect.void
          })
      }
      const handle = yield* countingDisk.make(resident, counted).openRead("/data/000001.sst")
      assert.isFalse(handle.readNow(4, 4, Buffer.alloc(4)))
      assert.strictEqual(counted.reads, 0)
      assert.isTrue(handle.readNow(0, 4, Buffer.alloc(4)))
      assert.strictEqual(counted.reads, 1)
    }).pipe(Effect.provide(DiskMemory.layer)))
})
