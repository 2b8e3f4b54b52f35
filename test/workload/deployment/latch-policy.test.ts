import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startApiServer } from '../../../src/sandbox/apiserver/index.ts'
import {
  type Answer,
  applyPatchType,
  jsonPatchType,
  mergePatchType,
  type RawClient,
  rawClient,
  strategicPatchType,
} from '../../conformance/apiserver.client.ts'
import type { ConnectedServer } from '../../conformance/apiserver.conformance.ts'
import { realApiServer } from '../../conformance/apiserver.real.ts'
import { as, deployments, installLatch, latched, SLUICE } from './latch-policy.ts'

const next = 'registry.example/web:2.0.0'

/** What the shipped latch does to Deployments, on any API server that has MutatingAdmissionPolicies. */
function latchConformance(label: string, connect: () => Promise<ConnectedServer>): void {
  describe(label, () => {
    let server: ConnectedServer
    let client: RawClient
    let serial = 0

    beforeAll(async () => {
      server = await connect()
      client = server.client
      await installLatch(client)
    }, 90_000)
    afterAll(() => server?.stop())

    /** A Deployment that is labelled, and paused where wanted. */
    async function made(paused = false): Promise<string> {
      const name = `web-${Date.now().toString(36)}-${serial++}`
      const { body } = await client.request('POST', deployments, { body: latched(name) })
      expect(body.spec.paused ?? false).toBe(false)
      if (paused) expect((await merge(name, { spec: { paused: true } })).body.spec.paused).toBe(true)
      return name
    }
    const merge = (name: string, body: unknown, user = 'eve', query = '') =>
      client.request('PATCH', `${deployments}/${name}${query}`, {
        body,
        contentType: mergePatchType,
        headers: as(user),
      })
    const live = async (name: string) => (await client.request('GET', `${deployments}/${name}`)).body
    const imageOf = (object: Answer['body']) => object.spec.template.spec.containers[0].image
    const annotated = (annotations: Record<string, string | null>) => ({ metadata: { annotations } })
    const newTemplate = { spec: { template: { metadata: { annotations: { changed: 'yes' } } } } }

    const writes: Record<string, (name: string) => Promise<Answer>> = {
      'a merge patch': (name) => merge(name, newTemplate),
      'a merge patch that says paused: false': (name) => merge(name, { spec: { ...newTemplate.spec, paused: false } }),
      'a JSON patch': (name) =>
        client.request('PATCH', `${deployments}/${name}`, {
          body: [{ op: 'replace', path: '/spec/template/spec/containers/0/image', value: next }],
          contentType: jsonPatchType,
          headers: as('eve'),
        }),
      'a strategic merge patch': (name) =>
        client.request('PATCH', `${deployments}/${name}`, {
          body: { spec: { template: { spec: { containers: [{ name: 'web', image: next }] } } } },
          contentType: strategicPatchType,
          headers: as('eve'),
        }),
      'a server-side apply': (name) =>
        client.request('PATCH', `${deployments}/${name}?fieldManager=flux&force=true`, {
          body: latched(name, next),
          contentType: applyPatchType,
          headers: as('eve'),
        }),
      'a full replace': (name) =>
        client.request('PUT', `${deployments}/${name}`, { body: latched(name, next), headers: as('eve') }),
      'a full replace that takes the label away': (name) => {
        const { metadata, ...rest } = latched(name, next)
        return client.request('PUT', `${deployments}/${name}`, {
          body: { ...rest, metadata: { name: metadata.name } },
          headers: as('eve'),
        })
      },
      'a restart': (name) =>
        merge(name, {
          spec: { template: { metadata: { annotations: { 'kubectl.kubernetes.io/restartedAt': '2026-01-01' } } } },
        }),
    }

    test.each(Object.entries(writes))('%s of a new template is taken and does not roll', async (_, write) => {
      const name = await made()
      const before = await live(name)
      const answer = await write(name)
      expect(answer.body.message ?? '').toBe('')
      expect(answer.body.spec.paused).toBe(true)
      const after = await live(name)
      expect(after.spec.paused).toBe(true)
      expect(after.spec.template).not.toEqual(before.spec.template)
      expect(after.metadata.generation).toBe(before.metadata.generation + 1)
    })

    test('a dry run sees what would become of it', async () => {
      const name = await made()
      expect((await merge(name, newTemplate, 'eve', '?dryRun=All')).body.spec.paused).toBe(true)
      expect((await live(name)).spec.paused ?? false).toBe(false)
    })

    const releases: Record<string, (name: string) => Promise<Answer>> = {
      'kubectl rollout resume': (name) => merge(name, { spec: { paused: null } }),
      'a patch to paused: false': (name) => merge(name, { spec: { paused: false } }),
      'a full replace from a manifest that says nothing about it': (name) =>
        client.request('PUT', `${deployments}/${name}`, { body: latched(name), headers: as('eve') }),
      'a server-side apply of paused: false': (name) =>
        client.request('PATCH', `${deployments}/${name}?fieldManager=flux&force=true`, {
          body: { ...latched(name), spec: { ...latched(name).spec, paused: false } },
          contentType: applyPatchType,
          headers: as('eve'),
        }),
    }

    test.each(Object.entries(releases))('%s leaves a latched Deployment latched', async (_, release) => {
      const name = await made(true)
      expect((await release(name)).body.spec.paused).toBe(true)
      expect((await live(name)).spec.paused).toBe(true)
    })

    test('a server-side apply that says nothing about it leaves a latched Deployment latched', async () => {
      const name = await made()
      await writes['a server-side apply']?.(name)
      const again = await client.request('PATCH', `${deployments}/${name}?fieldManager=flux&force=true`, {
        body: latched(name, next),
        contentType: applyPatchType,
        headers: as('eve'),
      })
      expect(again.body.spec.paused).toBe(true)
    })

    test('Sluice resumes, and rolls a template back', async () => {
      const name = await made(true)
      expect((await merge(name, { spec: { paused: null } }, SLUICE)).body.spec.paused ?? false).toBe(false)
      expect((await merge(name, newTemplate, SLUICE)).body.spec.paused ?? false).toBe(false)
    })

    test('the dry runs of Sluice are latched like anybody’s, so that it can prove the latch', async () => {
      const name = await made(true)
      const body = { spec: { ...newTemplate.spec, paused: null } }
      expect((await merge(name, body, SLUICE, '?dryRun=All')).body.spec.paused).toBe(true)
    })

    test('the rehearsal of a resume is exempt for Sluice alone', async () => {
      const name = await made(true)
      const body = { ...annotated({ 'sluice.dev/rehearse-resume': 'yes' }), spec: { paused: null } }
      expect((await merge(name, body, SLUICE, '?dryRun=All')).body.spec.paused ?? false).toBe(false)
      expect((await merge(name, body, 'eve', '?dryRun=All')).body.spec.paused).toBe(true)
      expect((await merge(name, body, 'eve')).body.spec.paused).toBe(true)
    })

    test('breaking the glass lets templates roll for as long as the annotation is there', async () => {
      const name = await made(true)
      const glass = annotated({ 'sluice.dev/break-glass': 'incident 42' })
      expect((await merge(name, { ...glass, spec: { ...newTemplate.spec, paused: null } })).body.spec.paused).not.toBe(
        true,
      )
      expect((await merge(name, { spec: { template: annotated({ changed: 'again' }) } })).body.spec.paused).not.toBe(
        true,
      )
      const back = { ...annotated({ 'sluice.dev/break-glass': null }), spec: { template: annotated({ changed: 'x' }) } }
      expect((await merge(name, back)).body.spec.paused).toBe(true)
    })

    test('an empty break-glass annotation breaks nothing', async () => {
      const name = await made()
      const body = { ...annotated({ 'sluice.dev/break-glass': '' }), ...newTemplate }
      expect((await merge(name, body)).body.spec.paused).toBe(true)
    })

    test('scaling, other fields and status stay as ever', async () => {
      const name = await made()
      const scale = await client.request('PATCH', `${deployments}/${name}/scale`, {
        body: { spec: { replicas: 4 } },
        contentType: mergePatchType,
        headers: as('system:serviceaccount:kube-system:horizontal-pod-autoscaler'),
      })
      expect(scale.body.spec.replicas).toBe(4)
      await merge(name, { spec: { minReadySeconds: 1, replicas: 5 }, ...annotated({ note: 'x' }) })
      await client.request('PATCH', `${deployments}/${name}/status`, {
        body: { status: { replicas: 4 } },
        contentType: mergePatchType,
      })
      const { spec } = await live(name)
      expect({ replicas: spec.replicas, paused: spec.paused ?? false }).toEqual({ replicas: 5, paused: false })
    })

    test('a latched Deployment is scaled without being resumed', async () => {
      const name = await made(true)
      await client.request('PATCH', `${deployments}/${name}/scale`, {
        body: { spec: { replicas: 7 } },
        contentType: mergePatchType,
      })
      expect((await live(name)).spec).toMatchObject({ replicas: 7, paused: true })
    })

    test('a Deployment without the label is left alone', async () => {
      const name = await made()
      await merge(name, { metadata: { labels: { 'sluice.dev/rollout': null } } })
      expect((await merge(name, newTemplate)).body.spec.paused ?? false).toBe(false)
    })

    test('a template and the label in one write are latched', async () => {
      const name = await made()
      await merge(name, { metadata: { labels: { 'sluice.dev/rollout': null } } })
      const body = { metadata: { labels: { 'sluice.dev/rollout': 'web' } }, ...newTemplate }
      expect((await merge(name, body)).body.spec.paused).toBe(true)
    })

    test('the image that was written is the one that is stored', async () => {
      const name = await made()
      await writes['a full replace']?.(name)
      expect(imageOf(await live(name))).toBe(next)
    })
  })
}

latchConformance('the sandbox', async () => {
  const server = await startApiServer()
  return { client: rawClient(server.url, server.token()), controllers: true, stop: () => server.stop() }
})

const real = realApiServer()
if (real) latchConformance('a real API server', real)
else test.skip('the latch on a real API server (none given)', () => {})
