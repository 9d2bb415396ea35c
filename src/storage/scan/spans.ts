/**
 * Memory that scans read spans of blocks into, used again by the next scan: making it anew for each costs more than
 * reading and checking what goes there.
 */

/** Eight blocks of the usual size and their lines that run over. */
const spanBytes = 64 * 1024

/** Kept for later; beyond this it is left to the garbage collector. */
const freeMax = 64

const free: Array<Buffer> = []

/** Memory of at least so many bytes, with any contents. */
export const take = (lengthBytes: number): Buffer =>
  lengthBytes <= spanBytes ? free.pop() ?? Buffer.allocUnsafeSlow(spanBytes) : Buffer.allocUnsafeSlow(lengthBytes)

/** Takes it back from whoever does not look at it any more. */
export const give = (memory: Buffer): void => {
  if (memory.length === spanBytes && free.length < freeMax) free.push(memory)
}
