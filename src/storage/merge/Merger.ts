/**
 * Walks several sorted sources as one: of each key the newest, in order. What scans and compaction share.
 *
 * The sources stand in a heap by their keys. Those that have run off what they had loaded wait outside; nothing is
 * given out before they are back.
 *
 * Source: Knuth, "The Art of Computer Programming", volume 3, section 5.4.1 (multiway merging).
 */
export interface Source {
  /** Whether it stands at nothing: at its end, or before a load. */
  readonly isOut: () => boolean
  /** Whether it has to be loaded before it can go on. Loading may end with nothing, at its end. */
  readonly mustLoad: () => boolean
  readonly advance: () => void
}

export interface Order<S> {
  /** Negative when `left` stands before `right`, zero when both stand at the same key. */
  readonly compare: (left: S, right: S) => number
  /** For two that stand at the same key. */
  readonly isNewer: (left: S, right: S) => boolean
}

export class Merger<S extends Source> {
  /** Must be loaded, by the owner, whenever there are some. */
  waiting: Array<S>
  private readonly heap: Array<S> = []
  private readonly order: Order<S>

  constructor(sources: ReadonlyArray<S>, order: Order<S>) {
    this.order = order
    this.waiting = sources.slice()
  }

  /** Takes those that were waiting back, once they are loaded. */
  resume(): void {
    const loaded = this.waiting
    this.waiting = []
    for (const source of loaded) {
      if (source.mustLoad()) this.waiting.push(source)
      else if (!source.isOut()) this.push(source)
    }
  }

  /**
   * The source that stands at the newest of the next key, or `undefined` at the end of all. Older ones of the key are
   * passed over. Call `advance` when done with it, and then load what waits.
   */
  next(): S | undefined {
    const { heap, order } = this
    for (;;) {
      const top = heap[0]
      if (top === undefined) return undefined
      const twin = this.twinOfTop(top)
      if (twin === 0) return top
      this.advanceAt(order.isNewer(heap[twin]!, top) ? 0 : twin)
    }
  }

  advance(): void {
    this.advanceAt(0)
  }

  /** The place of another source at the same key as the top: below it, if anywhere. Zero when there is none. */
  private twinOfTop(top: S): number {
    const { heap, order } = this
    if (heap.length > 1 && order.compare(heap[1]!, top) === 0) return 1
    return heap.length > 2 && order.compare(heap[2]!, top) === 0 ? 2 : 0
  }

  private advanceAt(place: number): void {
    const { heap } = this
    const source = heap[place]!
    source.advance()
    if (!source.isOut()) return this.sink(place, source)
    if (source.mustLoad()) this.waiting.push(source)
    const last = heap.pop()!
    // It takes the top's place or one right below it, and nothing stands before the top: it can only sink.
    if (last !== source) this.sink(place, last)
  }

  private push(source: S): void {
    const { heap, order } = this
    let place = heap.length
    heap.push(source)
    while (place > 0) {
      const parent = (place - 1) >> 1
      if (order.compare(heap[parent]!, source) <= 0) break
      heap[place] = heap[parent]!
      place = parent
    }
    heap[place] = source
  }

  private sink(from: number, source: S): void {
    const { heap, order } = this
    let place = from
    for (;;) {
      let child = 2 * place + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && order.compare(heap[child + 1]!, heap[child]!) < 0) child++
      if (order.compare(heap[child]!, source) >= 0) break
      heap[place] = heap[child]!
      place = child
    }
    heap[place] = source
  }
}
