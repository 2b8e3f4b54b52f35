import { describe, expect, test } from 'vitest'
import type { KubeObject } from '../../../src/kube/object.ts'
import { findSubsetRules } from '../../../src/traffic/istio/destinationrule.ts'
import { createMemoryApi } from '../memory-api.ts'
import { destinationRule, namespace, to, virtualService } from './objects.ts'

function find(rules: KubeObject[], options: { name?: string; route?: unknown[]; subsets?: string[] } = {}) {
  const api = createMemoryApi()
  for (const rule of rules) api.put(rule)
  api.sync()
  return findSubsetRules(api.reader, {
    namespace,
    name: options.name,
    routes: undefined,
    subsets: options.subsets ?? ['v1', 'v2'],
    virtualService: virtualService({ http: [{ route: options.route ?? [to('v1', 90), to('v2', 10)] }] }),
  })
}

describe('findSubsetRules', () => {
  test('takes the one that is named', () => {
    expect(find([destinationRule('a'), destinationRule('b')], { name: 'b' })).toMatchObject({
      ok: true,
      rules: { name: 'b' },
    })
    expect(find([destinationRule('a')], { name: 'b' })).toMatchObject({
      problem: { reason: 'DestinationRuleMissing', message: 'DestinationRule shop/b does not exist' },
    })
  })

  test('takes the only one for the host, however the host is spelled', () => {
    const rules = [destinationRule('a', 'ratings'), destinationRule('b', 'checkout.shop.svc.cluster.local')]
    expect(find(rules)).toMatchObject({
      ok: true,
      rules: { name: 'b', subsets: [{ name: 'v1', labels: { version: 'v1' } }, { name: 'v2' }, { name: 'v3' }] },
    })
  })

  test('takes the host whose subsets are meant', () => {
    const route = [to('v1', 50), to('v2', 0), to('blue', 50, 'ratings')]
    const rules = [destinationRule('a', 'ratings'), destinationRule('b')]
    expect(find(rules, { route })).toMatchObject({ ok: true, rules: { name: 'b' } })
    expect(find(rules, { route, subsets: ['blue'] })).toMatchObject({ ok: true, rules: { name: 'a' } })
  })

  test('does not guess between two', () => {
    expect(find([destinationRule('a'), destinationRule('b')])).toMatchObject({
      problem: { reason: 'DestinationRuleMissing', message: expect.stringContaining('(a, b)') },
    })
  })

  test('says for which host there is none', () => {
    expect(find([destinationRule('a', 'ratings')])).toMatchObject({
      problem: { message: 'namespace shop has no DestinationRule for checkout.shop' },
    })
  })
})
