import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type SandboxPrometheus, startPrometheus } from '../../../src/sandbox/prometheus/server.ts'
import type { Target } from '../../../src/sandbox/prometheus/target.ts'
import { type RealPrometheus, realPrometheusInstalled, startRealPrometheus } from '../../conformance/prometheus-real.ts'
import { type Answer, ask, difference } from './answers.ts'
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
    await until('query', { query: 'up == 1' }, (answer) => 'rows' in answer && answer.rows.size === 1)
  })
  afterAll(async () => {
    await ours?.stop()
    await real?.stop()
    await target?.stop()
  })

  /** Waits until both answer to the condition. */
  async function until(
    path: string,
    parameters: Record<string, string>,
    holds: (answer: Answer) => boolean,
  ): Promise<void> {
    for (let attempt = 0; attempt < 150; attempt++) {
      const answers = await Promise.all([ask(real.url, path, parameters), ask(ours.url, path, parameters)])
      if (answers.every(holds)) return
      await sleep(100)
    }
    throw new Error(`not reached within 15 s: ${JSON.stringify(parameters)}`)
  }

  /** Lets both scrape the changed target, then returns where their views differ, and our view. */
  async function compare(query = everything): Promise<{ differs: string | undefined; names: string[] }> {
    await sleep(intervalMs * 2.5)
    const [theirs, own] = await Promise.all([ask(real.url, 'query', { query }), ask(ours.url, 'query', { query })])
    const rows = 'rows' in own ? [...own.rows.keys()] : []
    const names = rows.map((key) => /\["__name__","(\w+)"\]/.exec(key)?.[1] ?? key)
    return { differs: withoutTimes(theirs, own), names: [...new Set(names)].sort() }
  }

  test('stores the same series under the same labels', async () => {
    const { differs, names } = await compare()
    expect(differs).toBeUndefined()
    expect(names).toContain('requests_total')
    expect(names).toContain('scrape_samples_scraped')
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
    expect(await compare()).toMatchObject({ differs: undefined, names: expect.arrayContaining(['goes', 'own_time']) })
    target.body = 'stays 1\n'
    const { differs, names } = await compare()
    expect(differs).toBeUndefined()
    expect(names).toContain('own_time')
    expect(names).not.toContain('goes')
  })

  test('ends every series when the target fails, and brings them back', async () => {
    target.status = 500
    const failed = await compare()
    expect(failed.differs).toBeUndefined()
    expect(failed.names).not.toContain('stays')
    target.status = 200
    expect(await compare()).toMatchObject({ differs: undefined, names: expect.arrayContaining(['stays']) })
  })

  test.each([
    'stays 1\nstays one\n',
    'stays 1 2 3\n',
    'stays{a=b} 1\n',
    'stays 0x1p3\n',
    '9stays 1\n',
    'stays 1\n# TYPE stays nonsense\n',
    '{a="b"} 1\n',
  ])('fails the whole scrape on %j', async (body) => {
    target.body = body
    const { differs, names } = await compare()
    expect(differs).toBeUndefined()
    expect(names).not.toContain('stays')
  })

  test('marks everything stale, `up` included, some time after the target is gone', async () => {
    target.body = 'stays 1\n'
    expect(await compare()).toMatchObject({ differs: undefined, names: expect.arrayContaining(['stays', 'up']) })
    targets = []
    await real.setTargets('live', [])
    await until(
      'query',
      { query: '{job="live",__name__!="own_time"}' },
      (answer) => 'rows' in answer && answer.rows.size === 0,
    )
    expect(await compare()).toMatchObject({ differs: undefined, names: ['own_time'] })
  })
})

/** Both were asked "now", which is not the same millisecond. */
function withoutTimes(theirs: Answer, own: Answer): string | undefined {
  for (const answer of [theirs, own]) {
    if ('rows' in answer) for (const points of answer.rows.values()) for (const point of points) point[0] = 0
  }
  return difference(theirs, own, 0)
}
