/** Evicts files from the operating system's page cache, and measures how much of them is in it. */
import { execFileSync } from "node:child_process"

export interface Eviction {
  readonly residentBytes: number
  readonly sizeBytes: number
}

/** Arguments of one call: far below the limit of the system. */
const filesPerCall = 500

const residency = (files: ReadonlyArray<string>): Eviction => {
  let residentBytes = 0
  let sizeBytes = 0
  for (let start = 0; start < files.length; start += filesPerCall) {
    const output = execFileSync("fincore", ["-b", "-n", "-o", "RES,SIZE", ...files.slice(start, start + filesPerCall)])
    const seen = parseResidency(output.toString())
    residentBytes += seen.residentBytes
    sizeBytes += seen.sizeBytes
  }
  return { residentBytes, sizeBytes }
}

/** Adds up `fincore`'s lines of two numbers. */
export const parseResidency = (text: string): Eviction => {
  let residentBytes = 0
  let sizeBytes = 0
  for (const line of text.split("\n")) {
    const numbers = /^\s*(\d+)\s+(\d+)\s*$/.exec(line)
    if (numbers === null) continue
    residentBytes += Number(numbers[1])
    sizeBytes += Number(numbers[2])
  }
  return { residentBytes, sizeBytes }
}

/**
 * Writes the files back, then advises the kernel that they are no longer needed; `dd` does this when it copies nothing.
 * Returns what `fincore` reports afterwards, or a sentence that says why it failed. No process may have the files
 * mapped, because the kernel keeps mapped pages.
 */
export const evict = (files: ReadonlyArray<string>): Eviction | string => {
  try {
    for (let start = 0; start < files.length; start += filesPerCall) {
      execFileSync("sync", files.slice(start, start + filesPerCall))
    }
    for (const file of files) {
      execFileSync("dd", [`if=${file}`, "iflag=nocache", "count=0", "status=none"], { stdio: "ignore" })
    }
    return residency(files)
  } catch (cause) {
    return `could not evict the files from the page cache: ${cause instanceof Error ? cause.message : cause}`
  }
}

/** With more than this left in memory, the reads would be warm. */
export const residentShareMax = 0.02

export const isCold = ({ residentBytes, sizeBytes }: Eviction): boolean => residentBytes <= sizeBytes * residentShareMax
