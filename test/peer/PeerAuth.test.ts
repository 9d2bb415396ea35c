import { assert, describe, it } from "@effect/vitest"
import { Redacted } from "effect"
import * as PeerAuth from "../../src/peer/PeerAuth.ts"

const secret = Redacted.make("a secret")

describe("PeerAuth", () => {
  it("derives the same token on every node and in every release", () => {
    assert.strictEqual(PeerAuth.token(secret), "a93d2f5c049b5a5430f4b8eafe3ba4c78bde657afcd405adc97f3e39853b4a04")
    assert.strictEqual(PeerAuth.header(secret), `Bearer ${PeerAuth.token(secret)}`)
  })

  it("derives another token from another secret, and does not show the secret", () => {
    assert.notStrictEqual(PeerAuth.token(Redacted.make("a secret ")), PeerAuth.token(secret))
    assert.notStrictEqual(PeerAuth.token(Redacted.make("")), PeerAuth.token(secret))
    assert.notInclude(PeerAuth.header(secret), "a secret")
  })

  it("matches the very token and nothing else, of any length", () => {
    const token = PeerAuth.token(secret)
    assert.isTrue(PeerAuth.matches(token, PeerAuth.token(secret)))
    const others = [
      "",
      token.slice(1),
      token.slice(0, -1),
      `${token}0`,
      token.toUpperCase(),
      "é".repeat(32),
      "0".repeat(64)
    ]
    for (const other of others) assert.isFalse(PeerAuth.matches(token, other), other)
  })
})
