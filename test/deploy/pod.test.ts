import { expect, test } from 'vitest'
import { startApiServer } from '../../src/sandbox/apiserver/index.ts'
import { rawClient } from '../conformance/apiserver.client.ts'
import type { ConnectedServer } from '../conformance/apiserver.conformance.ts'
import { realApiServer } from '../conformance/apiserver.real.ts'
import { collectionOf } from './collection.ts'
import { type Manifest, render } from './kustomize.ts'

const objects = render('deploy')
const template = objects.find(({ kind }) => kind === 'Deployment').spec.template

/** Creates what a pod of Sluice needs, then tries the pod. */
async function tried({ client }: ConnectedServer, spec: Manifest): Promise<Manifest> {
  for (const object of objects.filter(({ kind }) => /^(Namespace|PriorityClass|ServiceAccount)$/.test(kind)))
    await client.request('POST', await collectionOf(client, object), { body: object })
  const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { ...template.metadata, name: 'sluice-0' }, spec }
  const answer = await client.request(
    'POST',
    '/api/v1/namespaces/sluice-system/pods?dryRun=All&fieldValidation=Strict',
    {
      body: pod,
    },
  )
  return answer.body
}

test('a pod of Sluice is taken by the sandbox', async () => {
  const server = await startApiServer()
  try {
    const connected = { client: rawClient(server.url, server.token()), controllers: true, stop: () => server.stop() }
    expect((await tried(connected, template.spec)).message ?? '').toBe('')
  } finally {
    await server.stop()
  }
})

const real = realApiServer()
test.skipIf(!real)(
  'a pod of Sluice is taken where pod security is restricted, which refuses others',
  async () => {
    const server = await real!()
    try {
      const pod = await tried(server, template.spec)
      expect(pod.message ?? '').toBe('')
      expect(pod.spec.priority).toBe(1_000_000)
      const [container] = template.spec.containers
      const lax = { ...template.spec, containers: [{ ...container, securityContext: {} }] }
      expect((await tried(server, lax)).message).toContain('violates PodSecurity "restricted:latest"')
    } finally {
      await server.stop()
    }
  },
  120_000,
)
