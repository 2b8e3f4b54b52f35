import { describe, expect, test } from 'vitest'
import { ExpositionError, parseExposition } from '../../../src/sandbox/prometheus/exposition.ts'

const withoutText = (body: string) => parseExposition(body).samples.map(({ series: _, ...sample }) => sample)

describe('the text exposition format', () => {
  test('reads values, labels with escapes, and timestamps', () => {
    const samples = withoutText('a 1\nb{x="q\\"s\\\\n\\n\\t",y="z",} -Inf 1700000000123\nc{}\t+Inf\nd NaN\n')
    expect(samples).toEqual([
      { labels: [['__name__', 'a']], value: 1, timeMs: undefined },
      {
        labels: [
          ['__name__', 'b'],
          ['x', 'q"s\\n\n\\t'],
          ['y', 'z'],
        ],
        value: Number.NEGATIVE_INFINITY,
        timeMs: 1_700_000_000_123,
      },
      { labels: [['__name__', 'c']], value: Number.POSITIVE_INFINITY, timeMs: undefined },
      { labels: [['__name__', 'd']], value: Number.NaN, timeMs: undefined },
    ])
  })

  test('keeps what a family says about itself', () => {
    const { metadata } = parseExposition(
      '# HELP a One\\nline \\\\ more.\n# TYPE a histogram\n# TYPE b untyped\n# other\n#\n',
    )
    expect(Object.fromEntries(metadata)).toEqual({
      a: { type: 'histogram', help: 'One\nline \\ more.', unit: '' },
      b: { type: 'unknown', help: '', unit: '' },
    })
  })

  test.each([
    ['x 1\ny\n', 'line 2'],
    ['x{a="b} 1\n', 'label a does not end'],
    ['x{a="b",,} 1\n', 'column'],
    ['x{a="b",a="c"} 1\n', 'label a is written twice'],
    ['# TYPE 9x counter\n', 'not a metric name'],
    ['x{a=b} 1\n', 'column'],
    ['x{ 1\n', 'column'],
    ['x 1 2 3\n', 'after x'],
    ['x 1_000\n', 'after x'],
    ['x 0x1p3\n', 'after x'],
    [' x 1\n', 'metric name'],
    ['9x 1\n', 'metric name'],
    ['# TYPE x nonsense\n', 'metric type'],
  ])('refuses %j and says where', (body, where) => {
    expect(() => parseExposition(body)).toThrow(ExpositionError)
    expect(() => parseExposition(body)).toThrow(where)
  })
})
