import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { fieldAt } from '../../src/kube/field.ts'
import type { KubeObject } from '../../src/kube/object.ts'
import type { ResourceRef } from '../../src/sandbox/apiserver/index.ts'
import { STABLE_LABELS } from './deployment-manifests.ts'
import { type DeploymentScene, type DeploymentSceneOptions, deploymentScenes } from './deployment-stage.ts'
import { yamlOf } from './manifests.ts'
import { openStage, refs, type Stage } from './stage.ts'

const MAPS: ResourceRef = { group: '', plural: 'configmaps' }
const SECRETS: ResourceRef = { group: '', plural: 'secrets' }
const PASSWORD = 'correct-horse-battery'
const ROTATED = 'staple-of-the-day'

let stage: Stage
let scene: (name: string, options?: DeploymentSceneOptions) => Promise<DeploymentScene>
beforeAll(async () => {
  stage = await openStage()
  scene = deploymentScenes(stage)
  const controller = await stage.controller()
  await controller.synced
}, 60_000)
afterAll(() => stage.stop(), 60_000)

/** A Deployment whose behaviour and version come from a ConfigMap, and a password from a Secret. */
function configured(more: DeploymentSceneOptions = {}): DeploymentSceneOptions {
  const container = {
    name: 'app',
    image: 'checkout:v1',
    envFrom: [{ configMapRef: { name: 'checkout-env' } }],
    env: [{ name: 'PASSWORD', valueFrom: { secretKeyRef: { name: 'checkout-token', key: 'password' } } }],
  }
  const template = { metadata: { labels: STABLE_LABELS }, spec: { containers: [container] } }
  const meta = (name: string) => ({ metadata: { name } })
  return {
    app: { spec: { template } },
    besides: [
      [MAPS, { apiVersion: 'v1', kind: 'ConfigMap', ...meta('checkout-env'), data: { SANDBOX_ERROR_RATE: '0' } }],
      [SECRETS, { apiVersion: 'v1', kind: 'Secret', ...meta('checkout-token'), data: { password: base64(PASSWORD) } }],
    ],
    ...more,
    rollout: { ...more.rollout, deployment: { trackConfig: true } },
  }
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}

const configure = (s: DeploymentScene, data: Record<string, string>) => s.change(MAPS, { data }, 'checkout-env')
/** The same where Git says what there is. */
const commit = (s: DeploymentScene, file: string, data: Record<string, string>) =>
  s.developer.commit(`change ${file}`, (files) => {
    const object = parse(files.get(file) ?? '')
    return new Map(files).set(file, yamlOf({ ...object, data }))
  })
const annotation = (object: KubeObject | undefined) =>
  fieldAt(object, 'spec', 'template', 'metadata', 'annotations', 'sluice.dev/config')

describe.concurrent('configuration that a Deployment refers to', { timeout: 240_000 }, () => {
  test('is released step by step when it changes, and rolls natively in the end', async () => {
    await using s = await scene('c-good', configured())
    const before = s.names()
    const { stable } = s.status()
    expect(stable).toMatchObject({ name: 'v1', config: { objects: { 'ConfigMap/checkout-env': expect.anything() } } })
    configure(s, { SANDBOX_ERROR_RATE: '0', SANDBOX_LATENCY_MS: '2' })
    await s.until('at 10 %', (status) => status.step?.index === 1)
    expect(s.names()).toEqual(before)
    expect(s.isPaused()).toBe(false)
    const canary = s.get(refs.deployments, 'checkout-canary')
    expect(annotation(canary)).toBe(s.status().canary?.config?.hash)
    expect(annotation(s.deployment())).toBeUndefined()
    const tried = s.status().canary
    await s.rest('Promoted', 'v1')
    expect(s.weights()).toEqual([0, 10, 50, 100, 0])
    expect(annotation(s.deployment())).toBe(tried?.config?.hash)
    expect(s.status().stable?.revision).toBe(tried?.revision)
    expect(s.names().filter((name) => before.includes(name))).toEqual([])
    expect(s.load?.counts().bad).toBe(0)
  })

  test('goes back when it fails, and the message names what has to be put back; then all is well again', async () => {
    await using s = await scene('c-bad', configured({ git: true }))
    const before = s.names()
    await commit(s, 'configmap-checkout-env.yaml', { SANDBOX_ERROR_RATE: '1' })
    await s.until('rolled back', (status) => status.phase === 'RolledBack')
    expect(s.weight()).toBe(0)
    expect(s.status().message).toContain('put back the content of ConfigMap/checkout-env')
    expect(s.names()).toEqual(before)
    await s.until('in Git', (status) => status.git?.committed === true)
    expect((await s.commits()).at(-1)).toContain('roll back v1-')
    expect(await s.file('deployment-checkout.yaml')).not.toContain('sluice.dev/config')
    await commit(s, 'configmap-checkout-env.yaml', { SANDBOX_ERROR_RATE: '0' })
    await s.until('Healthy', (status) => status.phase === 'Healthy')
    expect(s.names()).toEqual(before)
  })

  test('is never shown: no value of a Secret in logs, status, events, requests of ours or commits', async () => {
    await using s = await scene('c-secret', configured({ git: true }))
    const written: string[] = []
    const stop = stage.sandbox.api.storage.subscribe(refs.rollouts, (_, object) => written.push(JSON.stringify(object)))
    const attempt = s.status().attempt ?? 0
    await commit(s, 'secret-checkout-token.yaml', { password: base64(ROTATED) })
    await s.until('started', (status) => (status.attempt ?? 0) > attempt)
    await s.rest('Promoted', 'v1')
    stop()
    const all = [
      JSON.stringify(stage.logs),
      ...written,
      JSON.stringify(s.statuses()),
      s.events().join(),
      JSON.stringify(s.deployment()),
      (await s.commits()).join(),
      await s.file('.sluice/c-secret/checkout.yaml'),
    ].join('\n')
    for (const secret of [PASSWORD, ROTATED]) {
      expect(all).not.toContain(secret)
      expect(all).not.toContain(base64(secret))
    }
    expect(all).toContain('Secret/checkout-token')
  })

  test('that a new template needs and that is missing is waited for', async () => {
    await using s = await scene('c-missing', configured({ rate: 0 }))
    const containers = fieldAt(s.deployment(), 'spec', 'template', 'spec', 'containers')
    const [container] = Array.isArray(containers) ? containers : []
    const more = [...container.envFrom, { configMapRef: { name: 'checkout-more' } }]
    s.patch({ spec: { template: { spec: { containers: [{ ...container, image: 'checkout:v2', envFrom: more }] } } } })
    await s.until('waits', (status) => status.message?.includes('ConfigMap/checkout-more') ?? false)
    expect(s.get(refs.deployments, 'checkout-canary')).toBeUndefined()
    const metadata = { name: 'checkout-more', namespace: s.namespace }
    stage.sandbox.api.storage.create(MAPS, { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { A: 'b' } })
    await s.until('tried', (status) => status.canary?.name === 'v2')
    await s.until('up', () => s.pods('checkout-canary').some((pod) => pod.ready))
    s.allow('v2')
  })
})
