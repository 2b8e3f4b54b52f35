import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { parse } from 'yaml'
import { rolloutSourceSpec } from '../../src/api/rolloutsource.ts'
import { type Applied, applyDeclared } from '../../src/git/apply.ts'
import { sourceRef } from '../../src/git/source-ref.ts'
import { connect, type KubeClient } from '../../src/kube/client.ts'
import { connectionTo } from '../../src/kube/connection.ts'
import { fieldAt } from '../../src/kube/field.ts'
import type { KubeObject } from '../../src/kube/object.ts'
import { systemRuntime } from '../../src/runtime.ts'
import { type ApiServer, startApiServer } from '../../src/sandbox/apiserver/index.ts'
import { installLatch } from '../../src/sandbox/latch.ts'

const manifest = (image: string, more: { spec?: string; annotations?: string } = {}) => `apiVersion: apps/v1
kind: Deployment
metadata: { name: checkout, annotations: { ${more.annotations ?? ''} } }
spec:
  replicas: 1
${more.spec ?? ''}  selector: { matchLabels: { app: checkout } }
  template:
    metadata: { labels: { app: checkout } }
    spec: { containers: [{ name: app, image: "${image}" }] }
`
const user = 'system:serviceaccount:sluice-system:sluice'
const key = { namespace: 'default', name: 'checkout' }
const policies = { group: 'admissionregistration.k8s.io', plural: 'mutatingadmissionpolicies' }
const deployments = { group: 'apps', plural: 'deployments' }

describe.each([
  ['with the admission policy', true],
  ['without any policy', false],
] as const)('a held Deployment, %s', (_name, latched) => {
  let server: ApiServer
  let sluice: KubeClient
  /** What every stored version of the Deployment said: its image, and whether it would roll. */
  let seen: string[]

  beforeEach(async () => {
    server = await startApiServer({ tokens: { sluice: { username: user, groups: [] } } })
    onTestFinished(() => server.stop())
    if (latched) await installLatch(server.storage)
    sluice = connect({ connection: connectionTo(server.url, { token: server.token(user) }), runtime: systemRuntime })
    onTestFinished(() => sluice.close())
    seen = []
    server.storage.subscribe(deployments, (_type, object) => seen.push(summary(object)))
    await apply(manifest('app:1'))
    merge({ metadata: { labels: { 'sluice.dev/rollout': 'checkout' } } })
    seen.length = 0
  })

  function apply(text: string, through: KubeClient = sluice): Promise<Applied> {
    const spec = rolloutSourceSpec.parse({ url: 'https://git.example.com/shop.git', allowedNamespaces: ['*'] })
    const source = sourceRef({ namespace: 'default', name: 'config' }, spec)
    const context = { client: through, source, owners: () => undefined }
    return applyDeclared(context, { object: parse(text), file: 'a.yaml', line: 1 })
  }
  const live = () => server.storage.get(deployments, key)!
  function merge(patch: Record<string, unknown>, as = user): void {
    server.storage.patchMerge(deployments, key, patch, { user: { username: as, groups: [] } })
  }
  const resume = () => merge({ spec: { paused: null } })

  test('stores a new template and at no instant lets it roll', async () => {
    expect(await apply(manifest('app:2'))).toMatchObject({ state: 'changed' })
    expect(summary(live())).toBe('app:2 paused')
    expect(seen).not.toContain('app:2 rolls')
  })

  test('is not touched while Git says what it said, paused or not', async () => {
    expect(await apply(manifest('app:1'))).toMatchObject({ state: 'unchanged' })
    await apply(manifest('app:2'))
    expect(await apply(manifest('app:2'))).toMatchObject({ state: 'unchanged' })
    resume()
    const { resourceVersion } = live().metadata
    expect(await apply(manifest('app:2'))).toMatchObject({ state: 'unchanged' })
    expect(live().metadata.resourceVersion).toBe(resourceVersion)
    expect(summary(live())).toBe('app:2 rolls')
  })

  test('stays paused when the policy goes away', async () => {
    await apply(manifest('app:2'))
    if (latched) server.storage.remove(policies, { name: 'latch.sluice.dev' })
    await apply(manifest('app:2'))
    await apply(manifest('app:3'))
    expect(seen).not.toContain('app:2 rolls')
    expect(summary(live())).toBe('app:3 paused')
  })

  test('has its new template and its pause from one request, and nobody owns the pause after a resume', async () => {
    await apply(manifest('app:2'))
    expect(seen).not.toContain('app:1 paused')
    resume()
    await apply(manifest('app:2'))
    expect(pauseOwners(live())).toEqual([])
    expect(summary(live())).toBe('app:2 rolls')
  })

  test('is latched although somebody resumes whatever is paused for no reason, as Sluice does', async () => {
    server.storage.subscribe(deployments, (_type, object) => {
      if (summary(object) === 'app:1 paused') resume()
    })
    expect(await apply(manifest('app:2'))).toMatchObject({ state: 'changed' })
    expect(summary(live())).toBe('app:2 paused')
    expect(seen).not.toContain('app:2 rolls')
  })

  test('takes no pause and no resume from Git, not even from one that once stood there', async () => {
    for (const spec of ['  paused: false\n', '  paused: true\n', '']) {
      await apply(manifest('app:1', { spec }))
      expect(summary(live())).toBe('app:1 rolls')
    }
    for (const once of ['  paused: false\n', '  paused: true\n']) {
      resume()
      merge({ metadata: { labels: { 'sluice.dev/rollout': null } } })
      await apply(manifest('app:1', { spec: once }))
      merge({ metadata: { labels: { 'sluice.dev/rollout': 'checkout' } } })
      seen.length = 0
      for (const spec of [once, '', '']) {
        await apply(manifest('app:2', { spec }))
        expect(summary(live())).toBe('app:2 paused')
      }
      expect(seen).not.toContain('app:2 rolls')
    }
  })

  test('goes back to the old template without rolling anything in between', async () => {
    await apply(manifest('app:2'))
    await apply(manifest('app:1'))
    expect(summary(live())).toBe('app:1 paused')
    expect(seen).not.toContain('app:2 rolls')
  })

  test('is read again when somebody writes anything between the look and the write', async () => {
    let disturbances = [2, 3, 4].map((replicas) => () => merge({ spec: { replicas } }, 'dana'))
    const disturbed: KubeClient = {
      ...sluice,
      patch(resource, name, patch, options) {
        if (!options.dryRun && patch.type === 'apply') {
          const [first, ...rest] = disturbances
          disturbances = rest
          first?.()
        }
        return sluice.patch(resource, name, patch, options)
      },
    }
    expect(await apply(manifest('app:2'), disturbed)).toMatchObject({ state: 'changed' })
    expect(disturbances).toEqual([])
    expect(seen).not.toContain('app:2 rolls')
    expect(summary(live())).toBe('app:2 paused')
  })

  test('rolls at once what comes with a broken glass, and is held again with the commit that mends it', async () => {
    const annotations = '"sluice.dev/break-glass": "incident 7"'
    await apply(manifest('app:2', { annotations }))
    expect(summary(live())).toBe('app:2 rolls')
    await apply(manifest('app:3'))
    expect(seen).not.toContain('app:3 rolls')
    expect(summary(live())).toBe('app:3 paused')
  })

  test('stays as a Rollout left it when that is gone, until somebody resumes it', async () => {
    await apply(manifest('app:2'))
    merge({ metadata: { labels: { 'sluice.dev/rollout': null } } })
    await apply(manifest('app:2'))
    await apply(manifest('app:3'))
    expect(summary(live())).toBe('app:3 paused')
    merge({ spec: { paused: null } }, 'dana')
    await apply(manifest('app:4'))
    expect(summary(live())).toBe('app:4 rolls')
    expect(live().metadata.annotations ?? {}).toEqual({})
    expect(pauseOwners(live())).toEqual([])
  })

  test('a Deployment that no Rollout holds is applied as it is declared', async () => {
    merge({ metadata: { labels: { 'sluice.dev/rollout': null } } })
    await apply(manifest('app:2'))
    expect(summary(live())).toBe('app:2 rolls')
    await apply(manifest('app:2', { spec: '  paused: true\n' }))
    expect(summary(live())).toBe('app:2 paused')
    await apply(manifest('app:2'))
    expect(summary(live())).toBe('app:2 rolls')
  })
})

function summary(object: KubeObject): string {
  const image = fieldAt(object, 'spec', 'template', 'spec', 'containers', 0, 'image')
  return `${image} ${fieldAt(object, 'spec', 'paused') === true ? 'paused' : 'rolls'}`
}

function pauseOwners({ metadata }: KubeObject): string[] {
  const fields = metadata.managedFields ?? []
  const owners = fields.filter((entry) => fieldAt(entry.fieldsV1, 'f:spec', 'f:paused') !== undefined)
  return owners.filter((entry) => entry.operation === 'Apply').map((entry) => entry.manager ?? '')
}
