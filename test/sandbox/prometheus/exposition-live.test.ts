import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type SandboxPrometheus, startPrometheus } from '../../../src/sandbox/prometheus/server.ts'
import { type RealPrometheus, realPrometheusInstalled, startRealPrometheus } from '../../conformance/prometheus-real.ts'
import { ask, differenceNow } from './answers.ts'
import { type LiveTarget, startLiveTarget } from './live-target.ts'

/** Bodies at the edges of the format; each is a target of its own. */
const bodies = [
  's 1\nb{ 1\nafter 2\n',
  's 1\nb{a="x} 2\nafter 3\n',
  's 1\nb{',
  's 1\nb{a=',
  's 1\nb{a="x"',
  's 1\nb',
  's 1\nb{a 1\nafter 2\n',
  's 1\nb{a="x" 1\n',
  's 1\nb{a="x",,} 1\n',
  's 1\nb{a="x" c="d"} 1\n',
  's 1\nb{,} 1\n',
  's 1\nb{a="x","c"} 1\n',
  's 1\nb{a="x"}1\n',
  's 1\nb {a="x"}  1   5\n',
  's 1\nb1\n',
  's 1\r\nb 2\r\n',
  's 1\nb 2 #x\n',
  's\t1\n',
  's 1\n#HELP\n#\n# TYPE\n',
  's 1\n# TYPE s\n',
  's 1\n# HELP s\n',
  's 1\n# TYPE s counter extra\n',
  's 1\n# TYPE 9 counter\n',
  's 1\n# EOF\n',
  's 1 1.5\n',
  's +1\n',
  's 1e400\n',
  's 0x10\n',
  's 0x1p3\n',
  's 1_0\n',
  's .5\n',
  's 5.\n',
  's inf\n',
  's Infinity\n',
  's nAN\n',
  's ""\n',
  's -\n',
  's{job="own",instance="mine",exported_job="older"} 4\n',
  's{a="\\\\n\\"\\x ü𝒳"} 1\n',
  's{empty=""} 1\ns 2\n',
]

describe.skipIf(!(await realPrometheusInstalled()))('scraping odd bodies beside a real Prometheus', () => {
  let targets: LiveTarget[] = []
  let real: RealPrometheus
  let ours: SandboxPrometheus

  beforeAll(async () => {
    targets = await Promise.all(bodies.map(startLiveTarget))
    const scrape = targets.map(({ address }, i) => ({ job: `job${i}`, address }))
    real = await startRealPrometheus({ scrape, scrapeInterval: '500ms' })
    ours = await startPrometheus({
      targets: () => targets.map(({ address, url }, i) => ({ job: `job${i}`, instance: address, labels: {}, url })),
      scrapeIntervalMs: 500,
    })
    const scrapedByBoth = () =>
      targets.every(({ scrapes }) => scrapes.size === 2 && [...scrapes.values()].every((n) => n > 1))
    for (let attempt = 0; attempt < 250 && !scrapedByBoth(); attempt++) await sleep(100)
    expect(scrapedByBoth()).toBe(true)
  })
  afterAll(async () => {
    await ours?.stop()
    await real?.stop()
    await Promise.all(targets.map((target) => target.stop()))
  })

  test.each(bodies.map((body, i) => [body, i] as const))('reads %j alike', async (_, i) => {
    const query = `{job="job${i}",__name__!~"scrape_(duration_seconds|series_added|samples_post_metric_relabeling)"}`
    let differs: string | undefined
    // On a busy machine either may just have missed a scrape: then ask again.
    for (let attempt = 0; attempt < 20; attempt++) {
      const [theirs, own] = await Promise.all([ask(real.url, 'query', { query }), ask(ours.url, 'query', { query })])
      differs = differenceNow(theirs, own)
      if (!differs) break
      await sleep(200)
    }
    expect(differs).toBeUndefined()
  })
})
