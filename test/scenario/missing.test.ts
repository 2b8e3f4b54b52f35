import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { KubeObject } from '../../src/kube/object.ts'
import type { ResourceRef } from '../../src/sandbox/apiserver/index.ts'
import { rolloutOf } from './manifests.ts'
import { openStage, refs, type Scene, type Stage } from './stage.ts'

let stage: Stage
beforeAll(async () => {
  stage = await openStage()
  const controller = await stage.controller()
  await controller.synced
}, 60_000)
afterAll(() => stage.stop(), 60_000)

/** Edits an object of the app as `kubectl edit` does. */
function change(s: Scene, ref: ResourceRef, edit: (spec: Spec) => void): void {
  const { storage } = stage.sandbox.api
  const live = structuredClone(storage.get(ref, { namespace: s.namespace, name: 'my-app' })) as KubeObject & {
    spec: Spec
  }
  edit(live.spec)
  storage.update(ref, live, { fieldManager: 'kubectl-edit' })
}

interface Spec {
  subsets: { name: string; labels: Record<string, string> }[]
  http: { route: { destination: { host: string; subset: string }; weight: number }[] }[]
}

const subset = { name: 'v2', labels: { version: 'v2' } }
const withoutSubset = (spec: Spec) => {
  spec.subsets = spec.subsets.filter(({ name }) => name !== 'v2')
}
const stackTrace = /\n? +at \S+ \(|\.ts:\d+:\d+/

describe.concurrent('what is missing is named, nothing moves, and putting it right is enough', {
  timeout: 240_000,
}, () => {
  test('a DestinationRule without the subset', async () => {
    await using s = await stage.scene('no-such-subset')
    change(s, refs.destinationRules, withoutSubset)
    await s.desire('v2')
    await s.until('told', ({ phase }) => phase === 'Invalid')
    expect(s.status().message).toMatch(/DestinationRule \S*my-app has no subset "v2"/)
    expect(s.status().message).toContain('Add the subset to the DestinationRule')
    expect(s.status().message).not.toMatch(stackTrace)
    expect(s.weights('v2')).toEqual([0])
    change(s, refs.destinationRules, (spec) => void spec.subsets.push(subset))
    await s.until('moving', () => s.weight('v2') === 10)
  })

  test('a DestinationRule that loses the subset mid-flight: callers get errors, so traffic goes back', async () => {
    await using s = await stage.scene('lost-subset', {
      rollout: { steps: [{ weight: 20, hold: '10m' }, { weight: 100 }] },
    })
    await s.desire('v2')
    await s.until('at 20 %', ({ step }) => step?.weight === 20)
    change(s, refs.destinationRules, withoutSubset)
    await s.until('told', ({ message }) => /DestinationRule \S*my-app has no subset "v2"/.test(message ?? ''))
    await s.until('back', ({ lastOutcome }) => lastOutcome?.result === 'RolledBack')
    expect(s.weights('v2')).toEqual([0, 20, 0])
    change(s, refs.destinationRules, (spec) => void spec.subsets.push(subset))
    s.request('retry')
    await s.until('tried again', () => s.weight('v2') === 20)
    expect(s.weights('v2')).toEqual([0, 20, 0, 20])
  })

  test('a route without the destination', async () => {
    await using s = await stage.scene('no-destination', { weights: { v1: 100 } })
    await s.desire('v2')
    await s.until('told', ({ phase }) => phase === 'Invalid')
    expect(s.status().message).toMatch(/my-app.*\bv2\b/)
    expect(s.status().message).toContain('Add a destination for the subset to the route, with weight 0')
    expect(s.status().message).not.toMatch(stackTrace)
    expect(s.weights('v1')).toEqual([100])
    const destination = { host: 'my-app', subset: 'v2' }
    change(s, refs.virtualServices, (spec) => void spec.http[0]?.route.push({ destination, weight: 0 }))
    await s.until('moving', () => s.weight('v2') === 10)
  })

  test('a Deployment behind the subset', async () => {
    await using s = await stage.scene('no-workload')
    const { storage } = stage.sandbox.api
    const key = { namespace: s.namespace, name: 'my-app-v2' }
    const { metadata, spec, apiVersion, kind } = storage.get(refs.deployments, key)!
    storage.remove(refs.deployments, key)
    await s.desire('v2')
    await s.until('told', ({ phase }) => phase === 'Invalid')
    expect(s.status().message).toMatch(/v2/)
    expect(s.status().message).toContain('Create a Deployment whose pods carry the labels of the subset')
    expect(s.weights('v2')).toEqual([0])
    const { name, namespace } = metadata
    storage.create(refs.deployments, { apiVersion, kind, metadata: { name, namespace }, spec } as KubeObject)
    await s.until('moving', () => s.weight('v2') === 10)
  })
})

test('a field that a Rollout does not have is refused by the API server, with its place', async () => {
  const rollout = rolloutOf('default', { stepz: [{ weight: 100 }] })
  const url = `${stage.sandbox.api.url}/apis/sluice.dev/v1alpha1/namespaces/default/rollouts?fieldValidation=Strict`
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(rollout),
  })
  expect(response.status).toBe(400)
  expect(await response.text()).toContain('unknown field \\"spec.stepz\\"')
})
