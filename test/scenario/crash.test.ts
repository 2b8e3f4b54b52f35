import { mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { RolloutStatus } from '../../src/api/status.ts'
import { type SluiceProcess, sluiceController } from './process.ts'
import { openStage, refs, type Scene, type SceneOptions, type Stage } from './stage.ts'

let stage: Stage
const running = new Set<SluiceProcess>()
beforeAll(async () => {
  stage = await openStage()
}, 60_000)
afterAll(async () => {
  await Promise.all([...running].map((controller) => controller.kill('SIGKILL')))
  await stage.stop()
}, 60_000)

/** One controller for one namespace, so that scenes do not share its death. */
async function controllerOf(namespace: string, workDir?: string): Promise<SluiceProcess> {
  const { controllerKubeconfig, prometheus } = stage.sandbox
  const controller = sluiceController({
    kubeconfig: controllerKubeconfig,
    prometheus: prometheus.url,
    workDir: workDir ?? (await mkdtemp(join(stage.dir, 'work-'))),
    args: ['--namespace', namespace],
  })
  running.add(controller)
  void controller.ended.then(() => running.delete(controller))
  return controller
}

/** Starts a controller and releases v2; kills the controller the moment `when` holds; starts another. */
async function killedWhen(
  namespace: string,
  options: SceneOptions,
  when: (s: Scene, status: RolloutStatus) => boolean | Promise<boolean>,
): Promise<Scene> {
  const first = await controllerOf(namespace)
  const s = await stage.scene(namespace, options)
  await s.desire('v2')
  await s.until('the moment to be killed', (status) => when(s, status))
  expect(await first.kill('SIGKILL')).toBe('SIGKILL')
  await controllerOf(namespace)
  return s
}

const steps = [
  { weight: 20, hold: '1s' },
  { weight: 100, hold: '1s' },
]
const good: SceneOptions = { git: {}, rate: 20, rollout: { steps } }
const bad: SceneOptions = {
  git: {},
  rate: 20,
  versions: [{ name: 'v1' }, { name: 'v2', behaviour: { ERROR_RATE: '1' } }],
  rollout: { steps: [{ weight: 50, hold: '10m' }, { weight: 100 }] },
}

const strip = (commits: string[]) => commits.map((subject) => subject.replace(/ \(\S+\).*$/, ''))
const has = async (s: Scene, part: string) => (await s.commits()).some((subject) => subject.includes(part))

async function endsWell(s: Scene): Promise<void> {
  await s.until('promoted', (status) => status.lastOutcome?.result === 'Promoted')
  await s.until('in Git', (status) => status.git?.committed !== false)
  expect(s.weights('v2')).toEqual([0, 20, 100])
  expect(strip(await s.commits()).slice(2)).toEqual(['my-app: 0% → 20%', 'my-app: 20% → 100%', 'my-app: promote v2'])
  expect(s.status()).toMatchObject({ phase: 'Healthy', attempt: 1, stable: { name: 'v2' } })
  expect(s.status().history).toHaveLength(1)
}

async function endsBack(s: Scene): Promise<void> {
  await s.until('back', (status) => status.phase === 'Healthy' && status.lastOutcome?.result === 'RolledBack')
  await s.until('in Git', (status) => status.git?.committed !== false)
  expect(s.weights('v2')).toEqual([0, 50, 0])
  expect(strip(await s.commits()).slice(2)).toEqual(['my-app: 0% → 50%', 'my-app: roll back v2 → v1'])
  expect(s.status()).toMatchObject({ stable: { name: 'v1' }, knownBad: [{ name: 'v2' }], attempt: 1 })
  expect(s.status().history).toHaveLength(1)
}

describe.concurrent('killed at', { timeout: 240_000 }, () => {
  test('the pushed commit, a rollout ends as if nothing had been', async () => {
    await using s = await killedWhen('at-push', good, (s) => has(s, '0% → 20%'))
    await endsWell(s)
  })

  test('the written weight, a rollout ends as if nothing had been', async () => {
    await using s = await killedWhen('at-weight', good, (s) => s.weight('v2') === 20)
    await endsWell(s)
  })

  test('the recorded rollback, its commit is made once', async () => {
    await using s = await killedWhen('at-outcome', bad, (_, status) => status.lastOutcome !== undefined)
    await endsBack(s)
  })

  test('the weight of a retreat while Prometheus is down, traffic stays on stable', async () => {
    const options = { ...bad, ownPrometheus: true }
    await using s = await killedWhen('no-prometheus', options, async (scene) => {
      if (scene.weights('v2').join() !== '0,50,0') return false
      await scene.prometheus.faults.set({ outage: 'refused' })
      return true
    })
    await endsBack(s)
  })

  test('the spending of an approval, it is spent once and nobody is asked again', async () => {
    const options: SceneOptions = {
      git: {},
      rate: 20,
      rollout: {
        steps: [
          { weight: 20, hold: '1s' },
          { weight: 100, hold: '1s', approval: { from: ['user:dana'] } },
        ],
      },
    }
    const first = await controllerOf('spent')
    await using s = await stage.scene('spent', options)
    const { storage } = stage.sandbox.api
    const questions = () => storage.list(refs.approvals, { namespace: 'spent' })
    await s.desire('v2')
    await s.until('asking', (status) => status.phase === 'AwaitingApproval' && questions().length === 1)
    const [question] = questions()
    const spec = question!.spec as { digest: string }
    storage.patchMerge(
      refs.approvals,
      { namespace: 'spent', name: question!.metadata.name },
      {
        spec: {
          decisions: [
            {
              verdict: 'Approve',
              by: 'user:dana',
              via: 'kubernetes',
              digest: spec.digest,
              at: new Date().toISOString(),
            },
          ],
        },
      },
    )
    await s.until('spent', (status) => status.step?.entering?.index === 2 || status.step?.index === 2)
    await first.kill('SIGKILL')
    await controllerOf('spent')
    await s.until('promoted', (status) => status.lastOutcome?.result === 'Promoted')
    await s.until('closed', () => questions().every((q) => (q.status as { state?: string }).state === 'Consumed'))
    expect(questions()).toHaveLength(1)
    expect(s.weights('v2')).toEqual([0, 20, 100])
  })

  test('any time while nothing is released, no rollout starts', async () => {
    const first = await controllerOf('upgrade')
    await using s = await stage.scene('upgrade', good)
    await first.kill('SIGKILL')
    const { storage } = stage.sandbox.api
    storage.patchMerge(refs.deployments, { namespace: 'upgrade', name: 'my-app-v1' }, { spec: { replicas: 2 } })
    const second = await controllerOf('upgrade')
    await s.until('looked at', () => second.stderr.some((line) => line.includes('"synced"')))
    await s.stays('Healthy', (status) => status.phase === 'Healthy' && status.attempt === undefined, 3_000)
    expect(s.weights('v2')).toEqual([0])
    expect(await second.kill('SIGTERM')).toBe(0)
  })
})
