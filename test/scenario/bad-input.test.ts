import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { textAt } from '../../src/kube/field.ts'
import { startApiServer } from '../../src/sandbox/apiserver/index.ts'
import { rolloutOf, sourceOf, virtualServiceOf } from './manifests.ts'
import { sluice, sluiceController } from './process.ts'
import { openStage, refs, type Scene, type Stage } from './stage.ts'

let stage: Stage
beforeAll(async () => {
  stage = await openStage()
  const controller = await stage.controller()
  await controller.synced
}, 60_000)
afterAll(() => stage.stop(), 60_000)

const stackTrace = /\n? +at \S+ \(|\.ts:\d+:\d+/

function source(s: Scene): { message: string; errors: { file?: string; line?: number; message?: string }[] } {
  const object = stage.sandbox.api.storage.get(refs.sources, { namespace: s.namespace, name: 'config' })
  return {
    message: textAt(object, 'status', 'message') ?? '',
    errors: ((object?.status as { errors?: [] })?.errors ?? []) as [],
  }
}

describe.concurrent('a manifest in Git', { timeout: 240_000 }, () => {
  test('that is no YAML is named with file and line, and the others are applied', async () => {
    await using s = await stage.scene('malformed', { git: {} })
    await s.developer.commit('a slip, and a ConfigMap', (files) =>
      new Map(files)
        .set('broken.yaml', 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: broken\n   namespace: malformed\n')
        .set('fine.yaml', 'apiVersion: v1\nkind: ConfigMap\nmetadata: { name: fine, namespace: malformed }\n'),
    )
    await s.until('told', () => source(s).errors.length > 0)
    expect(source(s).errors[0]).toMatchObject({
      file: expect.stringContaining('broken.yaml'),
      line: expect.any(Number),
    })
    expect(source(s).message).not.toMatch(stackTrace)
    const fine = () =>
      stage.sandbox.api.storage.get({ group: '', plural: 'configmaps' }, { namespace: 'malformed', name: 'fine' })
    await s.until('the other applied', () => fine() !== undefined)
    expect(s.status().phase).toBe('Healthy')
  })

  test.for([
    ['unknown-field', (text: string) => text.replace('hold: 2s', 'hodl: 2s'), /hodl/],
    ['down', (text: string) => text.replace('weight: 50', 'weight: 5'), /weights must rise/],
    ['not-to-100', (text: string) => text.replace('weight: 100', 'weight: 90'), /the last step must have weight 100/],
    ['bad-duration', (text: string) => text.replace('hold: 2s', 'hold: soon'), /hold/],
  ] as const)(
    'with a wrong Rollout (%s) is refused, says why, and changes nothing',
    async ([namespace, spoil, reason]) => {
      await using s = await stage.scene(namespace, { git: {} })
      const before = s.rollout()?.metadata.generation
      await s.developer.commit('a slip', (files) => {
        const name = 'rollout-my-app.yaml'
        return new Map(files).set(name, spoil(files.get(name)!).replace('desired: v1', 'desired: v2'))
      })
      await s.until('told', () =>
        reason.test(
          source(s)
            .errors.map((error) => error.message)
            .join('\n'),
        ),
      )
      expect(source(s).errors[0]?.file).toContain('rollout-my-app.yaml')
      expect(s.rollout()?.metadata.generation).toBe(before)
      expect(s.weights('v2')).toEqual([0])
      await s.developer.commit('repaired', (files) => {
        const name = 'rollout-my-app.yaml'
        const text = files.get(name)!
        const repaired = text
          .replace('hodl: 2s', 'hold: 2s')
          .replace('weight: 5\n', 'weight: 50\n')
          .replace('weight: 90', 'weight: 100')
          .replace('hold: soon', 'hold: 2s')
        return new Map(files).set(name, repaired)
      })
      await s.until('moving', () => s.weight('v2') > 0)
    },
  )
})

describe.concurrent('a Rollout', { timeout: 240_000 }, () => {
  test('whose steps fall or do not end at 100 is refused by the API server', async () => {
    const post = async (steps: { weight: number }[]) => {
      const response = await fetch(`${stage.sandbox.api.url}/apis/sluice.dev/v1alpha1/namespaces/default/rollouts`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(rolloutOf('default', { steps })),
      })
      return { status: response.status, text: await response.text() }
    }
    const falling = await post([{ weight: 50 }, { weight: 10 }, { weight: 100 }])
    expect(falling).toMatchObject({ status: 422, text: expect.stringContaining('weights must rise from step to step') })
    const short = await post([{ weight: 10 }, { weight: 50 }])
    expect(short).toMatchObject({ status: 422, text: expect.stringContaining('the last step must have weight 100') })
  })

  const broken: [string, (spec: Spec) => void, RegExp][] = [
    ['a VirtualService', (spec) => (spec.traffic.istio.virtualService.name = 'nobody'), /VirtualService \S*nobody/],
    ['a route', (spec) => (spec.traffic.istio.virtualService.routes = ['nowhere']), /nowhere/],
    ['a DestinationRule', (spec) => (spec.traffic.istio.destinationRule.name = 'no-rule'), /no-rule/],
    ['a subset', (spec) => (spec.workload.subsets.desired = 'v9'), /v9/],
    ['a RolloutSource', (spec) => (spec.source = { name: 'no-source' }), /no-source/],
  ]
  test.for(broken)('that names %s that does not exist says which, and moves nothing', async ([what, spoil, name]) => {
    const namespace = `no-${what.split(' ')[1]!.toLowerCase()}`
    await using s = await stage.scene(namespace)
    const spec = structuredClone(s.rollout()?.spec) as Spec
    spec.workload.subsets.desired = 'v2'
    spoil(spec)
    s.edit(spec)
    await s.until('told', (status) => name.test(status.message ?? ''))
    expect(s.status().message).not.toMatch(stackTrace)
    expect(s.weights('v2')).toEqual([0])
    s.edit({ ...(rolloutOf(namespace, { desired: 'v2' }).spec as object), source: null })
    await s.until('moving', () => s.weight('v2') === 10)
  })

  test('whose pair of weights sums to 0 is Invalid and says what to do', async () => {
    await using s = await stage.scene('zero', { versions: [{ name: 'v1' }, { name: 'v2' }, { name: 'v3' }] })
    s.shift({ v1: 0, v2: 0, v3: 100 })
    await s.desire('v2')
    await s.until('told', (status) => status.phase === 'Invalid')
    expect(s.status().message).toMatch(/sum|points|weight/)
    expect(s.status().message).not.toMatch(stackTrace)
    expect(s.weights('v2')).toEqual([0])
  })

  test('whose pair of weights is too coarse for a step is Invalid before traffic moves', async () => {
    await using s = await stage.scene('coarse', {
      versions: [{ name: 'v1' }, { name: 'v2' }, { name: 'v3' }],
      weights: { v1: 3, v2: 0, v3: 97 },
      rollout: { initialStable: 'v1' },
    })
    await s.desire('v2')
    await s.until('told', (status) => status.phase === 'Invalid')
    expect(s.status().message).toMatch(/step 1: the two weights sum to 3/)
    expect(s.weights('v2')).toEqual([0])
  })

  test('whose Prometheus answers HTML waits at 0 and says so', async () => {
    const page = createServer((_, response) => response.end('<html><body>Please log in</body></html>'))
    await new Promise<void>((done) => page.listen(0, '127.0.0.1', done))
    const { port } = page.address() as AddressInfo
    await using s = await stage.scene('login-page', {
      rollout: { analysis: { prometheus: { url: `http://127.0.0.1:${port}` } } },
    })
    await s.desire('v2')
    await s.until('told', (status) => /HTML page/.test(status.message ?? ''))
    expect(s.status().message).toContain(`127.0.0.1:${port}`)
    expect(s.weights('v2')).toEqual([0])
    page.close()
  })
})

describe.concurrent('a RolloutSource', { timeout: 240_000 }, () => {
  const wrong: [string, (s: Scene) => Record<string, unknown>, RegExp][] = [
    ['repository', (s) => ({ url: `${s.remote.url.replace(/[^/]+$/, '')}nothing.git` }), /nothing\.git.*(not|no) /],
    ['branch', () => ({ branch: 'trunk' }), /trunk/],
    ['path', () => ({ path: 'clusters/nowhere' }), /clusters\/nowhere/],
    ['host', () => ({ url: 'http://127.0.0.1:9/config.git' }), /127\.0\.0\.1:9/],
    ['secret', () => ({ secretRef: { name: 'no-secret' } }), /no-secret/],
  ]
  test.for(wrong)(
    'with a wrong %s says which and how to put it right, and goes on once it is',
    async ([what, spoil, reason]) => {
      await using s = await stage.scene(`wrong-${what}`, { git: {} })
      const { storage } = stage.sandbox.api
      const key = { namespace: s.namespace, name: 'config' }
      storage.patchMerge(refs.sources, key, { spec: spoil(s) })
      await s.until('told', () => reason.test(source(s).message))
      expect(source(s).message).not.toMatch(stackTrace)
      const right = sourceOf(s.namespace, s.remote.url).spec as object
      storage.patchMerge(refs.sources, key, { spec: { ...right, secretRef: null } })
      await s.until('in step', () => source(s).message.startsWith('In step'))
      expect(s.status().phase).toBe('Healthy')
    },
  )

  test('that may not read the repository says so without its password', async () => {
    await using s = await stage.scene('unauthorized', { git: {} })
    const { storage } = stage.sandbox.api
    const password = 'hunter2-hunter2'
    storage.create(
      { group: '', plural: 'secrets' },
      {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: 'git', namespace: s.namespace },
        data: {
          username: Buffer.from('sluice').toString('base64'),
          password: Buffer.from(password).toString('base64'),
        },
      },
    )
    s.remote.faults.status = 401
    storage.patchMerge(
      refs.sources,
      { namespace: s.namespace, name: 'config' },
      { spec: { secretRef: { name: 'git' } } },
    )
    await s.until('told', () => /401|credential|access|password|authenticat/i.test(source(s).message))
    expect(JSON.stringify(storage.list(refs.sources))).not.toContain(password)
    expect(JSON.stringify(stage.logs)).not.toContain(password)
    s.remote.faults.clear()
    await s.until('in step', () => source(s).message.startsWith('In step'))
  })
})

describe.concurrent('sluice controller', { timeout: 240_000 }, () => {
  test.for([
    ['/etc/passwd', /\/etc\/passwd/],
    ['/nonexistent/kubeconfig', /\/nonexistent\/kubeconfig/],
  ] as const)('given %s as a kubeconfig says what is wrong, and ends', async ([file, reason]) => {
    const controller = sluice(['controller', '--kubeconfig', file, '--listen', '127.0.0.1:0'])
    expect(await controller.ended).not.toBe(0)
    const said = controller.stderr.join('\n')
    expect(said).toMatch(reason)
    expect(said).toMatch(/kubeconfig/)
    expect(said).not.toMatch(stackTrace)
    expect(controller.stderr.length).toBeLessThan(5)
  })

  test('given a Prometheus URL that is none says so and ends', async () => {
    const { controllerKubeconfig } = stage.sandbox
    const controller = sluice([
      'controller',
      '--kubeconfig',
      controllerKubeconfig,
      '--prometheus',
      'not a url',
      '--listen',
      '127.0.0.1:0',
    ])
    const timer = setTimeout(() => controller.child.kill('SIGKILL'), 20_000)
    expect(await controller.ended).toBe(1)
    clearTimeout(timer)
    expect(controller.stderr.join('\n')).toMatch(/not a url/)
    expect(controller.stderr.join('\n')).not.toMatch(stackTrace)
  })

  test('waits for an API server that does not run yet, says so, and works when it comes', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'sluice-late-'))
    const first = await startApiServer()
    const port = Number(new URL(first.url).port)
    await writeFile(join(dir, 'kubeconfig'), first.kubeconfig())
    await first.stop()
    const controller = sluiceController({
      kubeconfig: join(dir, 'kubeconfig'),
      prometheus: 'http://127.0.0.1:9',
      workDir: dir,
    })
    const said = () => controller.stderr.join('\n')
    await waitFor(() => /ECONNREFUSED|cannot be reached|refused/.test(said()))
    expect(said()).not.toMatch(stackTrace)
    // It comes, without Sluice's CRDs at first.
    const late = await startApiServer({ port })
    await waitFor(() => /"synced"/.test(said()))
    expect(await controller.kill('SIGTERM')).toBe(0)
    await late.stop()
    await rm(dir, { recursive: true, force: true })
  })

  test('says which CRDs are missing, and begins when they are installed', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'sluice-crds-'))
    const api = await startApiServer()
    await writeFile(join(dir, 'kubeconfig'), api.kubeconfig())
    const controller = sluiceController({
      kubeconfig: join(dir, 'kubeconfig'),
      prometheus: 'http://127.0.0.1:9',
      workDir: dir,
    })
    const said = () => controller.stderr.join('\n')
    await waitFor(() => /rollouts\.sluice\.dev/.test(said()))
    expect(said()).toMatch(/CRD|install|sluice crds/i)
    const { crdOf } = await import('../../src/api/crd.ts')
    const { kinds } = await import('../../src/api/kinds.ts')
    const { default: YAML } = await import('yaml')
    for (const kind of Object.values(kinds))
      api.storage.create(
        { group: 'apiextensions.k8s.io', plural: 'customresourcedefinitions' },
        YAML.parse(YAML.stringify(crdOf(kind))),
      )
    api.storage.create(refs.virtualServices, virtualServiceOf('default', { v1: 100, v2: 0 }))
    api.storage.create(refs.rollouts, rolloutOf('default'))
    const status = () =>
      textAt(api.storage.get(refs.rollouts, { namespace: 'default', name: 'my-app' }), 'status', 'message')
    await waitFor(() => status() !== undefined)
    expect(await controller.kill('SIGTERM')).toBe(0)
    await api.stop()
    await rm(dir, { recursive: true, force: true })
  })
})

interface Spec {
  [field: string]: unknown
  workload: { subsets: { desired: string } }
  traffic: { istio: { virtualService: { name: string; routes: string[] }; destinationRule: { name: string } } }
  source?: { name: string }
}

async function waitFor(test: () => boolean): Promise<void> {
  const end = Date.now() + 60_000
  while (!test()) {
    if (Date.now() > end) throw new Error('it never came to be')
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
