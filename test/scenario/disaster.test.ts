import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { run } from '../../src/cli/program.ts'
import type { Terminal } from '../../src/cli/terminal.ts'
import type { Controller } from '../../src/controller/manager.ts'
import { textAt } from '../../src/kube/field.ts'
import { systemRuntime as runtime } from '../../src/runtime.ts'
import { type DeploymentScene, deploymentScenes } from './deployment-stage.ts'
import { openStage, refs, type Scene, type SceneOptions, type Stage } from './stage.ts'

const quick = [
  { weight: 20, hold: '1s' },
  { weight: 100, hold: '1s' },
]
const ADMIN = 'kubernetes-admin'
const asks = { approval: { from: [`user:${ADMIN}`] } }
const stateFile = (namespace: string) => `clusters/test/.sluice/${namespace}/my-app.yaml`

const subsets: Record<string, SceneOptions> = {
  well: { rollout: { steps: quick } },
  bad: { versions: [{ name: 'v1' }, { name: 'v2', behaviour: { ERROR_RATE: '1' } }], rollout: { steps: quick } },
  flight: {
    rollout: {
      steps: [
        { weight: 50, hold: '1s' },
        { weight: 100, hold: '1s', ...asks },
      ],
    },
  },
  garbage: { rollout: { steps: quick } },
}
const long = { steps: [{ weight: 10, hold: '10m' }, { weight: 100 }] }

/** The cluster that is lost. */
let before: Stage
/** The one that is built from the repositories, empty but for what a cluster needs. */
let after: Stage
const lost: Record<string, Scene> = {}
const lostDeployments: Record<string, DeploymentScene> = {}
const built: Record<string, Scene> = {}
const builtDeployments: Record<string, DeploymentScene> = {}
let refusing: Controller

const committed = (s: Scene) =>
  s.until('all in Git', (status) => status.git?.committed !== false && (status.git?.pending ?? []).length === 0)

/** Changes the state file behind the controller's back. */
async function damage(s: Scene, edit: (text: string) => string): Promise<void> {
  const file = `.sluice/${s.namespace}/my-app.yaml`
  const text = await s.file(stateFile(s.namespace))
  await s.developer.commit('a slip of the hand', () => new Map([[file, edit(text)]]))
}

/** A command line of a person. */
async function sluice(argv: readonly string[]): Promise<{ code: number; out: string; err: string }> {
  const said = { out: '', err: '' }
  const terminal: Terminal = {
    out: (text) => {
      said.out += text
    },
    err: (text) => {
      said.err += text
    },
    interactive: false,
    columns: undefined,
    rows: 24,
    colours: false,
    env: { PATH: process.env.PATH },
    runtime,
    untilStopped: () => new Promise(() => {}),
  }
  return { code: await run(argv, terminal), ...said }
}

const lives: Record<string, (s: Scene) => Promise<void>> = {
  async well(s) {
    await s.desire('v2')
    await s.until('promoted', (status) => status.lastOutcome?.result === 'Promoted' && status.phase === 'Healthy')
    await committed(s)
  },
  async bad(s) {
    await s.desire('v2')
    await s.until('back', (status) => status.lastOutcome?.result === 'RolledBack' && status.phase === 'Healthy')
    await committed(s)
    // A person puts it back.
    await s.desire('v2')
    await s.until('kept out', (status) => status.phase === 'RolledBack')
  },
  async flight(s) {
    await s.desire('v2')
    await s.until('asking', (status) => status.phase === 'AwaitingApproval')
    await committed(s)
  },
}
lives.garbage = lives.well!

beforeAll(async () => {
  before = await openStage()
  const controller = await before.controller()
  await controller.synced
  const scene = deploymentScenes(before)
  const deployments: Record<string, (s: DeploymentScene) => Promise<unknown>> = {
    async 'd-bad'(s) {
      await s.release({ tag: 'v2', behaviour: { ERROR_RATE: '1' } })
      await s.rest('RolledBack', 'v1')
      await s.until('all in Git', (status) => (status.git?.pending ?? []).length === 0)
      await s.release({ tag: 'v2', behaviour: { ERROR_RATE: '1' } })
      await s.until('kept out', (status) => status.phase === 'RolledBack')
    },
    async 'd-flight'(s) {
      await s.release({ tag: 'v2' })
      await s.until('at 10 %', (status) => status.step?.weight === 10)
      await s.until('all in Git', (status) => (status.git?.pending ?? []).length === 0)
    },
  }
  await Promise.all([
    ...Object.entries(subsets).map(async ([name, options]) => {
      const s = await before.scene(name, { git: {}, rate: 20, ...options })
      lost[name] = s
      await lives[name]?.(s)
      await s.load?.stop()
    }),
    ...Object.entries(deployments).map(async ([name, live]) => {
      const s = await scene(name, { git: true, rollout: name === 'd-flight' ? long : { steps: quick } })
      lostDeployments[name] = s
      await live(s)
      await s.load?.stop()
    }),
  ])

  // Another cluster begins at the same repositories while the first is alive.
  after = await openStage()
  refusing = await after.controller()
  await refusing.synced
  const sceneAfter = deploymentScenes(after)
  await Promise.all([
    ...Object.entries(lost).map(async ([name, from]) => {
      built[name] = await after.scene(name, {
        ...subsets[name],
        git: {},
        from,
        asleep: true,
        rate: name === 'flight' ? 40 : 0,
      })
    }),
    ...Object.entries(lostDeployments).map(async ([name, from]) => {
      const s = await sceneAfter(name, { git: true, from, asleep: true, rate: name === 'd-bad' ? 12 : 0 })
      builtDeployments[name] = s
      for (const tag of ['v1', 'v2']) s.allow(tag)
    }),
  ])
}, 240_000)

afterAll(async () => {
  await after?.stop()
  await before?.stop()
}, 180_000)

const tips = async () =>
  Object.fromEntries(
    await Promise.all(Object.values(lost).map(async (s) => [s.namespace, await s.git('rev-parse', 'main')] as const)),
  )

describe('a second cluster at the path of one that lives', { timeout: 240_000 }, () => {
  test('refuses, naming both, guesses nothing and writes nothing', async () => {
    const then = await tips()
    const names = new Set<string>()
    for (const s of Object.values(built)) {
      await s.until('refused', (status) => status.message?.includes('belongs to the cluster') === true)
      expect(s.status()).toMatchObject({ phase: 'Pending' })
      expect(s.status().stable).toBeUndefined()
      expect(s.status().conditions).toContainEqual(
        expect.objectContaining({ type: 'Ready', status: 'False', reason: 'GitOtherCluster' }),
      )
      for (const match of s.status().message?.matchAll(/[0-9a-f]{8}-[0-9a-f-]{27}/g) ?? []) names.add(match[0])
    }
    const uidIn = (stage: Stage) =>
      stage.sandbox.api.storage.get(refs.namespaces, { name: 'kube-system' })?.metadata.uid ?? ''
    expect([...names].sort()).toEqual([uidIn(before), uidIn(after)].sort())
    await runtime.sleep(2_500)
    expect(await tips()).toEqual(then)
    for (const s of Object.values(built)) expect(s.statuses().every((status) => !status.canary)).toBe(true)
  })
})

describe('an empty cluster is rebuilt from the repository', { timeout: 240_000 }, () => {
  let controller: Controller
  beforeAll(async () => {
    await before.sandbox.stop()
    await damage(lost.garbage!, () => ': no\n\t- yaml at all {')
    await refusing.stop()
    controller = await after.controller({ takeOver: true })
    await controller.synced
  }, 180_000)

  test.concurrent('what was Healthy is Healthy, stable is what the state file says, and nothing is tested again', async () => {
    const s = built.well!
    await s.until('Healthy', (status) => status.phase === 'Healthy')
    await s.stays('Healthy', (status) => status.phase === 'Healthy', 2_500)
    expect(s.status()).toMatchObject({ stable: { name: 'v2' } })
    expect(s.status().stable?.tested).not.toBe(false)
    expect(s.status().canary).toBeUndefined()
    expect(s.statuses().some((status) => status.startedAt !== undefined)).toBe(false)
    expect(s.weights('v2')).toEqual([100])
  })

  test.concurrent('what was rolled back gets no traffic, and that it is known to be bad is said', async () => {
    const s = built.bad!
    await s.until('kept out', (status) => status.phase === 'RolledBack')
    expect(s.status()).toMatchObject({ stable: { name: 'v1' }, knownBad: [{ name: 'v2' }] })
    expect(s.status().message).toContain('was rolled back before')
    await s.stays('kept out', (status) => status.phase === 'RolledBack', 2_500)
    expect(s.weights('v2')).toEqual([0])
  })

  test.concurrent('a rollout in flight goes on from the weight that Git has, through gates and evidence again', async () => {
    const s = built.flight!
    await s.until('asking again', (status) => status.phase === 'AwaitingApproval')
    expect(s.status()).toMatchObject({ stable: { name: 'v1' }, canary: { name: 'v2' }, step: { index: 1, weight: 50 } })
    expect(s.weights('v2')).toEqual([50])
    const asked = after.sandbox.api.storage.list(refs.approvals, { namespace: 'flight' })
    expect(asked.map((each) => textAt(each, 'status', 'state') ?? 'Pending')).toEqual(['Pending'])
    const { kubeconfig } = after.sandbox
    expect(await sluice(['approve', 'flight/my-app', '--kubeconfig', kubeconfig])).toMatchObject({ code: 0, err: '' })
    await s.until('promoted', (status) => status.lastOutcome?.result === 'Promoted')
    await committed(s)
    expect(s.weights('v2')).toEqual([50, 100])
    expect(await s.git('log', '--format=%s', 'main')).toMatch(/promote v2[\s\S]*50% → 100%[\s\S]*0% → 50%/)
  })

  test.concurrent('a state file that is garbage is named; nothing is guessed and it is not overwritten', async () => {
    const s = built.garbage!
    await s.until('said', (status) => status.message?.includes('.sluice/garbage/my-app.yaml') === true)
    expect(s.status().stable).toBeUndefined()
    const tip = await s.git('rev-parse', 'main')
    await s.stays('waiting', (status) => status.phase === 'Pending' && !status.stable, 2_000)
    expect(await s.git('rev-parse', 'main')).toBe(tip)
    expect(s.weights('v2')).toEqual([100])
    // Put right by a person, it is taken at once.
    const good = await s.git('show', `main~1:${stateFile('garbage')}`)
    await s.developer.commit('put right', () => new Map([['.sluice/garbage/my-app.yaml', good]]))
    await s.until('Healthy', (status) => status.phase === 'Healthy' && status.stable?.name === 'v2')
  })

  test.concurrent('a Deployment whose bad template is still in Git is served, and that is said', async () => {
    const s = builtDeployments['d-bad']!
    await s.until('said', (status) =>
      (status.conditions ?? []).some(({ type, status: is, reason }) => {
        return type === 'Ready' && is === 'False' && reason === 'UntestedServing'
      }),
    )
    expect(s.status()).toMatchObject({ stable: { name: 'v2' }, knownBad: [{ name: 'v2' }] })
    expect(s.status().message).toContain('known to be bad')
    expect(s.weights()).toEqual([0])
    expect(s.pods('checkout').every((pod) => pod.version === 'v2')).toBe(true)
    // The way out: another version in Git, which goes through the gates.
    await s.release({ tag: 'v3' })
    await s.until('v3 is tried', (status) => status.lastOutcome?.result === 'Promoted' && status.phase === 'Healthy')
    expect(s.status().stable?.name).toBe('v3')
  })

  test.concurrent('a Deployment whose rollout was in flight runs the new template untested, which is said, and nothing goes to the canary that is gone', async () => {
    const s = builtDeployments['d-flight']!
    await s.until('said', (status) =>
      (status.conditions ?? []).some(({ type, status: is, reason }) => {
        return type === 'Ready' && is === 'False' && reason === 'UntestedServing'
      }),
    )
    expect(s.status()).toMatchObject({ stable: { name: 'v2', tested: false } })
    expect(s.status().message).toMatch(/not tested.*v1/)
    // Nothing is behind the canary's subset any more, and Git does not go on saying otherwise.
    await s.until('at 0 %', () => s.weight() === 0)
    await s.until('in Git', async () => (await s.file('virtualservice-checkout.yaml')).includes('weight: 100'))
  })

  test.concurrent('taking over is done once: the state files name the new cluster, and it starts without the flag', async () => {
    const s = built.well!
    const uid = after.sandbox.api.storage.get(refs.namespaces, { name: 'kube-system' })?.metadata.uid
    await s.until('taken over', async () => (await s.file(stateFile('well'))).includes(`cluster: ${uid}`))
    expect((await s.commits()).filter((subject) => /taken over/.test(subject))).toHaveLength(1)
  })

  test('the branch tells one unbroken story through both clusters, but where a person wrote into it', async () => {
    for (const [name, { remote }] of [...Object.entries(lost), ...Object.entries(lostDeployments)]) {
      const said = await sluice(['history', '--repo', remote?.dir ?? '', '--verify', '-o', 'json'])
      const { verified } = JSON.parse(said.out)
      const kinds = verified.breaks.map(({ kind }: { kind: string }) => kind)
      if (name === 'garbage') expect(kinds, said.out).toContain('State')
      else expect(verified.breaks, said.out).toEqual([])
    }
  })
})
