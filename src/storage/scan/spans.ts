/**
 * Memory that scans read spans of blocks into, used again by the next scan: allocating it for each costs more than
 * reading and checking what goes there.
 */
import * as Bytes from "../../domain/bytes.ts"

/** Eight blocks of the usual size and their lines that run over. */
const spanBytes = 64 * 1024

/** Kept for later; beyond this it is left to the garbage collector. */
const freeMax = 64

const free: Array<Uint8Array> = []

/** Memory of at least `lengthBytes`, with any contents. */
export const take = (lengthBytes: number): Uint8Array =>
  lengthBytes <= spanBytes ? free.pop() ?? Bytes.allocateOwn(spanBytes) : Bytes.allocateOwn(lengthBytes)

/** Takes it back when nobody reads it any more. */
export const give = (memory: Uint8Array): void => {
  if (memory.length === spanBytes && free.length < freeMax) free.push(memory)
}
