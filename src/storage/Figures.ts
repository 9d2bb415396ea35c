/** Counts the engine's work since it was opened. */
export class Figures {
  private counts = {
    flushes: 0,
    compactions: 0,
    bytesFlushed: 0,
    bytesCompacted: 0,
    syncs: 0,
    equalVersionConflicts: 0
  }

  get now(): Readonly<typeof this.counts> {
    return this.counts
  }

  countFlush(bytes: number): void {
    this.counts.flushes++
    this.counts.bytesFlushed += bytes
  }

  /** Tables that are moved to another level write no bytes. */
  countCompaction(bytes: number): void {
    this.counts.compactions++
    this.counts.bytesCompacted += bytes
  }

  countSync(): void {
    this.counts.syncs++
  }

  countConflict(): void {
    this.counts.equalVersionConflicts++
  }
}
