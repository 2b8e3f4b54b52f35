import { describe, expect, test } from 'vitest'
import type { Problem } from '../../../src/errors.ts'
import type { KubeObject } from '../../../src/kube/object.ts'
import {
  autoscaler,
  canary,
  deployment,
  observe,
  pods,
  replicaSet,
  rule,
  service,
  template,
  virtualService,
} from './objects.ts'

const running = [replicaSet('a', '1.0.0', 3), ...pods('a', 3)]
const subsets = { stable: { track: 'stable' }, canary: { track: 'canary' } }

/** What is wrong with this; undefined when nothing is. */
function problem(objects: KubeObject[], istio?: object): Problem | undefined {
  const now = observe([virtualService, ...running, ...objects], istio ? { istio } : {})
  return now.ok ? undefined : now.problem
}

/** A Deployment whose pods and selector carry these labels. */
function labelled(labels: Record<string, string>, matchLabels: Record<string, string> = { app: 'checkout' }) {
  return deployment('1.0.0', { spec: { selector: { matchLabels }, template: template('1.0.0', { labels }) } })
}

const front = service('checkout', { app: 'checkout' })

describe('two subsets of one host', () => {
  test('that differ in one label work, also as the DestinationRule and subsets that are named', () => {
    expect(problem([front, rule(subsets), deployment('1.0.0')])).toBeUndefined()
    const named = {
      virtualService: { name: 'checkout' },
      destinationRule: { name: 'checkout', stableSubset: 'blue', canarySubset: 'green' },
    }
    const colours = rule({ blue: { track: 'stable' }, green: { track: 'canary' } })
    expect(problem([front, colours, deployment('1.0.0')], named)).toBeUndefined()
  })

  test.each<[string, KubeObject[], Problem['reason'], string]>([
    [
      'no DestinationRule',
      [front, deployment('1.0.0')],
      'DestinationRuleMissing',
      'namespace shop has no DestinationRule for checkout.shop',
    ],
    [
      'no canary subset',
      [front, rule({ stable: { track: 'stable' }, next: {} }), deployment('1.0.0')],
      'SubsetMissing',
      'DestinationRule shop/checkout has no subset "canary" (it has "stable", "next")',
    ],
    [
      'no stable subset',
      [front, rule({ canary: { track: 'canary' } }), deployment('1.0.0')],
      'SubsetMissing',
      'DestinationRule shop/checkout has no subset "stable" (it has "canary")',
    ],
    [
      'no Service behind the host',
      [rule(subsets), deployment('1.0.0')],
      'WorkloadMissing',
      'Service shop/checkout, the host in DestinationRule shop/checkout, does not exist',
    ],
    [
      'pods without the stable label',
      [front, rule(subsets), labelled({ app: 'checkout' })],
      'StableLabelsMissing',
      'the pod template of Deployment shop/checkout lacks the label track=stable of the subset "stable" in DestinationRule shop/checkout',
    ],
    [
      'pods that the Service does not select',
      [service('checkout', { app: 'checkout', tier: 'web' }), rule(subsets), deployment('1.0.0')],
      'StableLabelsMissing',
      'the pod template of Deployment shop/checkout lacks the label tier=web, by which the Service behind DestinationRule shop/checkout selects its pods',
    ],
    [
      'a Service that selects stable pods only',
      [service('checkout', { app: 'checkout', track: 'stable' }), rule(subsets), deployment('1.0.0')],
      'ServiceExcludesCanary',
      'the Service behind DestinationRule shop/checkout selects track=stable, but the canary’s pods have track=canary',
    ],
    [
      'a stable subset without labels',
      [front, rule({ stable: {}, canary: { track: 'canary' } }), deployment('1.0.0')],
      'SubsetsOverlap',
      'the canary’s pods would also be in the subset "stable" of DestinationRule shop/checkout (no labels)',
    ],
    [
      'subsets by different labels',
      [front, rule({ stable: { track: 'stable' }, canary: { release: 'canary' } }), deployment('1.0.0')],
      'SubsetsOverlap',
      'the canary’s pods would also be in the subset "stable" of DestinationRule shop/checkout (track=stable)',
    ],
    [
      'a canary subset without labels',
      [front, rule({ stable: { track: 'stable' }, canary: {} }), deployment('1.0.0')],
      'SubsetsOverlap',
      'the canary’s pods would also be in',
    ],
    [
      'a canary’s Deployment of somebody else',
      [front, rule(subsets), deployment('1.0.0'), canary('1.0.0', { metadata: { labels: { app: 'mine' } } })],
      'CanaryNameTaken',
      'Deployment shop/checkout-canary exists and is not Sluice’s: it lacks the label sluice.dev/canary-of=checkout',
    ],
  ])('with %s do not', (_, objects, reason, message) => {
    const found = problem(objects)
    expect(found?.reason).toBe(reason)
    expect(found?.message).toContain(message)
  })

  test('of a Service in another namespace do not', () => {
    const away = { ...service('checkout', { app: 'checkout' }), metadata: { name: 'checkout', namespace: 'other' } }
    const elsewhere = rule(subsets, 'checkout.other.svc.cluster.local')
    const istio = { virtualService: { name: 'checkout' }, destinationRule: { name: 'checkout' } }
    expect(problem([away, elsewhere, deployment('1.0.0')], istio)?.message).toContain('namespace other')
  })
})

describe('two Services', () => {
  const istio = { virtualService: { name: 'checkout' }, services: { stable: 'checkout', canary: 'checkout-next' } }
  const stable = service('checkout', { app: 'checkout', track: 'stable' })
  const next = service('checkout-next', { app: 'checkout', track: 'canary' })

  test('that select different pods work', () => {
    expect(problem([stable, next, deployment('1.0.0')], istio)).toBeUndefined()
  })

  test.each<[string, KubeObject[], Problem['reason'], string]>([
    [
      'of which one does not exist',
      [stable, deployment('1.0.0')],
      'WorkloadMissing',
      'Service shop/checkout-next, the host in spec.traffic.istio.services, does not exist',
    ],
    [
      'of which the stable one does not select the Deployment’s pods',
      [stable, next, labelled({ app: 'checkout' })],
      'StableLabelsMissing',
      'lacks the label track=stable, by which the Service shop/checkout selects its pods',
    ],
    [
      'of which the stable one would select the canary’s pods too',
      [service('checkout', { app: 'checkout' }), next, deployment('1.0.0')],
      'SubsetsOverlap',
      'the canary’s pods would also be in the stable Service shop/checkout (app=checkout)',
    ],
    [
      'of which the canary’s selects the Deployment’s pods too',
      [stable, service('checkout-next', { app: 'checkout' }), deployment('1.0.0')],
      'SubsetsOverlap',
      'also be in the stable Service shop/checkout (app=checkout, track=stable)',
    ],
  ])('%s do not', (_, objects, reason, message) => {
    const found = problem(objects, istio)
    expect(found?.reason).toBe(reason)
    expect(found?.message).toContain(message)
  })

  test('that select the Deployment’s pods twice do not', () => {
    const both = labelled({ app: 'checkout', track: 'stable', release: 'canary' })
    const wide = service('checkout-next', { app: 'checkout', release: 'canary' })
    const narrow = service('checkout', { app: 'checkout', release: 'canary' })
    expect(problem([narrow, wide, both], istio)).toMatchObject({ reason: 'SubsetsOverlap' })
  })

  test('with an autoscaler work when a label of the selector differs', () => {
    const apart = labelled({ app: 'checkout', track: 'stable' }, { app: 'checkout', track: 'stable' })
    expect(problem([stable, next, apart, autoscaler()], istio)).toBeUndefined()
  })
})

describe('an autoscaler', () => {
  test('that would count the canary’s pods is refused, with the labels concerned', () => {
    expect(problem([front, rule(subsets), deployment('1.0.0'), autoscaler()])).toEqual({
      reason: 'AutoscalerOverlap',
      message:
        'HorizontalPodAutoscaler shop/checkout would count the canary’s pods: the selector of Deployment shop/checkout (app=checkout) has none of the labels by which the canary differs (track=canary)',
    })
  })

  test('whose Deployment selects by a label that differs is fine, however that is written', () => {
    const apart = labelled({ app: 'checkout', track: 'stable' }, { app: 'checkout', track: 'stable' })
    expect(problem([front, rule(subsets), apart, autoscaler()])).toBeUndefined()
    const selector = {
      matchLabels: { app: 'checkout' },
      matchExpressions: [{ key: 'track', operator: 'NotIn', values: ['canary'] }],
    }
    const written = deployment('1.0.0', { spec: { selector } })
    expect(problem([front, rule(subsets), written, autoscaler()])).toBeUndefined()
  })
})
