import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import pino from 'pino'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { parseRolloutSourceSpec, parseRolloutSpec } from '../../src/api/parse.ts'
import { controllerConfig } from '../../src/config.ts'
import { type Controller, startController } from '../../src/controller/manager.ts'
import { connect, type KubeClient } from '../../src/kube/client.ts'
import { fieldAt, listAt } from '../../src/kube/field.ts'
import { loadKubeconfig } from '../../src/kube/kubeconfig.ts'
import type { KubeObject } from '../../src/kube/object.ts'
import { resources } from '../../src/kube/resources.ts'
import { systemRuntime as runtime } from '../../src/runtime.ts'
import { startLoad } from '../../src/sandbox/mesh/index.ts'
import { type Sandbox, startSandbox } from '../../src/sandbox/sandbox.ts'

const folder = fileURLToPath(new URL('../../examples/', import.meta.url))
/** What is for other engines, which the sandbox does not have; test/engines plays them. */
const foreign = new Set(['flux/flux.yaml', 'argocd/application.yaml'])
const files = (await readdir(folder, { recursive: true }))
  .filter((name) => name.endsWith('.yaml') && !foreign.has(name))
  .sort()

let sandbox: Sandbox
let controller: Controller
let client: KubeClient
let dir: string

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'sluice-examples-'))
  sandbox = await startSandbox({ dir, runtime, hpaIntervalMs: 200 })
  client = connect({ connection: await loadKubeconfig({ path: sandbox.kubeconfig, env: {}, runtime }), runtime })
  const config = controllerConfig(
    {
      kubeconfig: sandbox.controllerKubeconfig,
      prometheus: sandbox.prometheus.url,
      listen: '127.0.0.1:0',
      workDir: join(dir, 'work'),
    },
    {},
  )
  const connection = await loadKubeconfig({ path: sandbox.controllerKubeconfig, env: {}, runtime })
  controller = await startController(config, { connection, runtime, log: pino({ level: 'silent' }) })
  await controller.synced
}, 60_000)

afterAll(async () => {
  await controller?.stop()
  client?.close()
  await sandbox?.stop()
  await rm(dir, { recursive: true, force: true })
})

async function objectsIn(file: string): Promise<KubeObject[]> {
  return parseAllDocuments(await readFile(join(folder, file), 'utf8')).map((document) => document.toJS() as KubeObject)
}

async function apply(object: KubeObject, dryRun: boolean, namespace = 'default'): Promise<KubeObject> {
  const resource = await client.resourceFor(object.apiVersion, object.kind)
  if (!resource) throw new Error(`no resource for ${object.kind}`)
  const key = { namespace, name: object.metadata.name }
  return client.patch(
    resource,
    key,
    { type: 'apply', body: object },
    { fieldManager: 'test', fieldValidation: 'Strict', dryRun },
  )
}

test.each(files)('the API server takes %s as it is, with strict fields, and so does Sluice', async (file) => {
  for (const object of await objectsIn(file)) {
    expect((await apply(object, true)).metadata.name).toBe(object.metadata.name)
    if (object.kind === 'Rollout') expect(parseRolloutSpec(object.spec)).toMatchObject({ ok: true })
    if (object.kind === 'RolloutSource') expect(parseRolloutSourceSpec(object.spec)).toMatchObject({ ok: true })
  }
})

test('the classic canary is adopted with v1 as stable, and its weights are left alone', async () => {
  for (const object of [...(await objectsIn('canary/app.yaml')), ...(await objectsIn('canary/rollout.yaml'))])
    await apply(object, false)
  const rollout = async () => client.get(resources.rollouts, { namespace: 'default', name: 'my-app' })
  for (let i = 0; i < 300 && fieldAt(await rollout(), 'status', 'phase') !== 'Healthy'; i++) await runtime.sleep(100)
  const status = fieldAt(await rollout(), 'status')
  expect(status).toMatchObject({ phase: 'Healthy', stable: { name: 'v1' } })
  const route = await client.get({ ...resources.virtualServices }, { namespace: 'default', name: 'my-app' })
  expect(fieldAt(route, 'spec', 'http', 0, 'route', 0, 'weight')).toBe(100)
}, 60_000)

test.each([
  ['deployment', 'app.yaml', { subset: 'canary' }],
  ['deployment', 'autoscaled.yaml', { subset: 'canary' }],
  ['services', 'app.yaml', { host: 'checkout-canary' }],
])(
  'of examples/%s (%s) the Deployment is adopted as it runs, and a new image gets 10 %%',
  async (example, app, canary) => {
    const namespace = `${example}-${app.replace('.yaml', '')}`
    const { storage } = sandbox.api
    storage.create(refs.namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } })
    const objects = (await objectsIn(`${example}/app.yaml`)).filter(
      (object) => app === 'app.yaml' || object.kind !== 'Deployment',
    )
    if (app !== 'app.yaml') objects.push(...(await objectsIn(`${example}/${app}`)))
    const minimum = objects
      .map((object) => fieldAt(object, 'spec', 'minReplicas'))
      .find((least) => typeof least === 'number')
    for (const object of objects) await apply(object, false, namespace)
    const pods = () => storage.list(refs.pods, { namespace }).map((pod) => pod.metadata.name)
    await until('as many pods as declared', async () => pods().length >= Number(minimum ?? 4))
    for (const object of await objectsIn(`${example}/rollout.yaml`)) {
      // Without the repository, and looking more often than anybody would.
      const { source: _, analysis, ...spec } = object.spec as Record<string, unknown>
      const quick = { ...(analysis as object | undefined), interval: '1s' }
      await apply({ ...object, spec: { ...spec, analysis: quick } }, false, namespace)
    }
    const load = startLoad({ url: sandbox.mesh.url, host: `checkout.${namespace}`, ratePerSecond: 20, runtime })
    const status = async () => fieldAt(await client.get(resources.rollouts, { namespace, name: 'checkout' }), 'status')
    await until('Healthy', async () => fieldAt(await status(), 'phase') === 'Healthy')
    const before = pods()
    const containers = [{ name: 'app', image: 'registry.example.com/checkout:1.1.0' }]
    storage.patchMerge(
      refs.deployments,
      { namespace, name: 'checkout' },
      { spec: { template: { spec: { containers } } } },
    )
    const weight = async () => {
      const route = await client.get(resources.virtualServices, { namespace, name: 'checkout' })
      const entry = listAt(fieldAt(route, 'spec', 'http', 0), 'route').find((each) =>
        Object.entries(canary).every(([field, value]) => fieldAt(each, 'destination', field) === value),
      )
      return fieldAt(entry, 'weight')
    }
    await until('at 10 %', async () => (await weight()) === 10)
    expect(pods().filter((name) => !name.startsWith('checkout-canary-'))).toEqual(before)
    await load.stop()
    storage.remove(refs.namespaces, { name: namespace })
  },
  60_000,
)

const refs = {
  namespaces: { group: '', plural: 'namespaces' },
  pods: { group: '', plural: 'pods' },
  deployments: { group: 'apps', plural: 'deployments' },
}

async function until(what: string, test: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 500; i++) {
    if (await test()) return
    await runtime.sleep(100)
  }
  throw new Error(`never ${what}`)
}
