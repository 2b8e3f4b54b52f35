import { afterAll, beforeAll, expect, test } from 'vitest'
import { textAt } from '../../src/kube/field.ts'
import { type DeploymentScene, type DeploymentSceneOptions, deploymentScenes } from './deployment-stage.ts'
import { openStage, refs, type Stage } from './stage.ts'

let stage: Stage
let scene: (name: string, options?: DeploymentSceneOptions) => Promise<DeploymentScene>
beforeAll(async () => {
  stage = await openStage({})
  scene = deploymentScenes(stage)
  const controller = await stage.controller()
  await controller.synced
}, 60_000)
afterAll(() => stage.stop(), 60_000)

const overlay = 'eu/kustomization.yaml'
const overlayOf = (namespace: string, tag: string) => `namespace: ${namespace}
resources: [../base]
commonAnnotations: { region: eu }
images:
  - name: checkout
    newTag: ${tag}  # what is released
patches:
  - target: { kind: Rollout }
    patch: |-
      - op: replace
        path: /spec/steps
        value: [{ weight: 20, hold: 2s }, { weight: 100, hold: 1s }]
`

/** A base without a namespace, whose image and steps are not those that run. */
function asOverlay(namespace: string, files: Map<string, string>): Map<string, string> {
  const base = [...files].map(([file, text]): [string, string] => [
    `base/${file}`,
    text.replaceAll(`  namespace: ${namespace}\n`, '').replace('checkout:v1', 'checkout:v0'),
  ])
  const list = `resources: [${[...files.keys()].join(', ')}]\n`
  return new Map([...base, ['base/kustomization.yaml', list], [overlay, overlayOf(namespace, 'v1')]])
}

test('an overlay goes from release to rollback by Sluice alone', { timeout: 60_000 }, async () => {
  const name = 'k-overlay'
  await using s = await scene(name, { git: true, layout: (files) => asOverlay(name, files) })
  const before = s.names()
  expect(textAt(s.get(refs.virtualServices), 'metadata', 'annotations', 'region')).toBe('eu')
  expect(s.pods('checkout').map((pod) => pod.version)).toEqual(['v1', 'v1'])
  const write = (tag: string) =>
    s.developer.commit(`release ${tag}`, (files) => new Map(files).set(overlay, overlayOf(s.namespace, tag)))

  await write('v2')
  await s.until('at 20 %', (status) => status.step?.weight === 20 && s.weight() === 20)
  s.behave('v2', { 'error-rate': '1' })
  await s.rest('RolledBack', 'v1')
  expect(s.weights()).toEqual([0, 20, 0])
  expect(s.names()).toEqual(before)
  await s.until('all of it in Git', (status) => status.git?.committed !== false)
  expect(await s.file(overlay)).toBe(overlayOf(s.namespace, 'v1'))
  expect(await s.file('base/virtualservice-checkout.yaml')).toMatch(/weight: 100[\s\S]*weight: 0/)
  expect(s.get(refs.sources, 'config')?.status).toMatchObject({ errors: [] })
})
