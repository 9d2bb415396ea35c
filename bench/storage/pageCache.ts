/** Takes files out of the operating system's page cache, and says how much of them is in it. */
import { execFileSync } from "node:child_process"

export interface Eviction {
  readonly residentBytes: number
  readonly sizeBytes: number
}

/** Arguments of one call: far below what the system takes. */
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

/** `fincore`'s lines of two numbers, added up. */
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
 * Writes the files back, then gives the advice that nobody will need them, which `dd` does when it is asked to copy
 * nothing. Returns what `fincore` sees afterwards, or a sentence why it could not be done. No process may have the
 * files open for mapping: the kernel keeps mapped pages.
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
    return `the files could not be taken out of the page cache: ${cause instanceof Error ? cause.message : cause}`
  }
}

/** More than this left in memory would make the reads warm. */
export const residentShareMax = 0.02

export const isCold = ({ residentBytes, sizeBytes }: Eviction): boolean => residentBytes <= sizeBytes * residentShareMax
