import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { textAt } from '../../src/kube/field.ts'
import { systemRuntime as runtime } from '../../src/runtime.ts'
import { startLoad } from '../../src/sandbox/mesh/index.ts'
import {
  deploymentOf,
  destinationRuleOf,
  rolloutOf,
  serviceOf,
  sourceOf,
  virtualServiceOf,
  yamlOf,
} from './manifests.ts'
import { openStage, refs, type Scene, type Stage, weightOf } from './stage.ts'

let stage: Stage
beforeAll(async () => {
  stage = await openStage()
  const controller = await stage.controller()
  await controller.synced
}, 60_000)
afterAll(() => stage.stop(), 60_000)

const quick = [
  { weight: 20, hold: '1s' },
  { weight: 100, hold: '1s' },
]
const failing = { ERROR_RATE: '1' }
const gitDown = 'went through while Git was down'

/** Everything that matters is in Git, and nothing is owed. */
function settled(s: Scene): Promise<void> {
  return s.until('in Git', (status) => status.git?.committed !== false && (status.git?.pending ?? []).length === 0)
}

const subjects = (commits: string[]) => commits.map((subject) => subject.replace(/ \(\S+\)$/, ''))

describe.concurrent('Git and the cluster agree', { timeout: 240_000 }, () => {
  test('every step is one commit in order, before traffic moves, and only the weights of the file change', async () => {
    const file = `# Traffic of the shop.\r
apiVersion: networking.istio.io/v1\r
kind: VirtualService\r
metadata: { name: my-app, namespace: exact }   # flow style\r
spec:\r
  hosts: [ my-app ]\r
  http:\r
    - name: primary\r
      route:\r
        - destination: { host: my-app, subset: v1 }\r
          weight: 100   # stable today\r
        - weight: 0\t# the one being tried\r
          destination:\r
            subset: "v2"\r
            host: my-app\r
---\r
apiVersion: v1\r
kind: ConfigMap\r
metadata: {name: other, namespace: exact}\r
data: {weight: "100"}\r
`
    const namespace = 'exact'
    await using s = await stage.scene(namespace, {
      git: {},
      files: {
        'app.yaml': yamlOf(
          deploymentOf(namespace, { name: 'v1' }),
          deploymentOf(namespace, { name: 'v2' }),
          serviceOf(namespace),
          destinationRuleOf(namespace, ['v1', 'v2']),
        ),
        'traffic.yaml': file,
        'rollout-my-app.yaml': yamlOf(
          rolloutOf(namespace, {
            source: 'config',
            steps: [
              { weight: 10, hold: '1s' },
              { weight: 50, hold: '1s' },
              { weight: 100, hold: '1s' },
            ],
          }),
        ),
      },
    })
    await s.desire('v2')
    await s.until('promoted', (status) => status.lastOutcome?.result === 'Promoted')
    await settled(s)
    expect(subjects(await s.commits())).toEqual([
      'everything',
      'release v2',
      'my-app: 0% → 10%',
      'my-app: 10% → 50%',
      'my-app: 50% → 100%',
      'my-app: promote v2',
    ])
    const expected = (weight: number) =>
      file.replace('weight: 100   #', `weight: ${100 - weight}   #`).replace('weight: 0\t#', `weight: ${weight}\t#`)
    const hashes = (await s.git('log', '--reverse', '--format=%H', 'main')).trim().split('\n')
    for (const [i, weight] of [0, 0, 10, 50, 100, 100].entries())
      expect(await s.git('show', `${hashes[i]}:clusters/test/traffic.yaml`)).toBe(expected(weight))
    const trailers = await s.git('log', '-1', '--format=%(trailers)', hashes[3]!)
    expect(trailers).toContain('Rollout: exact/my-app')
    expect(trailers).toContain('Step: 2/3')
    expect(trailers).toMatch(/Verdict: Pass/)
    expect(trailers).toMatch(/Evidence: success-rate 100/)
    // Our own commits came back through the source, and nothing started again.
    expect(s.status().attempt).toBe(1)
    expect(s.weights('v2')).toEqual([0, 10, 50, 100])
  })

  test('a rollback puts the desired version back in Git, and the next synchronisation changes nothing', async () => {
    await using s = await stage.scene('rollback', {
      git: {},
      versions: [{ name: 'v1' }, { name: 'v2', behaviour: failing }],
      rollout: { steps: quick },
    })
    await s.desire('v2')
    await s.until(
      'healthy again',
      (status) => status.phase === 'Healthy' && status.lastOutcome?.result === 'RolledBack',
    )
    await settled(s)
    expect(await s.file('clusters/test/rollout-my-app.yaml')).toMatch(/desired: v1$/m)
    const commits = await s.commits()
    expect(subjects(commits).slice(2)).toEqual([
      'my-app: 0% → 20%',
      expect.stringMatching(/^my-app: roll back v2 → v1/),
    ])
    const state = await s
      .file('clusters/test/.sluice/rollback/my-app.yaml')
      .catch(() => s.file('.sluice/rollback/my-app.yaml'))
    expect(state).toContain('v2-')
    const before = s.routes().length
    const head = await s.git('rev-parse', 'main')
    await s.stays('quiet', (status) => status.phase === 'Healthy' && s.routes().length === before, 4_000)
    expect(await s.git('rev-parse', 'main')).toBe(head)
  })

  test('with Git down nothing moves forward; traffic goes back all the same, and the commit arrives once', async () => {
    await using s = await stage.scene('down', {
      git: {},
      rollout: { steps: [{ weight: 20, hold: '1s' }, { weight: 60, hold: '1s' }, { weight: 100 }] },
    })
    await s.desire('v2')
    await s.until('at 20 %', (status) => status.step?.weight === 20)
    s.remote.faults.down = true
    await s.until('waiting for Git', (status) => /waits for Git/.test(status.message ?? ''))
    expect(s.weight('v2')).toBe(20)
    s.behave('v2', { 'error-rate': '1' })
    await s.until('rolled back', (status) => status.phase === 'RolledBack')
    expect(s.weights('v2'), gitDown).toEqual([0, 20, 0])
    await s.until('owed', (status) => status.git?.committed === false)
    s.remote.faults.clear()
    await settled(s)
    await s.until('healthy', (status) => status.phase === 'Healthy')
    const commits = subjects(await s.commits())
    expect(commits.filter((subject) => subject.startsWith('my-app: roll back'))).toHaveLength(1)
    expect(await s.file('clusters/test/virtualservice-my-app.yaml')).toMatch(/weight: 100[\s\S]*weight: 0/)
    expect(await s.file('clusters/test/rollout-my-app.yaml')).toMatch(/desired: v1$/m)
  })

  test('pushes whose answers are lost are one commit each', async () => {
    await using s = await stage.scene('lost-answers', { git: {}, rollout: { steps: quick } })
    s.remote.faults.loseAnswers = 3
    await s.desire('v2')
    await s.until('promoted', (status) => status.lastOutcome?.result === 'Promoted')
    await settled(s)
    expect(subjects(await s.commits()).slice(2)).toEqual([
      'my-app: 0% → 20%',
      'my-app: 20% → 100%',
      'my-app: promote v2',
    ])
  })

  test('a weight that a person lowers in Git is followed at once, and nothing else moves until resume', async () => {
    await using s = await stage.scene('lowered-in-git', {
      git: {},
      rollout: { steps: [{ weight: 10, hold: '1s' }, { weight: 50, hold: '10m' }, { weight: 100 }] },
    })
    await s.desire('v2')
    await s.until('at 50 %', (status) => status.step?.weight === 50)
    await s.developer.commit('less, please', (files) => {
      const name = 'virtualservice-my-app.yaml'
      let nth = 0
      return new Map(files).set(
        name,
        files.get(name)!.replace(/weight: 50/g, () => (nth++ === 0 ? 'weight: 80' : 'weight: 20')),
      )
    })
    await s.until('paused', (status) => status.phase === 'Paused' && status.paused?.reason === 'GitConflict')
    expect(s.weight('v2')).toBe(20)
    expect(s.status().message).toContain('Dana Developer')
    await s.stays('paused', (status) => status.phase === 'Paused' && s.weight('v2') === 20, 2_500)
    expect((await s.commits()).at(-1)).toBe('less, please')
  })

  test('a weight that a person raises in Git stops the rollout and moves nothing', async () => {
    await using s = await stage.scene('raised-in-git', {
      git: {},
      rollout: { steps: [{ weight: 20, hold: '10m' }, { weight: 100 }] },
    })
    await s.desire('v2')
    await s.until('at 20 %', (status) => status.step?.weight === 20)
    await s.developer.commit('more, please', (files) => {
      const name = 'virtualservice-my-app.yaml'
      return new Map(files).set(
        name,
        files.get(name)!.replace('weight: 80', 'weight: 10').replace('weight: 20', 'weight: 90'),
      )
    })
    await s.until('paused', (status) => status.paused?.reason === 'GitConflict')
    await s.stays('at 20 %', () => s.weight('v2') === 20, 2_000)
    s.behave('v2', { 'error-rate': '1' })
    await s.until('rolled back', (status) => status.lastOutcome?.result === 'RolledBack')
    expect(s.weights('v2')).toEqual([0, 20, 0])
  })

  test('a protected branch is said clearly, and is not asked again and again', async () => {
    await using s = await stage.scene('protected', { git: {}, rollout: { steps: quick } })
    s.remote.faults.rejectPush = 'GH006: Protected branch update failed for refs/heads/main.'
    const before = await s.git('rev-parse', 'main')
    // Dana pushes through a file URL, which the switch of the HTTP remote does not reach.
    await s.desire('v2')
    await s.until('said', (status) => /Protected branch|GH006|declined|refuse/i.test(status.message ?? ''))
    expect(s.weights('v2')).toEqual([0])
    await s.stays('at 0', () => s.weight('v2') === 0, 2_000)
    expect((await s.git('rev-list', '--count', `${before.trim()}..main`)).trim()).toBe('1')
    s.remote.faults.clear()
    await s.developer.commit('the branch is open now', (files) => new Map(files).set('note.yaml', ''))
    await s.until('moving', () => s.weight('v2') > 0)
  })

  test('a repository applied to an empty cluster restores what was stable and what was bad', async () => {
    await using s = await stage.scene('rebuilt', {
      git: {},
      versions: [{ name: 'v1' }, { name: 'v2', behaviour: failing }],
      rollout: { steps: quick },
    })
    await s.desire('v2')
    await s.until(
      'healthy again',
      (status) => status.phase === 'Healthy' && status.lastOutcome?.result === 'RolledBack',
    )
    await settled(s)
    const bad = s.status().knownBad![0]!.revision
    const { storage } = stage.sandbox.api
    const key = { namespace: 'rebuilt', name: 'my-app' }
    storage.remove(refs.rollouts, key)
    await s.until('gone', () => s.statuses().length > 0 && storage.get(refs.rollouts, key)?.status === undefined)
    await s.until('back', (status) => status.phase === 'Healthy' && (status.knownBad ?? []).length > 0)
    expect(s.status()).toMatchObject({ stable: { name: 'v1' }, knownBad: [{ revision: bad }] })
    await s.desire('v2')
    await s.until('kept out', (status) =>
      Boolean(status.conditions?.some((c) => c.type === 'Stalled' && c.reason === 'KnownBad')),
    )
    expect(s.weight('v2')).toBe(0)
  })

  test('a second cluster on the same path is refused, and writes nothing', async () => {
    await using s = await stage.scene('mine', { git: {}, rollout: { steps: quick } })
    await s.desire('v2')
    await s.until('promoted', (status) => status.lastOutcome?.result === 'Promoted')
    await settled(s)
    const other = await openStage()
    try {
      await (await other.controller({ clusterName: 'another' })).synced
      const { storage } = other.sandbox.api
      storage.create(refs.namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'mine' } })
      storage.create(refs.sources, sourceOf('mine', s.remote.url))
      const key = { namespace: 'mine', name: 'my-app' }
      const status = (field: string) => textAt(storage.get(refs.rollouts, key), 'status', field) ?? ''
      // Nothing is adopted there, or what Git knows to be bad would be forgotten.
      await s.until('refused there', () => /cluster/.test(status('message')))
      expect(status('message')).toMatch(/--take-over/)
      expect(status('phase')).toBe('Pending')
      startLoad({ url: other.sandbox.mesh.url, host: 'my-app.mine', ratePerSecond: 20, runtime, durationMs: 60_000 })
      await s.desire('v1')
      await s.until('released here', (here) => here.phase === 'Healthy' && here.stable?.name === 'v1')
      await settled(s)
      expect(weightOf(storage.get(refs.virtualServices, key), 'v1')).toBe(0)
      expect(await s.git('log', '--format=%(trailers)', 'main')).not.toContain('another')
      expect(subjects(await s.commits()).filter((subject) => subject === 'my-app: promote v1')).toHaveLength(1)
    } finally {
      await other.stop()
    }
  })

  test('a Rollout that is deleted at 50 % leaves stable weights in the cluster and in Git', async () => {
    await using s = await stage.scene('deleted', {
      git: { apply: 'None' },
      asleep: true,
      rollout: { steps: [{ weight: 50, hold: '10m' }, { weight: 100 }] },
    })
    const { storage } = stage.sandbox.api
    const namespace = 'deleted'
    for (const [ref, object] of [
      [refs.deployments, deploymentOf(namespace, { name: 'v1' })],
      [refs.deployments, deploymentOf(namespace, { name: 'v2' })],
      [refs.services, serviceOf(namespace)],
      [refs.destinationRules, destinationRuleOf(namespace, ['v1', 'v2'])],
      [refs.virtualServices, virtualServiceOf(namespace, { v1: 100, v2: 0 })],
      [
        refs.rollouts,
        rolloutOf(namespace, { source: 'config', steps: [{ weight: 50, hold: '10m' }, { weight: 100 }] }),
      ],
    ] as const)
      storage.create(ref, object)
    await s.until('Healthy', (status) => status.phase === 'Healthy')
    s.edit({ workload: { subsets: { desired: 'v2' } } })
    await s.until('at 50 %', (status) => status.step?.weight === 50)
    storage.remove(refs.rollouts, { namespace, name: 'my-app' })
    await s.until('gone', () => s.rollout() === undefined)
    expect(s.weights('v2')).toEqual([0, 50, 0])
    expect((await s.commits()).at(-1)).toMatch(/deleted/)
    expect(await s.git('log', '-1', '--format=%(trailers)', 'main')).toMatch(/Aborted/)
    expect(await s.file('clusters/test/virtualservice-my-app.yaml')).toMatch(/weight: 100[\s\S]*weight: 0/)
  })

  test('a RolloutSource that is deleted mid-flight stops forward moves only', async () => {
    await using s = await stage.scene('no-source', {
      git: {},
      rollout: { steps: [{ weight: 20, hold: '1s' }, { weight: 60, hold: '10m' }, { weight: 100 }] },
    })
    await s.desire('v2')
    await s.until('at 20 %', (status) => status.step?.weight === 20)
    stage.sandbox.api.storage.remove(refs.sources, { namespace: 'no-source', name: 'config' })
    await s.until('said', (status) => /RolloutSource \S*config/.test(status.message ?? ''))
    const weight = s.weight('v2')
    s.behave('v2', { 'error-rate': '1' })
    await s.until('rolled back', (status) => status.phase === 'RolledBack')
    expect(s.weight('v2')).toBe(0)
    expect(weight).toBeGreaterThan(0)
  })
})
