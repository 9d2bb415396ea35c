/**
 * A node's disk: the memory disk, whose operations take time, so that a crash falls between them, and can be slow.
 */
import { Duration, Effect } from "effect"
import type { AppendHandle, Disk } from "../disk/Disk.ts"
import type { DiskMemory } from "../disk/DiskMemory.ts"
import type { SeededRandom } from "../domain/SeededRandom.ts"

export interface Speed {
  /** How many times slower than usual. */
  factor: number
}

/** Of an ordinary SSD: a sync takes a millisecond or two, a write into the page cache next to nothing. */
const latencyMillis = { append: [0, 0.1], sync: [0.2, 3], read: [0.02, 0.2], names: [0.05, 1] } as const

export const make = (memory: DiskMemory, random: SeededRandom, speed: Speed): Disk["Service"] => {
  const { disk } = memory
  const delay = (kind: keyof typeof latencyMillis) =>
    Effect.suspend(() => {
      const [least, most] = latencyMillis[kind]
      return Effect.sleep(Duration.millis(speed.factor * random.between(least, most)))
    })
  const slowly = <A, E>(kind: keyof typeof latencyMillis, operation: Effect.Effect<A, E>): Effect.Effect<A, E> =>
    Effect.uninterruptible(Effect.andThen(delay(kind), operation))
  const appendHandle = (handle: AppendHandle): AppendHandle => ({
    // The bytes are in the page cache at once, and the caller goes on later.
    append: (bytes) => Effect.uninterruptible(Effect.andThen(handle.append(bytes), delay("append"))),
    sync: slowly("sync", handle.sync),
    close: handle.close
  })
  return {
    ...disk,
    readFile: (path) => slowly("read", disk.readFile(path)),
    openRead: (path) =>
      Effect.map(slowly("read", disk.openRead(path)), (handle) => ({
        ...handle,
        read: (offset, length) => slowly("read", handle.read(offset, length))
      })),
    openAppend: (path, options) => Effect.map(slowly("names", disk.openAppend(path, options)), appendHandle),
    truncate: (path, sizeBytes) => slowly("sync", disk.truncate(path, sizeBytes)),
    link: (from, to) => slowly("names", disk.link(from, to)),
    rename: (from, to) => slowly("names", disk.rename(from, to)),
    remove: (path) => slowly("names", disk.remove(path)),
    syncDirectory: (path) => slowly("sync", disk.syncDirectory(path))
  }
}
