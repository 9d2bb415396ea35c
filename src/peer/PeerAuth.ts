/**
 * How a peer proves that it knows the cluster's secret: with a token derived from it, so that the secret itself never
 * travels. Where others can read the network, run the cluster in a private one or a TLS tunnel. Pure.
 */
import { Redacted } from "effect"
import { createHmac, timingSafeEqual } from "node:crypto"

/** The bearer token of peers' requests: 64 hexadecimal digits. */
export const token = (secret: Redacted.Redacted<string>): string =>
  createHmac("sha256", Redacted.value(secret)).update("rondo peer protocol 1").digest("hex")

/** The `Authorization` header of peers' requests. */
export const header = (secret: Redacted.Redacted<string>): string => `Bearer ${token(secret)}`

/** Compares in constant time, so that a stranger cannot guess the token digit by digit. */
export const matches = (expected: string, given: string): boolean => {
  const left = Buffer.from(expected)
  const right = Buffer.from(given)
  return left.length === right.length && timingSafeEqual(left, right)
}
