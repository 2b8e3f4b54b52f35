import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemRuntime as runtime } from '../../src/runtime.ts'
import type { Manifest } from '../deploy/kustomize.ts'
import * as deployed from '../scenario/deployment-manifests.ts'
import * as beside from '../scenario/manifests.ts'
import type { SluiceProcess } from '../scenario/process.ts'
import type { BareServer } from './server.ts'
import { openRealStage, type RealScene, type RealStage } from './stage.ts'

const STEPS = [10, 50, 100].map((weight) => ({ weight, hold: '1s' }))
const LONG = [{ weight: 50, hold: '10m' }, { weight: 100 }]

/** Any image that runs anywhere will do; its tag is the name of the version. */
const image = (tag: string) => `registry.k8s.io/pause:${tag}`

/** The production controller against an API server: everything it does, it does through that server. */
export function controllerConformance(label: string, connect: () => Promise<BareServer>): void {
  describe(label, { timeout: 240_000 }, () => {
    let server: BareServer
    let stage: RealStage
    let controller: SluiceProcess
    beforeAll(async () => {
      stage = await openRealStage(async () => {
        server = await connect()
        return server
      })
      controller = await stage.controller()
    }, 120_000)
    afterAll(() => stage?.stop(), 60_000)

    /** Two versions side by side, and a Rollout between them that comes from Git. */
    async function subsets(name: string, steps: beside.StepGiven[] = STEPS, apply = 'Rollouts'): Promise<RealScene> {
      const rollout = (namespace: string) => beside.rolloutOf(namespace, { source: 'config', steps })
      const route = (namespace: string) => beside.virtualServiceOf(namespace, { v1: 100, v2: 0 })
      const s = await stage.scene(name, {
        app: 'my-app',
        workloads: { v1: 'my-app-v1', v2: 'my-app-v2' },
        objects: (namespace) => [
          ...['v1', 'v2'].map((version) => beside.deploymentOf(namespace, { name: version, image: image('3.9') })),
          beside.serviceOf(namespace),
          beside.destinationRuleOf(namespace, ['v1', 'v2']),
          route(namespace),
        ],
        files: (namespace) => [route(namespace), ...(apply === 'None' ? [] : [rollout(namespace)])],
        last: (namespace, url) => [
          beside.sourceOf(namespace, url, { apply }),
          ...(apply === 'None' ? [rollout(namespace)] : []),
        ],
      })
      await s.until('Healthy', ({ phase }) => phase === 'Healthy')
      return s
    }

    const desire = (s: RealScene, version: string) =>
      s.developer.commit(`release ${version}`, (files) => {
        const file = files.get('rollout.yaml') ?? ''
        return new Map(files).set('rollout.yaml', file.replace(/^( *desired: ).*$/m, `$1${version}`))
      })
    const inGit = (s: RealScene) =>
      s.until('all is in Git', ({ git }) => git?.committed === true && (git.pending ?? []).length === 0)
    const at = (s: RealScene, weight: number) => s.until(`at ${weight} %`, ({ step }) => step?.weight === weight)

    /** What a watcher of the route saw, which may come a moment later than all else. */
    async function moved(s: RealScene, subset: string, weights: number[]): Promise<void> {
      await s.until('the route is seen', () => s.weights(subset).length >= weights.length)
      expect(s.weights(subset)).toEqual(weights)
    }

    /** One Deployment with its Rollout, applied from Git by Sluice as docs/install.md says. */
    async function deployment(name: string, steps: beside.StepGiven[] = STEPS): Promise<RealScene> {
      const all = (namespace: string) => [
        deployed.deploymentOf(namespace, { tag: '3.8', image: image('3.8') }),
        deployed.virtualServiceOf(namespace),
        deployed.rolloutOf(namespace, { source: 'config', steps }),
      ]
      const s = await stage.scene(name, {
        app: 'checkout',
        workloads: { stable: 'checkout', canary: 'checkout-canary' },
        objects: (namespace) => [
          ...all(namespace).slice(0, 2),
          deployed.serviceOf(namespace),
          deployed.destinationRuleOf(namespace),
          sluiceApplies(namespace),
        ],
        files: all,
        last: (namespace, url) => [beside.sourceOf(namespace, url, { apply: 'All' })],
      })
      await s.until('Healthy', ({ phase }) => phase === 'Healthy')
      return s
    }

    const release = (s: RealScene, tag: string) =>
      s.developer.commit(`release ${tag}`, (files) => {
        const file = files.get('deployment.yaml') ?? ''
        return new Map(files).set('deployment.yaml', file.replace(/pause:\S+/, `pause:${tag}`))
      })
    const names = async (s: RealScene) =>
      (await s.pods())
        .filter(({ workload }) => workload === 'checkout')
        .map((pod) => pod.name)
        .sort()
    const images = async (s: RealScene) =>
      (await s.pods()).map((pod) => `${pod.workload} ${pod.image.split(':')[1]}`).sort()
    const isPaused = async (s: RealScene) => (await s.get('deployments'))?.spec.paused === true

    describe.concurrent('everything at once:', () => {
      describe('a Deployment', () => {
        test('is adopted, latched, tried beside itself and rolled when the version has passed', async () => {
          const s = await deployment('whole')
          const before = await names(s)
          expect((await s.get('deployments'))?.metadata.labels).toMatchObject({ 'sluice.dev/rollout': 'checkout' })
          await release(s, '3.9')
          await at(s, 10)
          expect([await isPaused(s), await names(s)]).toEqual([true, before])
          expect(await images(s)).toContain('checkout-canary 3.9')
          await s.until(
            'at rest',
            async ({ lastOutcome, phase, canary }) =>
              lastOutcome?.result === 'Promoted' &&
              phase === 'Healthy' &&
              canary === undefined &&
              (await s.get('deployments', 'checkout-canary')) === undefined,
          )
          await s.until('nothing else runs', async () => (await images(s)).join() === 'checkout 3.9,checkout 3.9')
          expect(await isPaused(s)).toBe(false)
          await moved(s, 'canary', [0, 10, 50, 100, 0])
        })

        test('gets the template of the last good commit back in Git, and loses no pod', async () => {
          const s = await deployment('back', LONG)
          const [before, manifest] = [await names(s), await s.developer.read('deployment.yaml')]
          s.traffic.fail('checkout-canary', 0.5)
          await release(s, '3.9')
          await s.until(
            'at rest',
            async ({ lastOutcome, phase }) =>
              lastOutcome?.result === 'RolledBack' &&
              phase === 'Healthy' &&
              !(await isPaused(s)) &&
              (await images(s)).join() === 'checkout 3.8,checkout 3.8',
          )
          expect(await s.developer.read('deployment.yaml')).toBe(manifest)
          expect(await names(s)).toEqual(before)
          await moved(s, 'canary', [0, 50, 0])
          expect((await s.commits()).at(-1)).toBe('checkout: roll back 3.9 → 3.8')
        })

        test('is restarted by kubectl rollout restart without a rollout', async () => {
          const s = await deployment('restarted')
          const before = await names(s)
          const annotations = { 'kubectl.kubernetes.io/restartedAt': new Date(runtime.now()).toISOString() }
          const answer = await s.patch('deployments', { spec: { template: { metadata: { annotations } } } }, 'dana')
          expect(answer.spec.paused).toBe(true)
          await s.until('other pods', async () => {
            const after = await names(s)
            return after.length === 2 && after.every((name) => !before.includes(name)) && !(await isPaused(s))
          })
          expect((await s.rollout())?.status).toMatchObject({ phase: 'Healthy', stable: { name: '3.8' } })
          expect((await s.rollout())?.status.lastOutcome).toBeUndefined()
          await moved(s, 'canary', [0])
        })

        test('stays as it was when its Rollout is deleted at 50 %', async () => {
          const s = await deployment('left', LONG)
          const before = await names(s)
          await release(s, '3.9')
          await at(s, 50)
          await s.developer.commit('no Rollout', (files) => new Map(files).set('rollout.yaml', '# gone\n'))
          await stage.api.remove('rollouts', s.namespace, 'checkout')
          await s.until('gone', async () => (await s.rollout()) === undefined)
          await s.until('only stable runs', async () => (await images(s)).join() === 'checkout 3.8,checkout 3.8')
          expect(await names(s)).toEqual(before)
          await moved(s, 'canary', [0, 50, 0])
          expect(await s.get('deployments', 'checkout-canary')).toBeUndefined()
          expect((await s.get('deployments'))?.metadata.labels?.['sluice.dev/rollout']).toBeUndefined()
        })
      })

      describe('two versions side by side', () => {
        test('a good release goes 10, 50, 100, each step pushed to Git', async () => {
          const s = await subsets('good')
          await desire(s, 'v2')
          await s.until('promoted', ({ lastOutcome }) => lastOutcome?.result === 'Promoted')
          await inGit(s)
          await moved(s, 'v2', [0, 10, 50, 100])
          expect(await s.commits()).toEqual([
            'my-app: 0% → 10%',
            'my-app: 10% → 50%',
            'my-app: 50% → 100%',
            'my-app: promote v2',
          ])
          expect((await s.rollout())?.status).toMatchObject({ phase: 'Healthy', stable: { name: 'v2' }, attempt: 1 })
        })

        test('a breach puts traffic back, and Git after it', async () => {
          const s = await subsets('breach', [{ weight: 10, hold: '10m' }, { weight: 100 }])
          s.traffic.fail('my-app-v2', 0.5)
          await desire(s, 'v2')
          await s.until('rolled back', ({ lastOutcome }) => lastOutcome?.result === 'RolledBack')
          await inGit(s)
          await moved(s, 'v2', [0, 10, 0])
          expect(await s.commits()).toEqual(['my-app: 0% → 10%', 'my-app: roll back v2 → v1'])
          expect(await s.developer.read('rollout.yaml')).toMatch(/desired: v1$/m)
          await s.until('Healthy', ({ phase, knownBad }) => phase === 'Healthy' && knownBad?.[0]?.name === 'v2')
        })

        test('an approval counts in one’s own name only', async () => {
          const s = await subsets('approval', [
            { weight: 50, hold: '1s', approval: { from: ['user:dana'] } },
            { weight: 100, hold: '1s' },
          ])
          await desire(s, 'v2')
          await s.until('asks', ({ approval }) => approval?.state === 'Pending')
          const { name } = (await s.rollout())?.status.approval ?? {}
          const asked = await s.get('approvals', name)
          const decision = { verdict: 'Approve', by: 'user:dana', via: 'kubernetes', digest: asked?.spec.digest }
          const body = { spec: { decisions: [{ ...decision, at: new Date(runtime.now()).toISOString() }] } }
          const decide = (by: string) => stage.api.patch('approvals', s.namespace, name, body, by)
          await expect(decide('eve')).rejects.toThrow('a decision must carry your own name')
          await moved(s, 'v2', [0])
          await decide('dana')
          await s.until('promoted', ({ lastOutcome }) => lastOutcome?.result === 'Promoted')
          await inGit(s)
          await moved(s, 'v2', [0, 50, 100])
          expect(await s.git('log', '--format=%(trailers:key=Approved-by,valueonly)', 'main')).toContain('dana')
        })

        test('deleted at 50 %, a Rollout leaves when traffic and Git are back', async () => {
          const s = await subsets('deleted', LONG, 'None')
          await s.patch('rollouts', { spec: { workload: { subsets: { desired: 'v2' } } } }, 'dana')
          await at(s, 50)
          await stage.api.remove('rollouts', s.namespace, 'my-app')
          await s.until('gone', async () => (await s.rollout()) === undefined)
          await moved(s, 'v2', [0, 50, 0])
          expect((await s.commits()).slice(0, 1)).toEqual(['my-app: 0% → 50%'])
          expect(await s.developer.read('virtualservice.yaml')).toMatch(/weight: 100[\s\S]*weight: 0/)
        })
      })
    })

    test('when the API server was away, the same process sees again what people do', async (context) => {
      if (!server.restart) return context.skip()
      const [s, whole] = await Promise.all([subsets('away', LONG), deployment('away-whole', LONG)])
      await Promise.all([desire(s, 'v2'), release(whole, '3.9')])
      await Promise.all([at(s, 50), at(whole, 50)])
      await server.restart()
      await Promise.all([desire(s, 'v1'), release(whole, '3.8')])
      for (const each of [s, whole])
        await each.until(
          'reverted',
          ({ lastOutcome, phase }) => lastOutcome?.result === 'Reverted' && phase === 'Healthy',
        )
      await inGit(s)
      await moved(s, 'v2', [0, 50, 0])
      await moved(whole, 'canary', [0, 50, 0])
      expect(controller.child.exitCode).toBeNull()
    })

    test('killed in the middle of a step, another goes on where it was', async () => {
      const s = await subsets('killed')
      await controller.kill('SIGTERM')
      const first = await stage.controller({ leaseSeconds: 5 })
      await desire(s, 'v2')
      await at(s, 10)
      expect(await first.kill('SIGKILL')).toBe('SIGKILL')
      controller = await stage.controller({ leaseSeconds: 5 })
      await s.until('promoted', ({ lastOutcome }) => lastOutcome?.result === 'Promoted')
      await inGit(s)
      await moved(s, 'v2', [0, 10, 50, 100])
      expect(await s.commits()).toEqual([
        'my-app: 0% → 10%',
        'my-app: 10% → 50%',
        'my-app: 50% → 100%',
        'my-app: promote v2',
      ])
      expect((await s.rollout())?.status).toMatchObject({ phase: 'Healthy', stable: { name: 'v2' }, attempt: 1 })
    })
  })
}

/** What docs/install.md lets people bind where a RolloutSource applies everything. */
function sluiceApplies(namespace: string): Manifest {
  return {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata: { name: 'sluice-applies', namespace },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'sluice-applies' },
    subjects: [{ kind: 'ServiceAccount', name: 'sluice', namespace: 'sluice-system' }],
  }
}
