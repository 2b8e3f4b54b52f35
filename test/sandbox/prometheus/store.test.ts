import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Labels } from '../../../src/sandbox/prometheus/labels.ts'
import { createMatcher, type MatchType } from '../../../src/sandbox/prometheus/matcher.ts'
import { Store } from '../../../src/sandbox/prometheus/store.ts'

describe('a store', () => {
  test('takes samples in order of time only', () => {
    const store = new Store()
    const labels = Labels.from({ __name__: 'x' })
    expect(store.append(labels, 10, 1)).toBe('appended')
    expect(store.append(labels, 10, 2)).toBe('duplicate')
    expect(store.append(labels, 9, 3)).toBe('out-of-order')
    expect(store.markStale(labels, 9)).toBe('out-of-order')
    expect(store.markStale(Labels.from({ __name__: 'y' }), 9)).toBe('unknown')
    expect([...store.select([])[0]!.range(0, 20).values]).toEqual([1])
  })

  test('treats an empty label as none', () => {
    const store = new Store()
    store.append({ __name__: 'x', a: '' }, 1, 1)
    store.append({ __name__: 'x' }, 2, 2)
    expect(store.seriesCount).toBe(1)
  })

  test('finds what a full scan finds, whatever the matchers', () => {
    const value = fc.constantFrom('', 'a', 'b', 'ab', 'c')
    const labels = fc.record({ __name__: fc.constantFrom('x', 'y'), p: value, q: value })
    const matcher = fc.tuple(
      fc.constantFrom('__name__', 'p', 'q', 'absent'),
      fc.constantFrom<MatchType>('=', '!=', '=~', '!~'),
      fc.constantFrom('', 'x', 'a', 'b', 'a|b', 'a.*', '.*', '.+', 'a?'),
    )
    fc.assert(
      fc.property(fc.array(labels), fc.array(matcher, { maxLength: 3 }), (series, wanted) => {
        const store = new Store()
        for (const labels of series) store.append(labels, 1, 1)
        const matchers = wanted.map(([name, type, text]) => createMatcher(name, type, text))
        const expected = series
          .map((record) => Labels.from(record))
          .filter((candidate) => matchers.every((m) => m.matches(candidate.get(m.name))))
        expect(new Set(store.select(matchers).map((s) => s.labels.key))).toEqual(new Set(expected.map((l) => l.key)))
      }),
    )
  })

  test('keeps exactly the samples inside the retention, markers included, in any mix of appends and prunes', () => {
    const step = fc.record({ gap: fc.integer({ min: 1, max: 40 }), stale: fc.boolean(), prune: fc.boolean() })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const store = new Store(100)
        const labels = Labels.from({ __name__: 'x' })
        let model: { t: number; stale: boolean }[] = []
        let t = 1000
        for (const { gap, stale, prune } of steps) {
          t += gap
          if (stale && store.has(labels)) {
            store.markStale(labels, t)
            model.push({ t, stale: true })
          } else {
            store.append(labels, t, t)
            model.push({ t, stale: false })
          }
          if (!prune) continue
          store.prune(t)
          model = model.filter((sample) => sample.t >= t - 100)
        }
        const [series] = store.select([])
        const fresh = model.filter((sample) => !sample.stale).map((sample) => sample.t)
        expect([...(series?.range(0, t).times ?? [])]).toEqual(fresh)
        expect([...(series?.range(t - 50, t - 10).values ?? [])]).toEqual(
          fresh.filter((at) => at >= t - 50 && at <= t - 10),
        )
        for (const at of [t - 70, t - 5, t]) {
          const last = model.filter((sample) => sample.t <= at).at(-1)
          const expected = !last || last.stale || last.t < at - 20 ? undefined : last.t
          expect(series?.latest(at, 20)?.timeMs).toBe(expected)
        }
      }),
    )
  })

  test('forgets labels with the last series that had them', () => {
    const store = new Store(100)
    store.append({ __name__: 'x', a: 'old' }, 1, 1)
    store.append({ __name__: 'x', b: 'new' }, 500, 1)
    store.prune(500)
    expect(store.labelNames()).toEqual(['__name__', 'b'])
    expect(store.labelValues('a')).toEqual([])
    expect(store.select([createMatcher('a', '=', 'old')])).toEqual([])
  })
})
