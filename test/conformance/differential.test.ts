import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { startApiServer } from '../../src/sandbox/apiserver/index.ts'
import { documentsOf } from '../deploy/kustomize.ts'
import { type RawClient, rawClient } from './apiserver.client.ts'
import { installWidgets } from './apiserver.fixtures.ts'
import { realServer } from './apiserver.real.ts'
import { player } from './differential.ts'
import { randomRequests } from './random-requests.ts'

const real = realServer()
const crds = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'

/** Needs a real API server; a failure names its seed and the shortest sequence that shows it. */
describe.runIf(real)('random requests to the sandbox and to a real API server', () => {
  let clients: RawClient[] = []
  const stops: (() => Promise<void>)[] = []
  let serial = 0

  beforeAll(async () => {
    const other = await real!()
    const sandbox = await startApiServer()
    stops.push(other.stop, () => sandbox.stop())
    clients = [rawClient(other.url, other.token), rawClient(sandbox.url, sandbox.token())]
    for (const client of clients) {
      await installWidgets(client)
      const [crd] = documentsOf('crds/sluice.dev_rollouts.yaml')
      // A real server stores the default of a status with the first write after the creation, one that changes nothing included.
      delete crd.spec.versions[0].schema.openAPIV3Schema.properties.status.default
      const { body } = await client.request('POST', crds, { body: crd })
      if (body.reason !== 'AlreadyExists') expect(body.message ?? '').toBe('')
      const served = () => client.request('GET', '/apis/sluice.dev/v1alpha1/rollouts')
      await vi.waitFor(async () => expect((await served()).status).toBe(200), 20_000)
    }
  }, 120_000)
  afterAll(async () => {
    for (const stop of stops) await stop()
  })

  test('are answered alike, word for word but for the words of a refusal', { timeout: 120_000 }, async () => {
    const property = fc.asyncProperty(randomRequests, async (requests) => {
      const namespace = `random-${Date.now().toString(36)}-${serial++}`
      const players = await Promise.all(
        clients.map(async (client) => {
          await client.request('POST', '/api/v1/namespaces', { body: { metadata: { name: namespace } } })
          return player(client, namespace)
        }),
      )
      for (const request of requests) {
        const [theirs, ours] = await Promise.all(players.map((each) => each.play(request)))
        expect(ours, `${request.method} ${request.path}`).toEqual(theirs)
      }
    })
    await fc.assert(property, { numRuns: 40 })
  })
})
