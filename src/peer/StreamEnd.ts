/**
 * Streams of lines between nodes end with `{"end":true}`, so that a stream that was cut is not taken for a whole one.
 *
 * Pure.
 */
import { Effect, Stream } from "effect"

export const line = `{"end":true}`

/** Appends the end. */
export const append = <E, R>(lines: Stream.Stream<string, E, R>): Stream.Stream<string, E, R> =>
  Stream.concat(lines, Stream.succeed(line))

/** Drops the end and fails when it did not come. */
export const require =
  <E2>(cut: () => E2) => <E, R>(lines: Stream.Stream<string, E, R>): Stream.Stream<string, E | E2, R> =>
    Stream.suspend(() => {
      let ended = false
      return lines.pipe(
        Stream.takeUntil((text) => text === line),
        Stream.filter((text) => {
          ended ||= text === line
          return text !== line
        }),
        Stream.concat(Stream.unwrap(Effect.sync(() => ended ? Stream.empty : Stream.fail(cut()))))
      )
    })
