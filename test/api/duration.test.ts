import fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatDuration, parseDuration } from '../../src/api/duration.ts'

test.each([
  ['500ms', 500],
  ['15s', 15_000],
  ['1h30m', 5_400_000],
  ['14d', 1_209_600_000],
  ['1.5s', 1_500],
])('%s is %d ms', (text, ms) => {
  expect(parseDuration(text)).toBe(ms)
})

test.each(['', '5', 'm5', '5 m', '-5m', '5w', '5m '])('%j is not a duration', (text) => {
  expect(() => parseDuration(text)).toThrow(RangeError)
})

test('what is formatted in seconds and up to two units reads back the same', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 59 }), fc.integer({ min: 1, max: 59 }), (seconds, minutes) => {
      const ms = (minutes * 60 + seconds) * 1000
      expect(parseDuration(formatDuration(ms))).toBe(ms)
    }),
  )
})
