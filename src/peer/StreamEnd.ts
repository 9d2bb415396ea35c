/** Streams of lines between nodes end with `{"end":true}`, so that a cut stream is not taken for a whole one. Pure. */
import { Stream } from "effect"

export const line = `{"end":true}`

export const append = <E, R>(lines: Stream.Stream<string, E, R>): Stream.Stream<string, E, R> =>
  Stream.concat(lines, Stream.succeed(line))

/** Drops the end and fails when it did not come. */
export const require =
  <E2>(cut: () => E2) => <E, R>(lines: Stream.Stream<string, E, R>): Stream.Stream<string, E | E2, R> =>
    Stream.concat(lines, Stream.suspend(() => Stream.fail(cut()))).pipe(
      Stream.takeUntil((text) => text === line, { excludeLast: true })
    )
