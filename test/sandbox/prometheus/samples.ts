import { formatPlainDecimal } from '../../../src/sandbox/prometheus/go-number.ts'
import type { Store } from '../../../src/sandbox/prometheus/store.ts'

/** Samples to load into both the sandbox's store and a real Prometheus. */
export interface TestSeries {
  labels: Record<string, string>
  points: [timeMs: number, value: number][]
}

/** The first instant of the data. */
export const epochMs = 1_700_000_000_000
const scrapeMs = 15_000

/** Counters with resets, gaps, births and deaths inside the windows, awkward gauges, histograms and info series. */
export function testData(): TestSeries[] {
  const random = mulberry(42)
  const data: TestSeries[] = []
  const at = (i: number, jitter: number) => epochMs + i * scrapeMs + Math.floor(random() * jitter)
  const add = (
    labels: Record<string, string>,
    from: number,
    to: number,
    jitter: number,
    value: (i: number) => number,
  ) => {
    const points: [number, number][] = []
    for (let i = from; i < to; i++) points.push([at(i, jitter), value(i)])
    data.push({ labels, points })
  }

  for (const pod of ['a', 'b', 'c']) {
    for (const code of ['200', '500']) {
      let total = pod === 'b' ? 1e6 : 0
      const from = pod === 'c' ? 37 : 0
      const to = pod === 'a' && code === '500' ? 90 : 160
      add({ __name__: 'req_total', job: 'web', pod, code }, from, to, pod === 'a' ? 1 : 400, (i) => {
        if (pod === 'b' && i % 53 === 52) total = 0
        total += Math.floor(random() * (code === '200' ? 50 : 3))
        return total
      })
    }
    add({ __name__: 'pod_info', pod, version: pod === 'c' ? 'v2' : 'v1', node: `n-${pod}` }, 0, 160, 1, () => 1)
    const counts = [0, 0, 0, 0]
    const histogram: [string, number][] = [
      ['0.1', 0.3],
      ['0.25', 0.6],
      ['0.5', 0.9],
      ['+Inf', 1],
    ]
    const times = Array.from({ length: 160 }, (_, i) => at(i, 200))
    const drawn = times.map(() => {
      const n = Math.floor(random() * 20)
      histogram.forEach(([, share], b) => {
        counts[b] = counts[b]! + (b === 3 ? n : Math.floor(n * share))
      })
      return [...counts]
    })
    histogram.forEach(([le], b) => {
      data.push({
        labels: { __name__: 'latency_bucket', pod, le },
        points: times.map((t, i) => [t, drawn[i]![b]!]),
      })
    })
  }

  add({ __name__: 'temperature', room: 'x', job: 'web' }, 0, 160, 1, () => random() * 40 - 20)
  add({ __name__: 'temperature', room: 'y', job: 'web' }, 0, 60, 300, () => random() * 1e-3)
  add({ __name__: 'temperature', room: 'z', job: 'db' }, 100, 160, 300, () => (random() - 0.5) * 1e9)
  const awkward = [1, Number.NaN, 2, Number.POSITIVE_INFINITY, 3, Number.NEGATIVE_INFINITY, 0, -0, 1e300, 1e-300, 1.5]
  add({ __name__: 'odd', kind: 'mixed' }, 0, 160, 1, (i) => awkward[i % awkward.length]!)
  add({ __name__: 'odd', kind: 'nan' }, 0, 160, 1, () => Number.NaN)
  add({ __name__: 'odd', kind: 'inf' }, 0, 160, 1, () => Number.POSITIVE_INFINITY)
  add({ __name__: 'odd', kind: 'gap' }, 0, 160, 1, (i) => i)
  const gap = data.at(-1)!
  gap.points = gap.points.filter((_, i) => i % 60 < 20)
  add({ __name__: 'flat', zone: 'e' }, 0, 160, 1, () => 7)
  add({ __name__: 'flat', zone: 'w' }, 0, 160, 1, () => 7.25)
  add({ __name__: 'single', zone: 'e' }, 80, 81, 1, () => 5)
  add({ __name__: 'clock', zone: 'e' }, 0, 160, 1, (i) => 1.7e9 + i * 864_000)
  add({ __name__: 'tiny_wins', pod: 'a', extra: 'quote " slash \\ end' }, 0, 160, 1, (i) => i / 7)
  add({ __name__: 'tiny_wins', pod: 'b', extra: 'ünïcode 𝒳' }, 0, 160, 1, (i) => -i / 3)
  for (const word of words) add({ __name__: 'words', word }, 40, 42, 1, () => 1)
  return data
}

/** Label values at which regular expression engines differ. */
const words = [
  ...['a', 'b', 'ab', 'aB', 'A', 'a1', '1', 'a.b', 'a-b', 'a b', 'a_b', '[a]', '{a}', 'a{2}', 'aa', 'aaa', 'aaab'],
  ...['\\', 'a\\b', 'ü', '𝒳', 'a/b', '$a^', '(a)', 'a|b', 'a+', 'a\u00a0b', 'ſ', '\u212a', ']', '-', '^', ',', '#'],
  ...['ba:b', 'a"b', '\t', 'a\u2028b'],
]

export function load(store: Store, data: TestSeries[]): void {
  for (const { labels, points } of data) for (const [timeMs, value] of points) store.append(labels, timeMs, value)
}

/** The same samples as OpenMetrics text; every series as an untyped family, so that no naming rule interferes. */
export function openMetrics(data: TestSeries[]): string {
  const lines: string[] = []
  for (const { labels, points } of data) {
    const { __name__, ...rest } = labels
    const set = Object.entries(rest).map(([name, value]) => `${name}="${value.replace(/[\\"]/g, '\\$&')}"`)
    for (const [timeMs, value] of points) {
      lines.push(`${__name__}{${set.join(',')}} ${formatPlainDecimal(value)} ${timeMs / 1000}`)
    }
  }
  return `${lines.join('\n')}\n# EOF\n`
}

/** A small seeded generator, so that the data is the same in every run. */
function mulberry(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}
