import { describe, expect, test } from 'vitest'
import { parseRolloutSpec } from '../../src/api/parse.ts'
import { findRival } from '../../src/controller/rivals.ts'
import type { KubeObject } from '../../src/kube/object.ts'
import type { Router } from '../../src/traffic/router.ts'

const router: Router = {
  observe: () => ({ shares: {}, pairs: [] }),
  setWeight: async () => ({ ok: true, changed: false, resourceVersion: '1' }),
  routesOf: ({ istio }, namespace) =>
    (istio?.virtualService.routes ?? ['only']).map((route) => `${namespace}/${istio?.virtualService.name}#${route}`),
}

/** A Rollout created at this minute. */
function rollout(
  name: string,
  minute: number,
  of: { deployment?: string; route?: string; routes?: string[] },
  metadata: object = {},
): KubeObject {
  const { deployment, route = name, routes } = of
  return {
    apiVersion: 'sluice.dev/v1alpha1',
    kind: 'Rollout',
    metadata: {
      name,
      namespace: 'shop',
      uid: `uid-${name}`,
      creationTimestamp: `2026-11-22T18:${String(minute).padStart(2, '0')}:00Z`,
      ...metadata,
    },
    spec: {
      workload: deployment === undefined ? { subsets: { desired: 'v2' } } : { deployment: { name: deployment } },
      traffic: { istio: { virtualService: { name: route, ...(routes ? { routes } : {}) } } },
    },
  }
}

function rival(rollout: KubeObject, ...others: KubeObject[]) {
  const parsed = parseRolloutSpec(rollout.spec)
  if (!parsed.ok) throw new Error(parsed.problem.message)
  return findRival(router, [rollout, ...others], rollout, parsed.value)
}

describe('two Rollouts', () => {
  const old = rollout('old', 1, { deployment: 'web', route: 'a' })

  test('of one Deployment are rivals whatever their routes: the younger one knows the older', () => {
    const young = rollout('young', 2, { deployment: 'web', route: 'b' })
    expect(rival(young, old)).toEqual({ key: 'shop/old', owns: 'Deployment' })
    expect(rival(old, young)).toBeUndefined()
  })

  test('of one route are rivals whatever their workload', () => {
    const young = rollout('young', 2, { deployment: 'api', route: 'a' })
    expect(rival(young, old)).toEqual({ key: 'shop/old', owns: 'route' })
    expect(rival(rollout('young', 2, { route: 'a' }), old)).toEqual({ key: 'shop/old', owns: 'route' })
  })

  test('of different routes in one VirtualService, and of different Deployments, are none', () => {
    const [first, second] = [
      rollout('one', 1, { deployment: 'web', route: 'a', routes: ['x'] }),
      rollout('two', 2, { deployment: 'api', route: 'a', routes: ['y'] }),
    ]
    expect(rival(second, first)).toBeUndefined()
  })

  test('of one second are told apart by their uid', () => {
    const [a, b] = [rollout('a', 1, { deployment: 'web' }), rollout('b', 1, { deployment: 'web' })]
    expect(rival(b, a)?.key).toBe('shop/a')
    expect(rival(a, b)).toBeUndefined()
  })

  test('are none when the older one is going, or cannot work anyway', () => {
    const young = rollout('young', 2, { deployment: 'web' })
    expect(rival(young, rollout('old', 1, { deployment: 'web' }, { deletionTimestamp: 'now' }))).toBeUndefined()
    const broken = rollout('old', 1, { deployment: 'web' })
    expect(rival(young, { ...broken, spec: { ...Object(broken.spec), steps: [] } })).toBeUndefined()
  })
})
