import { describe, expect, test } from 'vitest'
import { checkQuery, prepareQuery } from '../../src/analysis/template.ts'

const variables = {
  namespace: 'shop',
  name: 'checkout',
  canary: { workloads: ['checkout-v2'], revision: 'v2-abc' },
  stable: { workloads: ['a', 'b'], revision: 'v1-def' },
}

function prepare(promql: string) {
  const prepared = prepareQuery(promql, variables, 'spec.analysis.slis[2].query.promql')
  if (!prepared.ok) throw new Error(prepared.problem.message)
  return prepared.value
}

describe('variables', () => {
  test('are replaced', () => {
    expect(
      prepare(
        'max(depth{ns="${namespace}",r="${name}",w="${canary.workload}",s=~"${stable.workload}",v="${canary.revision}${stable.revision}"})',
      ).promql,
    ).toBe('max(depth{ns="shop",r="checkout",w="checkout-v2",s=~"a|b",v="v2-abcv1-def"})')
  })

  test('cannot leave the string they stand in', () => {
    const evil = { ...variables, name: 'x"} or vector(0) or up{a="\\' }
    const prepared = prepareQuery('up{a="${name}"}', evil, 'f')
    expect(prepared).toMatchObject({ ok: true, value: { promql: 'up{a="x\\"} or vector(0) or up{a=\\"\\\\"}' } })
  })

  test('unknown ones are refused by name, with those that exist', () => {
    expect(checkQuery('up{a="${canary.pod}"}', 'spec.analysis.slis[2].query.promql')).toEqual({
      reason: 'InvalidSpec',
      field: 'spec.analysis.slis[2].query.promql',
      message:
        'the query has the variable ${canary.pod}, which is none of ${namespace}, ${name}, ${canary.workload}, ${stable.workload}, ${canary.revision}, ${stable.revision}',
    })
  })
})

describe('what the query reads', () => {
  test('every vector selector is asked for its age, each once, without its range', () => {
    expect(prepare('sum(rate(a{x="1"}[5m])) / (sum(b) + sum(b))').ages).toBe(
      'label_replace(max(timestamp(a{x="1"})), "sluice_selector", "0", "", "") or label_replace(max(timestamp(b)), "sluice_selector", "1", "", "")',
    )
  })

  test('a selector that looks back is as old as its samples are older than that', () => {
    expect(prepare('a offset 1h30m').ages).toContain('max(timestamp(a offset 5400000ms)) + 5400')
    expect(prepare('rate(a[5m] offset -5m)').ages).toContain('max(timestamp(a offset -300000ms)) + -300')
    expect(prepare('a @ end() offset 1w').ages).toContain('max(timestamp(a offset 604800000ms)) + 604800')
  })

  test('text that looks like a selector inside a string is none', () => {
    expect(prepare('label_replace(up, "x", "sum(foo)", "", "")').ages).not.toContain('foo')
  })

  test.each(['1', 'vector(1)', 'time()'])('%s reads nothing and is refused', (promql) => {
    expect(checkQuery(promql, 'f')?.message).toContain('reads no series')
  })

  test('what is no PromQL is refused, with the place', () => {
    expect(checkQuery('sum(rate(a[5m])', 'f')?.message).toContain('not PromQL')
    expect(checkQuery('a{b=}', 'f')?.message).toContain('"}')
  })
})
