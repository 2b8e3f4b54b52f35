import { describe, expect, test } from 'vitest'
import { parseRolloutSourceSpec, parseRolloutSpec } from '../../src/api/parse.ts'

const shortest = {
  workload: { subsets: { desired: 'v2' } },
  traffic: { istio: { virtualService: { name: 'my-app' } } },
}

test('the shortest useful Rollout: 10, 50, 100 held five minutes, success rate 99 %, every 15 s', () => {
  const parsed = parseRolloutSpec(shortest)
  expect(parsed).toMatchObject({
    ok: true,
    value: {
      steps: [
        { weight: 10, hold: '5m' },
        { weight: 50, hold: '5m' },
        { weight: 100, hold: '5m' },
      ],
      analysis: { interval: '15s', slis: [{ successRate: { objective: 99 } }], minRequests: 100, alpha: 0.01 },
      suspend: false,
    },
  })
})

describe('what cannot work is refused, naming the field', () => {
  test.each<[string, object, string]>([
    [
      'steps that go down',
      { steps: [{ weight: 50 }, { weight: 10 }, { weight: 100 }] },
      'spec.steps weights must rise',
    ],
    [
      'steps that do not end in 100',
      { steps: [{ weight: 10 }, { weight: 50 }] },
      'spec.steps the last step must have weight 100',
    ],
    ['no steps', { steps: [] }, 'spec.steps'],
    ['a weight of 0', { steps: [{ weight: 0 }, { weight: 100 }] }, 'spec.steps[0].weight'],
    ['a hold that is no duration', { steps: [{ weight: 100, hold: 'soon' }] }, 'spec.steps[0].hold'],
    [
      'an objective of 100 %',
      { analysis: { slis: [{ name: 'a', successRate: { objective: 100 } }] } },
      'spec.analysis.slis[0].successRate.objective',
    ],
    [
      'an SLI of two kinds',
      { analysis: { slis: [{ name: 'a', successRate: { objective: 99 }, query: { promql: 'up', max: 1 } }] } },
      'exactly one of successRate',
    ],
    ['a query without bounds', { analysis: { slis: [{ name: 'a', query: { promql: 'up' } }] } }, 'min, max or both'],
    [
      'two SLIs of one name',
      {
        analysis: {
          slis: [
            { name: 'a', successRate: { objective: 99 } },
            { name: 'a', successRate: { objective: 98 } },
          ],
        },
      },
      'names must differ',
    ],
    ['an approval from nobody', { steps: [{ weight: 100, approval: { from: [] } }] }, 'spec.steps[0].approval.from'],
    [
      'an approver of no kind',
      { steps: [{ weight: 100, approval: { from: ['dana'] } }] },
      'spec.steps[0].approval.from[0]',
    ],
    [
      'both workloads',
      { workload: { subsets: { desired: 'v1' }, deployment: { name: 'x' } } },
      'exactly one of subsets and deployment',
    ],
    ['no traffic', { traffic: {} }, 'exactly one of istio'],
    ['a window that cannot be read', { windows: [{ allow: 'often', for: '8h' }] }, 'spec.windows[0]'],
    ['a window in no time zone', { windows: [{ allow: '0 9 * * *', for: '8h', timezone: 'Mars/Base' }] }, 'Mars/Base'],
  ])('%s', (_, change, sentence) => {
    const parsed = parseRolloutSpec({ ...shortest, ...change })
    expect(parsed.ok).toBe(false)
    if (!parsed.ok) expect(parsed.problem.message).toContain(sentence)
  })

  test.each<[string, object]>([
    ['spec.traffic.linkerd', { traffic: { linkerd: { service: 'a', httpRoute: 'b' } } }],
    ['spec.analysis.compare', { analysis: { compare: { maxRatio: 1.25 } } }],
    ['spec.dependsOn', { dependsOn: [{ name: 'other' }] }],
  ])('%s is not yet supported, and says so', (field, change) => {
    expect(parseRolloutSpec({ ...shortest, ...change })).toMatchObject({
      ok: false,
      problem: { reason: 'NotYet', field },
    })
  })

  test.each(['nonsense', null, 7, [], undefined])('%j is not a spec', (spec) => {
    expect(parseRolloutSpec(spec).ok).toBe(false)
  })
})

describe('a RolloutSource', () => {
  test('with a password in its URL is refused, without repeating it', () => {
    const parsed = parseRolloutSourceSpec({ url: 'https://me:hunter2@git.example.com/a.git' })
    expect(parsed).toMatchObject({ ok: false, problem: { field: 'spec.url' } })
    expect(JSON.stringify(parsed)).not.toContain('hunter2')
  })

  test('outside its repository is refused', () => {
    expect(parseRolloutSourceSpec({ url: 'https://git.example.com/a.git', path: '../../etc' })).toMatchObject({
      ok: false,
    })
  })

  test('with pull requests for every step is refused', () => {
    expect(parseRolloutSourceSpec({ url: 'https://git.example.com/a.git', write: { mode: 'PullRequest' } }).ok).toBe(
      false,
    )
  })
})
