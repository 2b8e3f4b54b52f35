import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { checkWindows, nextOpening, windowState } from '../../src/plan/windows.ts'

const at = (time: string) => Date.parse(time)
const opens = (windows: Parameters<typeof nextOpening>[0], now: string) => {
  const next = nextOpening(windows, at(now))
  return next === undefined ? undefined : new Date(next).toISOString()
}
const office = { allow: '0 9 * * 1-5', for: '8h', timezone: 'Europe/London' }
const holidays = { deny: '0 0 20 12 *', for: '14d', timezone: 'UTC' }

describe('windows', () => {
  test('office hours are those of the place, in winter and in summer', () => {
    expect(opens([office], '2026-01-14T20:00:00Z')).toBe('2026-01-15T09:00:00.000Z')
    expect(opens([office], '2026-07-15T20:00:00Z')).toBe('2026-07-16T08:00:00.000Z')
    expect(windowState([office], at('2026-07-15T15:59:59Z')).open).toBe(true)
    expect(windowState([office], at('2026-07-15T16:00:00Z')).open).toBe(false)
    expect(windowState([office], at('2026-01-15T16:30:00Z')).open).toBe(true)
  })

  test('the night on which clocks go forward: a start that does not exist that day is not lost', () => {
    // 01:30 does not exist in London on 2026-03-29.
    const night = { allow: '30 1 * * *', for: '2h', timezone: 'Europe/London' }
    const next = nextOpening([night], at('2026-03-28T12:00:00Z'))
    expect(next).toBeGreaterThanOrEqual(at('2026-03-29T01:00:00Z'))
    expect(next).toBeLessThanOrEqual(at('2026-03-29T01:30:00Z'))
  })

  test('the night on which clocks go back: what lasts 8h lasts 8 real hours', () => {
    // 00:00 in London is 23:00Z the day before in summer; the clocks go back at 01:00Z on 2026-10-25.
    const night = { allow: '0 0 * * *', for: '8h', timezone: 'Europe/London' }
    expect(windowState([night], at('2026-10-25T06:59:59Z')).open).toBe(true)
    expect(windowState([night], at('2026-10-25T07:00:00Z')).open).toBe(false)
  })

  test('a deny window that ends at night opens in the morning, when the allow window does', () => {
    expect(opens([office, holidays], '2026-12-24T12:00:00Z')).toBe('2027-01-04T09:00:00.000Z')
  })

  test('deny windows that follow each other without a gap never open', () => {
    expect(opens([{ deny: '0 * * * *', for: '2h', timezone: 'UTC' }], '2026-12-24T12:30:00Z')).toBeUndefined()
  })

  test('what is said of an instant stays true until the time it names', () => {
    const line = fc.constantFrom('0 9 * * 1-5', '30 22 * * *', '0 */6 * * *', '15 4 1 * *')
    const window = fc.record({
      kind: fc.constantFrom('allow', 'deny'),
      line,
      for: fc.constantFrom('1m', '2h', '9h', '3d'),
      timezone: fc.constantFrom('UTC', 'Europe/London', 'America/New_York', 'Asia/Kathmandu'),
    })
    const windows = fc
      .array(window, { minLength: 1, maxLength: 3 })
      .map((list) => list.map(({ kind, line, ...rest }) => ({ [kind]: line, ...rest })))
    const year = { min: at('2026-01-01T00:00:00Z'), max: at('2027-01-01T00:00:00Z') }
    fc.assert(
      fc.property(windows, fc.integer(year), fc.double({ min: 0, max: 0.999, noNaN: true }), (given, now, part) => {
        const state = windowState(given, now)
        if (state.until === undefined) return
        expect(state.until).toBeGreaterThan(now)
        const later = now + Math.floor((state.until - now) * part)
        expect(windowState(given, later).open).toBe(state.open)
      }),
      { numRuns: 150 },
    )
  })

  test('a line that cannot be read is named with its field', () => {
    expect(checkWindows([office, { allow: '61 9 * * *', for: '1h', timezone: 'UTC' }])).toMatchObject({
      field: 'spec.windows[1]',
    })
    expect(checkWindows([{ ...office, timezone: 'Europe/Londn' }])?.message).toContain('Europe/Londn')
  })
})
