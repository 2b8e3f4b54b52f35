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
import { fieldAt } from '../../src/kube/field.ts'
import { loadKubeconfig } from '../../src/kube/kubeconfig.ts'
import type { KubeObject } from '../../src/kube/object.ts'
import { resources } from '../../src/kube/resources.ts'
import { systemRuntime as runtime } from '../../src/runtime.ts'
import { type Sandbox, startSandbox } from '../../src/sandbox/sandbox.ts'

const folder = fileURLToPath(new URL('../../examples/', import.meta.url))
const files = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith('.yaml')).sort()

let sandbox: Sandbox
let controller: Controller
let client: KubeClient
let dir: string

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'sluice-examples-'))
  sandbox = await startSandbox({ dir, runtime })
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

async function apply(object: KubeObject, dryRun: boolean): Promise<KubeObject> {
  const resource = await client.resourceFor(object.apiVersion, object.kind)
  if (!resource) throw new Error(`no resource for ${object.kind}`)
  const key = { namespace: 'default', name: object.metadata.name }
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
