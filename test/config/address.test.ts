import { assert, describe, it } from "@effect/vitest"
import { isLoopback, parseAddress } from "../../src/config/address.ts"

describe("address", () => {
  it("splits an address into host and port, with brackets around IPv6", () => {
    assert.deepStrictEqual(parseAddress("127.0.0.1:8081"), { host: "127.0.0.1", port: 8081 })
    assert.deepStrictEqual(parseAddress("node-1.example:0"), { host: "node-1.example", port: 0 })
    assert.deepStrictEqual(parseAddress("[::1]:65535"), { host: "::1", port: 65_535 })
    assert.deepStrictEqual(parseAddress("[fd00::A]:80"), { host: "fd00::A", port: 80 })
    const junk = [
      "",
      ":80",
      "a",
      "a:",
      "a:x",
      "a:-1",
      "a:65536",
      "a:999999",
      "::1:80",
      "[::1]",
      "[x]:80",
      "a b:80",
      "a/b:80",
      "a:80/"
    ]
    for (const text of junk) assert.isUndefined(parseAddress(text), text)
  })

  it("calls an address loopback when only this machine can reach it", () => {
    for (const host of ["localhost", "::1", "127.0.0.1", "127.255.255.254"]) assert.isTrue(isLoopback(host), host)
    for (const host of ["::", "0.0.0.0", "128.0.0.1", "1127.0.0.1", "127.0.0.1.example.com", "127.com", "example"]) {
      assert.isFalse(isLoopback(host), host)
    }
  })
})
