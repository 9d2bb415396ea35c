/**
 * Engine settings, under all of which a sequence must give the same answers. A seed draws each setting by itself, from
 * its extremes and its default.
 *
 * Pure.
 */
import * as SeededRandom from "../../src/domain/SeededRandom.ts"
import type * as Engine from "../../src/storage/Engine.ts"

/** The probability of each disturbance before a request. */
export interface Disturb {
  readonly pause: number
  readonly restart: number
  readonly crash: number
  /** The power never fails, because this store does not sync. */
  readonly onlyKill: boolean
}

type EngineSettings = Omit<Engine.Options, "directory">

export interface Settings {
  /** One for each start, in turn: a store may be opened with other settings than before. */
  readonly engines: ReadonlyArray<EngineSettings>
  readonly disturb: Disturb
}

const defaults: Settings = {
  engines: [{ fsync: "always", memtableBytesMax: 16 * 1024 * 1024, blockCacheBytesMax: 16 * 1024 * 1024 }],
  disturb: { pause: 0, restart: 0, crash: 0, onlyKill: false }
}

/** The first are the defaults without disturbances: if they fail, the settings are not to blame. */
export const draw = (seed: number, count: number): ReadonlyArray<Settings> => {
  const random = SeededRandom.make(seed).fork("settings")
  return [defaults, ...Array.from({ length: count - 1 }, () => one(random))]
}

const one = ({ pick }: SeededRandom.SeededRandom): Settings => {
  const fsync = pick(["always", "always", "always", "interval", "never"] as const)
  const tombstones = pick(["keep", "keep", "purge"] as const)
  const engine = (): EngineSettings => ({
    fsync,
    tombstones,
    memtableBytesMax: pick([300, 2000, 2000, 8000, 30_000, 1_000_000]),
    blockCacheBytesMax: pick([0, 2000, 20_000, 16 * 1024 * 1024]),
    blockBytes: pick([64, 500, 4096, 64 * 1024]),
    bloomBitsPerKey: pick([1, 10, 10, 20]),
    tableBytes: pick([500, 4000, 4000, 16 * 1024 * 1024]),
    levelBytes: pick([500, 4000, 4000, 256 * 1024 * 1024]),
    // From merges of single tables to merges only once writers are slowed down.
    level0Tables: pick([1, 2, 4, 30])
  })
  return {
    engines: pick([[engine()], [engine(), engine()]]),
    disturb: {
      pause: pick([0, 0.02, 0.3]),
      restart: pick([0, 0, 0.02, 0.1]),
      crash: pick([0, 0.02, 0.1]),
      onlyKill: fsync !== "always"
    }
  }
}
