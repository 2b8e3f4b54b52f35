import fc from 'fast-check'
import { expect, test } from 'vitest'
import { randomStream } from '../../../src/sandbox/mesh/random.ts'
import { chooseWeighted } from '../../../src/sandbox/mesh/weights.ts'

const weighted = fc.array(
  fc.integer({ min: 0, max: 1000 }).map((weight) => ({ weight })),
  { minLength: 1, maxLength: 6 },
)

test('traffic follows weight over sum of weights (chi-square, 1 in 10^6 margin)', () => {
  fc.assert(
    fc.property(weighted, fc.integer({ min: 0, max: 1 << 30 }), (items, seed) => {
      const total = items.reduce((sum, item) => sum + item.weight, 0)
      fc.pre(total > 0 && items.length > 1)
      const draws = 4000
      const counts = new Map(items.map((item) => [item, 0]))
      const random = randomStream(seed, 'weights')
      for (let draw = 0; draw < draws; draw++) {
        const chosen = chooseWeighted(items, random())
        counts.set(chosen!, counts.get(chosen!)! + 1)
      }
      let chiSquare = 0
      for (const item of items) {
        const expected = (draws * item.weight) / total
        const seen = counts.get(item)!
        if (expected === 0) expect(seen).toBe(0)
        else if (expected >= 5) chiSquare += (seen - expected) ** 2 / expected
      }
      // 5 degrees of freedom: P(X > 40) is below 2e-7.
      expect(chiSquare).toBeLessThan(40)
    }),
    { seed: 20261122, numRuns: 60 },
  )
})

test('a single destination gets everything, even with weight 0', () => {
  const only = { weight: 0 }
  expect(chooseWeighted([only], 0.999)).toBe(only)
})

test('weight 0 beside others is never chosen, at either end of the draw', () => {
  const none = { weight: 0 }
  const all = { weight: 7 }
  for (const draw of [0, 0.5, 1 - 2 ** -53]) {
    expect(chooseWeighted([none, all], draw)).toBe(all)
    expect(chooseWeighted([all, none], draw)).toBe(all)
  }
})

test('several destinations without any weight choose nothing', () => {
  expect(chooseWeighted([{ weight: 0 }, {}], 0.3)).toBeUndefined()
})

test('the same seed and name repeat the same stream, another name is another stream', () => {
  const take = (name: string) => {
    const random = randomStream(7, name)
    return [random(), random(), random()]
  }
  expect(take('a')).toEqual(take('a'))
  expect(take('a')).not.toEqual(take('b'))
})
