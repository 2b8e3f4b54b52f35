import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { rolloutSpec } from '../../../src/api/rollout.ts'
import { whoAmI } from '../../../src/approval/kubernetes.ts'
import { connect, type KubeClient } from '../../../src/kube/client.ts'
import { connectionTo, type KubeConnection } from '../../../src/kube/connection.ts'
import { fieldAt } from '../../../src/kube/field.ts'
import { apiVersionOf, type KubeObject, type Resource } from '../../../src/kube/object.ts'
import { resources } from '../../../src/kube/resources.ts'
import type { DeploymentEffect } from '../../../src/plan/effects.ts'
import { deploymentRevision, templateContent } from '../../../src/plan/revision.ts'
import { systemRuntime as runtime } from '../../../src/runtime.ts'
import { startApiServer } from '../../../src/sandbox/apiserver/index.ts'
import { createDeploymentHands } from '../../../src/workload/deployment/hands.ts'
import { createLatch, type Latch } from '../../../src/workload/deployment/latch.ts'
import type { DeploymentHands } from '../../../src/workload/hands.ts'
import { rawClient } from '../../conformance/apiserver.client.ts'
import { realServer } from '../../conformance/apiserver.real.ts'
import { as, deployments, installLatch } from './latch-policy.ts'

interface Connected {
  url: string
  token: string | undefined
  connection(): Promise<KubeConnection>
  stop(): Promise<void>
}

/** The hands on any API server: no controllers are needed, only what is stored is looked at. */
function handsConformance(label: string, start: () => Promise<Connected>): void {
  describe(label, () => {
    let server: Connected
    let client: KubeClient
    let latch: Latch
    let hands: DeploymentHands
    const namespace = 'default'
    let serial = 0

    beforeAll(async () => {
      server = await start()
      client = connect({ connection: await server.connection(), runtime })
      await installLatch(rawClient(server.url, server.token), (await whoAmI(client)).name)
      latch = createLatch({ client, runtime, log: { info() {}, warn() {} }, onAnswer: () => undefined })
      const services = ['stable', 'canary'].map((track) => service(`web-${track}`, { app: 'web', track }))
      const reader = {
        get: (_: Resource, key: { name: string }) => services.find(({ metadata }) => metadata.name === key.name),
        list: () => [],
      }
      hands = createDeploymentHands({ client, reader, latch, isLeader: () => true })
    }, 90_000)
    afterAll(async () => {
      client?.close()
      await server?.stop()
    })

    const service = (name: string, selector: Record<string, string>): KubeObject => ({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name, namespace },
      spec: { selector },
    })

    async function made(over: Record<string, unknown> = {}, length = 0) {
      const name = `web-${Date.now().toString(36)}-${serial++}`.padEnd(length, 'x')
      await client.create(resources.deployments, {
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata: { name, namespace, labels: { team: 'shop' }, annotations: { note: 'mine' } },
        spec: {
          selector: { matchLabels: { app: 'web', track: 'stable' } },
          template: {
            metadata: { labels: { app: 'web', track: 'stable' } },
            spec: { containers: [{ name: 'web', image: 'registry.example/web:1' }] },
          },
          ...over,
        },
      })
      const spec = rolloutSpec.parse({
        workload: { deployment: { name } },
        traffic: {
          istio: {
            virtualService: { name: 'web' },
            services: { stable: 'web-stable', canary: 'web-canary' },
          },
        },
      })
      const target = { key: `${namespace}/${name}`, namespace, rollout: name, spec }
      const get = async (resource: Resource, of = name) => client.get(resource, { namespace, name: of })
      const live = async () => {
        const found = await get(resources.deployments)
        if (!found) throw new Error(`${name} is gone`)
        return found
      }
      return {
        name,
        target,
        get,
        live,
        canary: async () => get(resources.deployments, `${name}-canary`),
        act: (effect: DeploymentEffect) => hands.act(target, effect),
        desired: async () => {
          const { metadata, ...object } = await live()
          const content = templateContent(fieldAt(object, 'spec', 'template'))
          const { uid = '', generation = 0 } = metadata
          return deploymentRevision(name, content, { name: `${name}-canary`, uid, generation })
        },
        image: async (image: string) => {
          const path = `${deployments}/${name}`
          const body = [{ op: 'replace', path: '/spec/template/spec/containers/0/image', value: image }]
          const raw = rawClient(server.url, server.token)
          const contentType = 'application/json-patch+json'
          const answer = await raw.request('PATCH', path, { body, contentType, headers: as('eve') })
          expect(answer.body.message ?? '').toBe('')
        },
        create: (resource: Resource, called: string, spec: object) =>
          client.create(resource, {
            apiVersion: apiVersionOf(resource),
            kind: resource.kind,
            metadata: { name: called, namespace },
            spec,
          }),
      }
    }

    test('the latch is proven, holds a template, and lets go what was looked at', async () => {
      const d = await made()
      expect(await d.act({ kind: 'proveLatch' })).toEqual({ done: true })
      expect(latch.of((await d.live()).metadata.uid ?? '')).toMatchObject({ state: 'Proven' })
      const before = await d.live()
      await d.act({ kind: 'adopt', pause: false })
      const adopted = await d.live()
      expect(adopted.spec).toEqual(before.spec)
      expect(adopted.metadata).toMatchObject({
        generation: before.metadata.generation,
        labels: { team: 'shop', 'sluice.dev/rollout': d.name },
        annotations: { note: 'mine' },
      })
      await d.image('registry.example/web:2')
      const looked = (await d.live()).metadata.resourceVersion ?? ''
      expect(fieldAt(await d.live(), 'spec', 'paused')).toBe(true)
      await d.image('registry.example/web:3')
      expect(await d.act({ kind: 'resume', resourceVersion: looked })).toEqual({ done: false })
      const newest = (await d.live()).metadata.resourceVersion ?? ''
      expect(await d.act({ kind: 'resume', resourceVersion: newest })).toEqual({ done: true })
      expect(fieldAt(await d.live(), 'spec', 'paused') ?? false).toBe(false)
    })

    test('the canary is made, put right and removed, with its copies', async () => {
      const d = await made({ replicas: 4 })
      await d.create(resources.horizontalPodAutoscalers, d.name, {
        scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: d.name },
        minReplicas: 2,
        maxReplicas: 6,
        metrics: [
          { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 60 } } },
        ],
        behavior: { scaleDown: { stabilizationWindowSeconds: 60 } },
      })
      const selector = { matchLabels: { app: 'web', track: 'stable' } }
      await d.create(resources.podDisruptionBudgets, d.name, { minAvailable: 2, selector })
      const revision = await d.desired()
      const scale = (replicas: number) => d.act({ kind: 'scaleCanary', revision, replicas })
      expect(await scale(2)).toEqual({ done: true })
      const first = await d.canary()
      expect(fieldAt(first, 'spec', 'template', 'metadata', 'labels')).toEqual({
        app: 'web',
        track: 'canary',
        'sluice.dev/canary': d.name,
      })
      const copied = await d.get(resources.horizontalPodAutoscalers, `${d.name}-canary`)
      const theirs = await d.get(resources.horizontalPodAutoscalers)
      expect(copied?.spec).toEqual({
        ...(theirs?.spec as object),
        scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: `${d.name}-canary` },
      })
      const budget = await d.get(resources.podDisruptionBudgets, `${d.name}-canary`)
      expect(budget?.spec).toEqual({ minAvailable: '50%', selector: fieldAt(first, 'spec', 'selector') })

      expect(await scale(2)).toEqual({ done: true })
      expect((await d.canary())?.metadata.resourceVersion).toBe(first?.metadata.resourceVersion)
      const body = {
        spec: {
          paused: true,
          template: {
            metadata: { annotations: { debug: 'yes' } },
            spec: { hostNetwork: true, containers: [{ name: 'web', image: 'evil', env: [{ name: 'X', value: 'y' }] }] },
          },
        },
      }
      const key = { namespace, name: `${d.name}-canary` }
      await client.patch(resources.deployments, key, { type: 'merge', body }, { fieldManager: 'somebody' })
      expect(await scale(3)).toEqual({ done: true })
      expect((await d.canary())?.spec).toEqual({ ...(first?.spec as object), replicas: 3 })

      expect(await d.act({ kind: 'floor', replicas: 4 })).toEqual({ done: true })
      expect(fieldAt(await d.get(resources.horizontalPodAutoscalers), 'spec', 'minReplicas')).toBe(4)
      expect(await d.act({ kind: 'floor' })).toEqual({ done: true })
      expect((await d.get(resources.horizontalPodAutoscalers))?.spec).toEqual(theirs?.spec)

      expect(await d.act({ kind: 'removeCanary' })).toEqual({ done: true })
      expect(await d.canary()).toBeUndefined()
      expect(await d.get(resources.horizontalPodAutoscalers, `${d.name}-canary`)).toBeUndefined()
      expect(await d.get(resources.podDisruptionBudgets, `${d.name}-canary`)).toBeUndefined()
      expect(await d.get(resources.horizontalPodAutoscalers)).toBeDefined()
      expect(await d.get(resources.podDisruptionBudgets)).toBeDefined()
    })

    test('a template comes back from its ReplicaSet, and the Deployment is given back', async () => {
      const d = await made()
      await d.act({ kind: 'adopt', pause: false })
      const stable = await d.desired()
      const { metadata, spec } = await d.live()
      const template = structuredClone(fieldAt(spec, 'template')) as { metadata: { labels: Record<string, string> } }
      template.metadata.labels['pod-template-hash'] = 'abc'
      await client.create(resources.replicaSets, {
        apiVersion: 'apps/v1',
        kind: 'ReplicaSet',
        metadata: {
          name: `${d.name}-abc`,
          namespace,
          ownerReferences: [
            { apiVersion: 'apps/v1', kind: 'Deployment', name: d.name, uid: metadata.uid ?? '', controller: true },
          ],
        },
        spec: { replicas: 1, selector: { matchLabels: template.metadata.labels }, template },
      })
      await d.image('registry.example/web:2')
      expect(await d.act({ kind: 'restoreTemplate', to: stable })).toEqual({ done: true })
      expect((await d.live()).spec).toEqual(spec)
      await d.act({ kind: 'adopt', pause: true })
      expect(fieldAt(await d.live(), 'spec', 'paused')).toBe(true)
      const released = { ...d.target, stable }
      expect(await hands.act(released, { kind: 'release', resume: true })).toEqual({ done: true })
      expect((await d.live()).spec).toEqual(spec)
      expect((await d.live()).metadata.labels).toEqual({ team: 'shop' })
    })

    test('a canary that the API server refuses is a problem in its words', async () => {
      const d = await made({}, 250)
      const revision = await d.desired()
      expect(await d.act({ kind: 'scaleCanary', revision, replicas: 1 })).toMatchObject({
        done: false,
        problem: { reason: 'CanaryRefused', message: expect.stringContaining('must be no more than 253') },
      })
    })
  })
}

handsConformance('the sandbox', async () => {
  const server = await startApiServer()
  const token = server.token()
  return {
    url: server.url,
    token,
    connection: async () => connectionTo(server.url, { token }),
    stop: () => server.stop(),
  }
})

const real = realServer()
if (real) handsConformance('a real API server', real)
else test.skip('the hands on a real API server (none given)', () => {})
