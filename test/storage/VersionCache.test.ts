import { assert, describe, it } from "@effect/vitest"
import * as VersionCache from "../../src/storage/VersionCache.ts"
import { version } from "./store.ts"

const stored = (counter: number) => ({ version: version(counter), isTombstone: false })

describe("VersionCache", () => {
  it("answers with what was put last", () => {
    const cache = VersionCache.make(4)
    assert.isUndefined(cache.get("a"))
    cache.put("a", stored(1))
    cache.put("a", stored(2))
    assert.deepStrictEqual(cache.get("a"), stored(2))
  })

  it("forgets what nobody asked for in two generations, and keeps what somebody did", () => {
    const cache = VersionCache.make(4)
    cache.put("asked", stored(1))
    cache.put("forgotten", stored(2))
    for (let index = 0; index < 12; index++) {
      cache.put(`other-${index}`, stored(10 + index))
      assert.deepStrictEqual(cache.get("asked"), stored(1))
    }
    assert.isUndefined(cache.get("forgotten"))
    assert.isUndefined(cache.get("other-0"))
    assert.deepStrictEqual(cache.get("other-11"), stored(21))
  })

  it("never answers with an older generation's version of a key that was put again", () => {
    const cache = VersionCache.make(2)
    cache.put("a", stored(1))
    cache.put("b", stored(2))
    cache.put("c", stored(3))
    cache.put("a", stored(4))
    cache.put("d", stored(5))
    assert.deepStrictEqual(cache.get("a"), stored(4))
  })
})
