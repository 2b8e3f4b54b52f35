import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type SandboxPrometheus, startPrometheus } from '../../../src/sandbox/prometheus/server.ts'
import type { Target } from '../../../src/sandbox/prometheus/target.ts'
import { type RealPrometheus, realPrometheusInstalled, startRealPrometheus } from '../../conformance/prometheus-real.ts'
import { type Answer, ask, differenceNow } from './answers.ts'
import { type LiveTarget, startLiveTarget } from './live-target.ts'

const intervalMs = 300
const everything = '{job="live",__name__!~"scrape_(duration_seconds|series_added)"}'

const rich = `# HELP requests_total Requests, \\\\ and a \\n new line.
# TYPE requests_total counter
requests_total{code="200"} 7
requests_total{code="500",} 1e3
requests_total{code="x y",path="a\\"b\\\\c\\nd\\te"} +Inf
# TYPE temperature gauge
temperature{room="ünïcode 𝒳",empty=""} -0.5
temperature { room = "spaced" , zone="w" }  NaN
# a comment
   # an indented comment
  	 
plain 3
conflict{job="own",instance="mine",exported_job="older"} 4
# TYPE latency histogram
latency_bucket{le="0.1"} 1
latency_bucket{le="+Inf"} 3
latency_sum 0.75
latency_count 3
twice{a="b"} 1
twice{a="b"} 2
no_newline_at_end 5`

describe.skipIf(!(await realPrometheusInstalled()))('scraping the same target as a real Prometheus', () => {
  let target: LiveTarget
  let real: RealPrometheus
  let ours: SandboxPrometheus
  let targets: Target[] = []

  beforeAll(async () => {
    target = await startLiveTarget(rich)
    targets = [{ job: 'live', instance: target.address, labels: {}, url: target.url }]
    real = await startRealPrometheus({
      scrape: [{ job: 'live', address: target.address }],
      scrapeInterval: `${intervalMs}ms`,
    })
    ours = await startPrometheus({ targets: () => targets, scrapeIntervalMs: intervalMs })
    await until('up == 1', (answer) => 'rows' in answer && answer.rows.size === 1)
  })
  afterAll(async () => {
    await ours?.stop()
    await real?.stop()
    await target?.stop()
  })

  /** Waits until both answer to the condition. */
  async function until(query: string, holds: (answer: Answer) => boolean): Promise<void> {
    for (let attempt = 0; attempt < 150; attempt++) {
      const answers = await Promise.all([ask(real.url, 'query', { query }), ask(ours.url, 'query', { query })])
      if (answers.every(holds)) return
      await sleep(100)
    }
    throw new Error(`not reached within 15 s: ${query}`)
  }

  /** Waits until both have scraped the target as it is now; the second scrape shows that the first was dealt with. */
  async function bothScraped(): Promise<void> {
    const before = new Map(target.scrapes)
    const seenTwice = () => [...target.scrapes].filter(([agent, n]) => n >= (before.get(agent) ?? 0) + 2).length === 2
    for (let attempt = 0; attempt < 600 && !seenTwice(); attempt++) await sleep(25)
    expect(seenTwice()).toBe(true)
  }

  /**
   * The names of the series both show at last; throws their difference when they do not come to agree.
   * Asked again, because on a busy machine either may just have missed a scrape.
   */
  async function agreed(holds: (names: string[]) => boolean = () => true): Promise<string[]> {
    let last = ''
    for (let attempt = 0; attempt < 40; attempt++) {
      const [theirs, own] = await Promise.all([
        ask(real.url, 'query', { query: everything }),
        ask(ours.url, 'query', { query: everything }),
      ])
      const rows = 'rows' in own ? [...own.rows.keys()] : []
      const names = [...new Set(rows.map((key) => /\["__name__","(\w+)"\]/.exec(key)?.[1] ?? key))].sort()
      const differs = differenceNow(theirs, own)
      if (differs === undefined && holds(names)) return names
      last = differs ?? `both show ${names}`
      await sleep(intervalMs / 2)
    }
    throw new Error(`no agreement: ${last}`)
  }

  test('stores the same series under the same labels', async () => {
    const names = await agreed((seen) => seen.includes('requests_total'))
    for (const name of ['conflict', 'latency_bucket', 'plain', 'scrape_samples_scraped', 'up']) {
      expect(names).toContain(name)
    }
  })

  test.each(['series?match[]={job="live"}', 'labels', 'label/code/values', 'metadata?metric=requests_total'])(
    'answers /api/v1/%s alike',
    async (path) => {
      const read = async (url: string) => (await (await fetch(`${url}/api/v1/${path}`)).json()) as unknown
      expect(await read(ours.url)).toEqual(await read(real.url))
    },
  )

  test('ends a series at the scrape that no longer shows it, except one with its own timestamps', async () => {
    target.body = `stays 1\ngoes 2\nown_time 3 ${Date.now()}\n`
    await agreed((names) => names.includes('goes') && names.includes('own_time'))
    target.body = 'stays 1\n'
    await bothScraped()
    const names = await agreed()
    expect(names).toContain('own_time')
    expect(names).not.toContain('goes')
  })

  test('ends every series when the target fails, and brings them back', async () => {
    target.status = 500
    await bothScraped()
    expect(await agreed()).not.toContain('stays')
    target.status = 200
    await bothScraped()
    expect(await agreed((names) => names.includes('stays'))).toContain('up')
  })

  test.each([
    ['stays 1\nstays one\n', 'keeps the series before the bad line'],
    ['stays 1 2 3\n', 'ends every series'],
    ['stays{a=b} 1\n', 'ends every series'],
    ['stays 0x1p3\n', 'ends every series'],
    ['9stays 1\n', 'ends every series'],
    ['stays 1\n# TYPE stays nonsense\n', 'keeps the series before the bad line'],
    ['{a="b"} 1\n', 'ends every series'],
  ])('fails the whole scrape on %j and %s', async (body, outcome) => {
    target.body = 'stays 1\n'
    await bothScraped()
    await agreed((names) => names.includes('stays'))
    target.body = body
    await bothScraped()
    expect((await agreed()).includes('stays')).toBe(outcome.startsWith('keeps'))
    await until('up == 0', (answer) => 'rows' in answer && answer.rows.size === 1)
  })

  test('marks everything stale, `up` included, some time after the target is gone', async () => {
    target.body = 'stays 1\n'
    await bothScraped()
    await agreed((names) => names.includes('stays'))
    targets = []
    await real.setTargets('live', [])
    await until('{job="live",__name__!="own_time"}', (answer) => 'rows' in answer && answer.rows.size === 0)
    expect(await agreed()).toEqual(['own_time'])
  })
})
