import { describe, expect, test } from 'vitest'
import type { MeshSample } from '../../src/analysis/istio.ts'
import { countSide, sideAtBaseline } from '../../src/analysis/side.ts'

function sample(of: Partial<MeshSample> & { series: string; scrapedAt: number }): MeshSample {
  const { series } = of
  return { family: series, target: 'pod', value: 0, reporter: 'server', outcome: 'good', cutOff: false, ...of }
}

const served = (scrapedAt: number, target = 'pod') => sample({ series: `ok-${target}`, scrapedAt, target })
const cut = (scrapedAt: number) =>
  sample({ series: 'UF', scrapedAt, target: 'gateway', reporter: 'caller', outcome: 'bad', cutOff: true })

describe('requests that were cut off', () => {
  test('wait for every server’s scrape to catch up with the caller’s, and then count once', () => {
    const start = sideAtBaseline([served(1_000), served(1_000, 'other')])
    const first = countSide(
      start,
      [served(10_000), served(12_000, 'other'), cut(11_000)],
      new Map([
        ['ok-pod', 50],
        ['UF', 5],
      ]),
    )
    expect(first.tally).toEqual({ n: 50, k: 0 })
    const second = countSide(first.side, [served(25_000), served(12_000, 'other'), cut(26_000)], new Map([['UF', 2]]))
    expect(second.tally).toEqual({ n: 5, k: 5 })
    const third = countSide(second.side, [served(40_000), served(42_000, 'other'), cut(41_000)], new Map())
    expect(third.tally).toEqual({ n: 2, k: 2 })
    expect(third.side.cutOff).toEqual([])
  })

  test('are slow, however soon they were cut', () => {
    const bucket = (which: 'all' | 'fast') =>
      sample({ ...cut(1_000), series: which, family: 'h', bucket: which, scrapedAt: 1_000 })
    const { tally } = countSide(
      sideAtBaseline([]),
      [bucket('all'), bucket('fast')],
      new Map([
        ['all', 4],
        ['fast', 4],
      ]),
    )
    expect(tally).toEqual({ n: 4, k: 4 })
  })

  test('wait while no server can be read at all', () => {
    const start = sideAtBaseline([served(1_000)])
    const alone = countSide(start, [cut(10_000)], new Map([['UF', 9]]))
    expect(alone).toEqual({ side: start, tally: { n: 0, k: 0 } })
  })
})
