import fc from 'fast-check'
import { expect, test } from 'vitest'
import { bar } from '../../src/cli/bar.ts'
import { type Column, table } from '../../src/cli/table.ts'
import { clean, cut, displayWidth, pad, wrap } from '../../src/cli/width.ts'

const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' })
const text = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 40 }),
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc
    .array(fc.constantFrom('a', '1', ' ', '決', '🚀', '\u0301', '\u200d', '👩‍👩‍👧'), { maxLength: 40 })
    .map((all) => all.join('')),
)

test('wide characters take two columns, combining marks none', () => {
  expect(displayWidth('checkout')).toBe(8)
  expect(displayWidth('決済')).toBe(4)
  expect(displayWidth('é')).toBe(1)
  expect(displayWidth('🚀')).toBe(2)
  expect(displayWidth('👩‍👩‍👧')).toBe(2)
  expect(displayWidth('10% → 50%…')).toBe(10)
})

test('a cut text fits, says that it was cut, and ends between characters', () => {
  fc.assert(
    fc.property(text, fc.nat(30), (raw, width) => {
      const whole = clean(raw)
      const kept = cut(whole, width)
      expect(displayWidth(kept)).toBeLessThanOrEqual(width)
      expect(kept.isWellFormed()).toBe(true)
      if (kept === whole || width === 0) return
      expect(kept.endsWith('…')).toBe(true)
      const parts = [...graphemes.segment(whole)].map(({ segment }) => segment)
      const start = kept.slice(0, -1)
      const starts = parts.map((_, i) => parts.slice(0, i).join('').trimEnd())
      expect(starts).toContain(start)
    }),
  )
})

test('wrapped text fits and loses nothing but spaces', () => {
  fc.assert(
    fc.property(text, fc.integer({ min: 2, max: 30 }), (raw, width) => {
      const whole = clean(raw)
      const lines = wrap(whole, width)
      for (const line of lines) expect(displayWidth(line)).toBeLessThanOrEqual(width)
      expect(lines.join('').replaceAll(' ', '')).toBe(whole.replaceAll(' ', ''))
    }),
  )
})

test('a table never exceeds the width and never cuts through a character', () => {
  const column = fc.record(
    {
      title: fc.stringMatching(/^[A-Z]{1,10}$/),
      align: fc.constantFrom<'left' | 'right'>('left', 'right'),
      min: fc.integer({ min: 1, max: 20 }),
      drop: fc.nat(9),
    },
    { requiredKeys: ['title'] },
  )
  const input = fc
    .tuple(fc.array(column, { minLength: 1, maxLength: 8 }), fc.integer({ min: 1, max: 120 }))
    .chain(([columns, width]) =>
      fc.tuple(
        fc.constant<Column[]>(columns),
        fc.constant(width),
        fc.array(fc.array(fc.record({ text }), { minLength: columns.length, maxLength: columns.length }), {
          maxLength: 5,
        }),
      ),
    )
  fc.assert(
    fc.property(input, ([columns, width, rows]) => {
      const lines = table(columns, rows, width)
      expect(lines).toHaveLength(rows.length + 1)
      for (const line of lines) {
        expect(displayWidth(line)).toBeLessThanOrEqual(width)
        expect(line.isWellFormed()).toBe(true)
      }
    }),
  )
})

test('a wide enough table shows everything, in columns', () => {
  const columns: Column[] = [{ title: 'NAME' }, { title: 'WEIGHT', align: 'right' }, { title: 'MESSAGE', min: 10 }]
  const rows = [
    [{ text: '決済' }, { text: '10%' }, { text: 'holds' }],
    [{ text: 'checkout' }, { text: '' }, { text: 'two\nlines' }],
  ]
  expect(table(columns, rows, 80)).toEqual([
    'NAME      WEIGHT  MESSAGE',
    '決済         10%  holds',
    'checkout       -  two lines',
  ])
})

test('the message gives way before the name, and columns of little interest go before either is lost', () => {
  const columns: Column[] = [
    { title: 'NAME', min: 8 },
    { title: 'AGE', drop: 8 },
    { title: 'MESSAGE', min: 6, drop: 1 },
  ]
  const rows = [[{ text: 'checkout' }, { text: '40d' }, { text: 'holds at 10% for five minutes' }]]
  expect(table(columns, rows, 30)[1]).toBe('checkout  40d  holds at 10% f…')
  expect(table(columns, rows, 18)[1]).toBe('checkout  holds a…')
  expect(table(columns, rows, 10)[1]).toBe('checkout')
  expect(table(columns, rows, 5)[1]).toBe('chec…')
})

test('nothing in a message reaches the terminal as a command', () => {
  expect(clean('ok\u001b[2J\u001b]0;x\u0007 \u202egnp\r\nnext')).toBe('ok[2J]0;x gnp next')
})

test('a bar has its width, is never empty for something and never full for less than all', () => {
  fc.assert(
    fc.property(fc.double({ min: -1, max: 2 }), fc.integer({ min: 1, max: 60 }), (share, width) => {
      const drawn = bar(share, width)
      expect([...drawn]).toHaveLength(width)
      expect(drawn === '░'.repeat(width)).toBe(!(share > 0))
      expect(drawn === '█'.repeat(width)).toBe(share >= 1)
    }),
  )
  expect(bar(0.5, 4)).toBe('██░░')
})

test('padding counts columns, not code units', () => {
  expect(pad('決', 4)).toBe('決  ')
  expect(pad('10%', 5, 'right')).toBe('  10%')
})
