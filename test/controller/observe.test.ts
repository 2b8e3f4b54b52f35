import { describe, expect, test } from 'vitest'
import { parseRolloutSpec } from '../../src/api/parse.ts'
import { type RolloutSpec, rolloutSpec } from '../../src/api/rollout.ts'
import type { RevisionRecord, RolloutStatus } from '../../src/api/status.ts'
import { analysisRequest, effectiveSpec, observeTraffic } from '../../src/controller/observe.ts'
import type { KubeObject } from '../../src/kube/object.ts'
import type { Pair } from '../../src/traffic/router.ts'

const record = (name: string, workload: string): RevisionRecord => ({
  revision: `${name}-0`,
  name,
  hash: '0',
  format: 2,
  workloads: [{ name: workload, uid: 'u', generation: 1 }],
})

const route = { virtualService: { name: 'checkout' } }
const deploymentSpec = (istio: object = route) =>
  rolloutSpec.parse({ workload: { deployment: { name: 'checkout' } }, traffic: { istio } })
const subsetSpec = (desired: string) =>
  rolloutSpec.parse({ workload: { subsets: { desired } }, traffic: { istio: route } })

/** What was seen of the traffic, and the pairs that were asked for. */
function traffic(spec: RolloutSpec, status: RolloutStatus) {
  const asked: Pair[] = []
  const seen = observeTraffic(
    {
      observe: (_, __, pairs) => {
        asked.push(...pairs)
        const of = (pair: Pair) => ({
          ok: true as const,
          ...pair,
          weight: 10,
          sum: 100,
          uneven: false,
          resourceVersion: '1',
        })
        return { shares: { stable: 90, canary: 10 }, pairs: pairs.map(of) }
      },
    },
    'shop',
    spec,
    status,
  )
  return { seen, asked }
}

describe('the traffic of a Deployment', () => {
  const stable = record('1.0.0', 'checkout')
  const canary = record('2.0.0', 'checkout-canary')

  test('is between two fixed subsets, whatever the versions are called', () => {
    const { seen, asked } = traffic(deploymentSpec(), { stable, canary })
    const pair = { stable: 'stable', canary: 'canary' }
    expect(seen.recorded).toMatchObject(pair)
    expect(seen.desired).toMatchObject(pair)
    expect(asked).toContainEqual(pair)
  })

  test('is between the subsets or Services that are named', () => {
    const named = { ...route, destinationRule: { name: 'checkout', stableSubset: 'blue', canarySubset: 'green' } }
    expect(traffic(deploymentSpec(named), { stable, canary }).seen.recorded).toMatchObject({
      stable: 'blue',
      canary: 'green',
    })
    const services = { ...route, services: { stable: 'checkout', canary: 'checkout-next' } }
    expect(traffic(deploymentSpec(services), { stable }).seen.desired).toMatchObject({ canary: 'checkout-next' })
  })

  test('is looked at also while nothing is in flight, even of two versions under one tag, but not before adoption', () => {
    const before = traffic(deploymentSpec(), {})
    expect(before.seen).toEqual({ shares: { stable: 90, canary: 10 } })
    expect(before.asked).toEqual([])
    const idle = traffic(deploymentSpec(), { stable })
    expect(idle.seen.recorded).toBeUndefined()
    expect(idle.seen.desired).toMatchObject({ ok: true, weight: 10 })
    const { seen } = traffic(deploymentSpec(), { stable, canary: { ...canary, name: stable.name } })
    expect(seen.recorded).toMatchObject({ ok: true })
  })

  test('cannot be known where the route cannot', () => {
    const problem = { reason: 'VirtualServiceMissing' as const, message: 'it does not exist' }
    const seen = observeTraffic({ observe: () => ({ problem }) }, 'shop', deploymentSpec(), { stable, canary })
    expect(seen).toEqual({ shares: {}, problem, recorded: { ok: false, problem }, desired: { ok: false, problem } })
  })

  test('is measured by the workloads that the mesh sees: the Deployment and its canary', () => {
    const rollout = { apiVersion: 'a', kind: 'Rollout', metadata: { name: 'r', namespace: 'shop', uid: 'u' } }
    const since = '2026-11-22T18:00:00Z'
    const step = { index: 1, weight: 10, since }
    const request = analysisRequest(rollout, deploymentSpec(), { stable, canary, step, startedAt: since })
    expect(request).toMatchObject({ stable: { workloads: ['checkout'] }, canary: { workloads: ['checkout-canary'] } })
  })
})

describe('the traffic of subsets', () => {
  const [v1, v2] = [record('v1', 'checkout-v1'), record('v2', 'checkout-v2')]

  test('is between the versions themselves, and of nobody while stable is desired', () => {
    expect(traffic(subsetSpec('v2'), { stable: v1 }).seen.desired).toMatchObject({ stable: 'v1', canary: 'v2' })
    expect(traffic(subsetSpec('v1'), { stable: v1 }).asked).toEqual([])
    const { seen } = traffic(subsetSpec('v3'), { stable: v1, canary: v2 })
    expect(seen).toMatchObject({ recorded: { canary: 'v2' }, desired: { canary: 'v3' } })
  })
})

describe('while what is declared cannot work', () => {
  const broken = (workload: object): KubeObject => ({
    apiVersion: 'sluice.dev/v1alpha1',
    kind: 'Rollout',
    metadata: { name: 'checkout', namespace: 'shop' },
    spec: { workload, traffic: { istio: route }, steps: [] },
  })
  const last = (spec: RolloutSpec): RolloutStatus => ({ lastValid: JSON.stringify(spec) })

  test('the last valid spec holds, for a Deployment as it was', () => {
    const rollout = broken({ deployment: { name: 'other' } })
    const parsed = parseRolloutSpec(rollout.spec)
    expect(parsed.ok).toBe(false)
    expect(effectiveSpec(rollout, parsed, last(deploymentSpec()))).toEqual(deploymentSpec())
    expect(effectiveSpec(rollout, parsed, {})).toBeUndefined()
  })

  test('of subsets with the version that is desired now', () => {
    const rollout = broken({ subsets: { desired: 'v3' } })
    const spec = effectiveSpec(rollout, parseRolloutSpec(rollout.spec), last(subsetSpec('v2')))
    expect(spec?.workload).toEqual({ subsets: { desired: 'v3' } })
    const switched = effectiveSpec(rollout, parseRolloutSpec(rollout.spec), last(deploymentSpec()))
    expect(switched?.workload).toEqual(deploymentSpec().workload)
  })
})
