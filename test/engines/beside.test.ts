import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse, parseAllDocuments, stringify } from 'yaml'
import { connect, type KubeClient } from '../../src/kube/client.ts'
import { fieldAt, listAt } from '../../src/kube/field.ts'
import { loadKubeconfig } from '../../src/kube/kubeconfig.ts'
import type { KubeObject } from '../../src/kube/object.ts'
import { systemRuntime as runtime } from '../../src/runtime.ts'
import type { Version } from '../scenario/manifests.ts'
import { openStage, type Scene, type Stage } from '../scenario/stage.ts'
import { argocd, type Engine, flux, type IgnoreRule, startEngine, type Writer } from './engine.ts'

let stage: Stage
let client: KubeClient

beforeAll(async () => {
  stage = await openStage()
  await (await stage.controller()).synced
  client = connect({ connection: await loadKubeconfig({ path: stage.sandbox.kubeconfig, env: {}, runtime }), runtime })
}, 60_000)

afterAll(async () => {
  client?.close()
  await stage?.stop()
})

async function example(file: string, kind: string): Promise<KubeObject> {
  const text = await readFile(fileURLToPath(new URL(`../../examples/${file}`, import.meta.url)), 'utf8')
  const found = parseAllDocuments(text)
    .map((document) => document.toJS() as KubeObject)
    .find((object) => object.kind === kind)
  if (!found) throw new Error(`no ${kind} in ${file}`)
  return found
}

const [good, bad] = [{ name: 'v2' }, { name: 'v3', behaviour: { ERROR_RATE: '1' } }]
const slow = [{ weight: 10, hold: '10m' }, { weight: 100 }]

/** Everything comes from Git by an engine; Sluice only writes there. */
async function beside(
  namespace: string,
  write: Writer,
  options: {
    git?: Record<string, unknown>
    rollout?: Record<string, unknown>
    /** Done to the files before the engine and Sluice see them. */
    prepare?: (file: string) => Record<string, string>
    versions?: Version[]
  } = {},
): Promise<Scene & { engine: Engine }> {
  const scene = await stage.scene(namespace, {
    versions: options.versions ?? [{ name: 'v1' }, good, bad],
    git: { apply: 'None', ...options.git },
    ...(options.rollout ? { rollout: options.rollout } : {}),
    asleep: true,
  })
  const { prepare } = options
  if (prepare) {
    await scene.developer.commit('the route as the recipe wants it', (files) => {
      const changed = prepare(files.get('virtualservice-my-app.yaml') ?? '')
      return new Map([...files, ...Object.entries(changed)])
    })
  }
  const engine = startEngine({ client, repository: scene.remote.dir, path: 'clusters/test', write })
  await scene.until('Healthy', (status) => status.phase === 'Healthy')
  const dispose = scene[Symbol.asyncDispose].bind(scene)
  return Object.assign(scene, {
    engine,
    async [Symbol.asyncDispose]() {
      await engine.stop()
      await dispose()
    },
  })
}

/** The route is created once, and then left to Sluice. */
function once(file: string): Record<string, string> {
  const note = '  annotations:\n    kustomize.toolkit.fluxcd.io/ssa: IfNotPresent\n'
  return { 'virtualservice-my-app.yaml': file.replace(/^metadata:\n/m, `metadata:\n${note}`) }
}

/** The owned route is an object of its own, without hosts, to which the one of the host delegates (docs/gitops.md). */
function delegated(file: string): Record<string, string> {
  const { metadata, spec, ...object } = parse(file)
  const root = {
    ...object,
    metadata: { ...metadata, name: 'all-routes' },
    spec: { hosts: spec.hosts, http: [{ delegate: { name: metadata.name } }] },
  }
  const { hosts: _, ...delegate } = spec
  return {
    'virtualservice-my-app.yaml': stringify({ ...object, metadata, spec: delegate }),
    'virtualservice-all-routes.yaml': stringify(root),
  }
}

describe('beside an engine that leaves the weights alone', () => {
  const respecting = async () => {
    const spec = await example('argocd/application.yaml', 'Application')
    const paths = listAt(spec, 'spec', 'ignoreDifferences').flatMap((each) => listAt(each, 'jqPathExpressions'))
    const options = listAt(spec, 'spec', 'syncPolicy', 'syncOptions')
    return argocd(paths.includes('.spec.http[].route[].weight') && options.includes('RespectIgnoreDifferences=true'))
  }
  const recipes: [string, string, ((file: string) => Record<string, string>) | undefined, () => Promise<Writer>][] = [
    [
      'Flux with the ignore rules of examples/flux',
      'flux',
      undefined,
      async () => flux(fieldAt(await example('flux/flux.yaml', 'Kustomization'), 'spec', 'ignore') as IgnoreRule[]),
    ],
    ['Flux with a route that says IfNotPresent', 'once', once, async () => flux()],
    ['Argo CD with the ignoreDifferences of examples/argocd', 'argo', undefined, respecting],
    ['Argo CD with the same, and a route object of its own', 'delegate', delegated, respecting],
  ]

  test.concurrent.each(recipes)(
    '%s: weights move by the plan and nobody else, up and down',
    async (_, name, prepare, recipe) => {
      const versions = [{ name: 'v1' }, good]
      // Git has the weights of stable as long as a rollout lasts: whoever applies them is seen.
      const git = { write: { mode: 'Push', commits: 'Outcomes' } }
      await using s = await beside(`beside-${name}`, await recipe(), { versions, git, ...(prepare ? { prepare } : {}) })
      await s.desire('v2')
      await s.until('v2 is stable', (status) => status.stable?.name === 'v2')
      s.behave('v1', { 'error-rate': '1' })
      await s.desire('v1')
      await s.until('v1 is rolled back', (status) => status.lastOutcome?.result === 'RolledBack')
      await s.until('Git says so', (status) => status.git?.committed === true && status.phase === 'Healthy')
      const synced = s.engine.syncs()
      await s.until('the engine has applied all of it again', () => s.engine.syncs() > synced + 2)
      expect(s.weights('v2')).toEqual([0, 10, 50, 100, 90, 100])
      // The route that delegates has no weights, and is there first.
      const given = s.weights('v1')
      expect(prepare === delegated ? given.slice(1) : given).toEqual([100, 90, 50, 0, 10, 0])
      expect(s.events().filter((event) => /Weight(Raised|Lowered|Contested)/.test(event))).toEqual([])
      expect(s.status().history?.map((h) => h.result)).toEqual(['RolledBack', 'Promoted'])
    },
    120_000,
  )
})

/** The same with half of the traffic for v2. */
function halved(declared: KubeObject): KubeObject {
  const object = structuredClone(declared)
  if (object.kind !== 'VirtualService') return object
  for (const entry of listAt(fieldAt(object, 'spec', 'http', 0), 'route')) {
    const subset = String(fieldAt(entry, 'destination', 'subset'))
    if (entry && typeof entry === 'object') Reflect.set(entry, 'weight', subset === 'v3' ? 0 : 50)
  }
  return object
}

describe('beside an engine that puts the weights of Git back', () => {
  test.concurrent.each([
    ['flux', flux(), 'kustomize-controller'],
    ['argocd', argocd(), 'argocd-controller'],
  ])(
    '%s: what a retreat took away is given back before Git can be told, and taken away again on the event',
    async (name, write, manager) => {
      await using s = await beside(`reraised-by-${name}`, write, { rollout: { steps: slow } })
      await s.desire('v3')
      await s.until('at 10 %', () => s.weight('v3') === 10)
      // Whoever looks at the route sees it with 10 % again and again; the commit that would end it cannot be made.
      s.remote.faults.down = true
      await s.until('rolled back', (status) => status.phase === 'RolledBack')
      const raised = () => s.events().filter((event) => event.includes('was given 10%'))
      await s.until('the engine has given it back', () => s.weights('v3').filter((weight) => weight === 10).length > 2)
      await s.until('and was told off', () => raised().length > 0)
      expect(raised().join('\n')).toContain(manager)
      s.remote.faults.down = false
      await s.until('Git says so', (status) => status.git?.committed === true)
      const synced = s.engine.syncs()
      await s.until('the engine has applied it', () => s.engine.syncs() > synced + 2)
      expect(s.weight('v3')).toBe(0)
      expect(s.status().knownBad).toMatchObject([{ name: 'v3' }])
    },
    120_000,
  )

  test('raised for the third time in one step, it stops at stable as contested, naming the manager', async () => {
    // What it applies comes from elsewhere, from some time on with half and half.
    let half = false
    const write: Writer = (api, declared, live) => argocd()(api, half ? halved(declared) : declared, live)
    await using s = await beside('raised-thrice', write, { rollout: { steps: slow } })
    await s.desire('v2')
    await s.until('at 10 %', () => s.weight('v2') === 10)
    half = true
    await s.until('contested', (status) => status.paused?.reason === 'WeightContested')
    expect(s.status()).toMatchObject({ phase: 'Paused', step: { weight: 0 } })
    expect(s.status().message).toContain('argocd-controller')
    await s.engine.stop()
    await s.until('at stable', () => s.weight('v2') === 0)
    await s.stays('at stable', () => s.weight('v2') === 0, 1_500)
  }, 120_000)

  test('lowered for the third time in one step, because Git has outcomes only, it is contested too', async () => {
    await using s = await beside('lowered-thrice', flux(), {
      rollout: { steps: slow },
      git: { write: { mode: 'Push', commits: 'Outcomes' } },
    })
    await s.desire('v2')
    await s.until('contested', (status) => status.paused?.reason === 'WeightContested')
    expect(s.status().message).toContain('kustomize-controller')
    await s.stays('at stable', () => s.weight('v2') === 0, 1_500)
  }, 120_000)
})
