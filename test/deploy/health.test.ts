import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { type Phase, phases, type RolloutStatus } from '../../src/api/status.ts'
import { nextStatus, type SourceOutcome } from '../../src/git/source-status.ts'
import { celEnvironment, compile, toCel } from '../../src/sandbox/apiserver/cel.ts'
import { startSandbox } from '../../src/sandbox/sandbox.ts'
import { histories, play } from '../plan/history.ts'
import { rolloutOf } from '../scenario/manifests.ts'
import { refs } from '../scenario/stage.ts'
import { flux, isReadyForKubectl, kstatus } from './kstatus.ts'
import { type Manifest, top } from './kustomize.ts'
import { isThere, output } from './program.ts'

const exprs = parse(readFileSync(`${top}deploy/flux/kustomization-patch.yaml`, 'utf8')).spec.healthCheckExprs
const scripts = parse(readFileSync(`${top}deploy/argocd/argocd-cm.yaml`, 'utf8')).data
// Argo CD runs Lua 5.1.
const candidates = ['lua5.1', 'luajit', 'lua5.4', 'lua5.3', 'lua']
const found = await Promise.all(candidates.map(async (name) => ((await isThere(name, '-v')) ? name : undefined)))
const lua = found.find((name) => name !== undefined)

/** What conditions.ts can say, by phase; a Healthy Rollout can also say that what serves is untested. */
type Truth = 'Ready' | 'Reconciling' | 'Stalled'
const combinations: { phase: Phase; truth: Truth }[] = [
  { phase: 'Healthy', truth: 'Ready' },
  { phase: 'Healthy', truth: 'Stalled' },
  ...phases
    .filter((phase) => phase !== 'Healthy')
    .map((phase) => ({
      phase,
      truth: phase === 'RolledBack' || phase === 'Invalid' ? ('Stalled' as const) : ('Reconciling' as const),
    })),
]

function conditions(truth: Truth, observedGeneration: number) {
  return (['Ready', 'Reconciling', 'Stalled'] as const).map((type) => ({
    type,
    status: type === truth ? 'True' : 'False',
    reason: 'Some',
    message: 'some',
    lastTransitionTime: '2026-01-01T00:00:00Z',
    observedGeneration,
  }))
}

function rollout(status: object | undefined, metadata: object = {}): Manifest {
  return {
    apiVersion: 'sluice.dev/v1alpha1',
    kind: 'Rollout',
    metadata: { name: 'my-app', generation: 3, ...metadata },
    spec: {},
    ...(status ? { status } : {}),
  }
}

const observed = combinations.map(({ phase, truth }) => ({
  phase,
  truth,
  object: rollout({ phase, message: 'some', observedGeneration: 3, conditions: conditions(truth, 3) }),
}))
const outdated = combinations.map(({ phase, truth }) => ({
  phase,
  truth,
  object: rollout({ phase, message: 'some', observedGeneration: 2, conditions: conditions(truth, 2) }),
}))

const environment = celEnvironment(['metadata', 'spec', 'status'])
const programs = new Map<string, ReturnType<typeof compile>>()

/** Flux's answer; what the object does not have is no variable, and asking for it fails. */
function fluxOf(object: Manifest): string {
  const rule = exprs.find((each: Manifest) => each.kind === object.kind && each.apiVersion === object.apiVersion)
  const evaluate = (expression: string) => {
    const program = programs.get(expression) ?? compile(environment, expression)
    programs.set(expression, program)
    const { metadata, spec, status } = toCel(object) as Manifest
    return program({ metadata, spec, ...(status === undefined ? {} : { status }) })
  }
  return flux(object, evaluate, rule)
}

describe('conditions', () => {
  test('of a plan: exactly one is true, all are about the generation that was looked at, and they agree with the phase', () => {
    const met = new Set<string>()
    let statuses = 0
    fc.assert(
      fc.property(histories(9), (history) => {
        play(history, undefined, (status: RolloutStatus) => {
          if (status.phase === undefined) return
          statuses++
          const all = status.conditions ?? []
          const truths = all.filter((c) => c.status === 'True').map((c) => c.type)
          expect(all.map((c) => c.type).sort()).toEqual(['Ready', 'Reconciling', 'Stalled'])
          expect(all.map((c) => c.observedGeneration)).toEqual(Array(3).fill(status.observedGeneration))
          expect(truths).toHaveLength(1)
          met.add(`${status.phase} ${truths[0]}`)
        })
      }),
      { numRuns: 150 },
    )
    expect(statuses).toBeGreaterThan(500)
    const known = combinations.map(({ phase, truth }) => `${phase} ${truth}`)
    expect([...met].filter((each) => !known.includes(each))).toEqual([])
  })

  test.each(observed)('$phase ($truth) is for kstatus, kubectl wait and Flux the same', ({ truth, object }) => {
    const expected = { Ready: 'Current', Reconciling: 'InProgress', Stalled: 'Failed' }[truth]
    expect(kstatus(object)).toBe(expected)
    expect(isReadyForKubectl(object)).toBe(truth === 'Ready')
    expect(fluxOf(object)).toBe(expected)
  })

  test.each(outdated)('$phase ($truth) of an older generation is in progress, until it was looked at', ({ object }) => {
    expect(kstatus(object)).toBe('InProgress')
    expect(isReadyForKubectl(object)).toBe(false)
    expect(fluxOf(object)).toBe('InProgress')
  })

  test('a Rollout that nobody has looked at is not ready for kubectl nor current for Flux', () => {
    for (const object of [rollout(undefined), rollout({}), rollout({ message: 'could not be written' })]) {
      expect(isReadyForKubectl(object)).toBe(false)
      expect(fluxOf(object)).not.toBe('Current')
    }
  })
})

const hasKubectl = await isThere('kubectl', 'version', '--client')
test.skipIf(!hasKubectl)('the real kubectl waits for Ready as is said here', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'sluice-wait-'))
  const sandbox = await startSandbox({ dir })
  try {
    const { storage } = sandbox.api
    const key = { namespace: 'default', name: 'my-app' }
    storage.create(refs.rollouts, rolloutOf('default', { suspend: false }))
    const show = (truth: Truth) => {
      const live = storage.get(refs.rollouts, key)!
      const generation = live.metadata.generation ?? 0
      const status = { phase: 'Healthy', observedGeneration: generation, conditions: conditions(truth, generation) }
      storage.updateStatus(refs.rollouts, { ...live, status })
      return storage.get(refs.rollouts, key)!
    }
    const waits = () =>
      output('kubectl', ['wait', '--for=condition=Ready', 'rollout/my-app', '--timeout=0'], {
        env: { ...process.env, KUBECONFIG: sandbox.kubeconfig },
      }).then(
        () => true,
        () => false,
      )
    expect(await waits()).toBe(false)
    for (const truth of ['Stalled', 'Reconciling', 'Ready'] as const) {
      expect(isReadyForKubectl(show(truth))).toBe(truth === 'Ready')
      expect(await waits()).toBe(truth === 'Ready')
    }
    storage.patchMerge(refs.rollouts, key, { spec: { suspend: true } })
    expect(isReadyForKubectl(storage.get(refs.rollouts, key))).toBe(false)
    expect(await waits()).toBe(false)
  } finally {
    await sandbox.stop()
    await rm(dir, { recursive: true, force: true })
  }
})

const outcomes: [string, SourceOutcome, object, string, string][] = [
  ['in step', { kind: 'synced', tip: 'abc', branch: 'main' }, {}, 'Current', 'Healthy'],
  ['suspended', { kind: 'suspended' }, { suspend: true }, 'Current', 'Suspended'],
  [
    'without its remote',
    { kind: 'problem', problem: { reason: 'GitUnreachable', message: 'down' }, transient: true },
    {},
    'InProgress',
    'Progressing',
  ],
  [
    'that cannot work',
    { kind: 'problem', problem: { reason: 'InvalidSpec', message: 'wrong' }, transient: false },
    {},
    'Failed',
    'Degraded',
  ],
]

function source(outcome: SourceOutcome, spec: object, generation = 3): Manifest {
  const status = nextStatus({ before: {}, generation, outcome, now: '2026-01-01T00:00:00Z' })
  return {
    apiVersion: 'sluice.dev/v1alpha1',
    kind: 'RolloutSource',
    metadata: { name: 'config', generation: 3 },
    spec,
    status: JSON.parse(JSON.stringify(status)),
  }
}

test.each(outcomes)('a RolloutSource %s', (_, outcome, spec, expected) => {
  expect(fluxOf(source(outcome, spec))).toBe(expected)
  expect(fluxOf(source(outcome, spec, 2))).toBe('InProgress')
  // A suspended one is for kstatus in progress for ever, which the expression for Flux puts right.
  if (outcome.kind !== 'suspended') expect(kstatus(source(outcome, spec))).toBe(expected)
})

describe('a Deployment, for Flux', () => {
  const deployment = (given: {
    labels?: object
    paused?: boolean
    status?: object
    generation?: number
  }): Manifest => ({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { generation: given.generation ?? 4, ...(given.labels ? { labels: given.labels } : {}) },
    spec: { replicas: 3, ...(given.paused === undefined ? {} : { paused: given.paused }) },
    status: { observedGeneration: 4, replicas: 3, readyReplicas: 3, availableReplicas: 3, ...given.status },
  })
  const labels = { 'sluice.dev/rollout': 'my-app' }
  const exceeded = { conditions: [{ type: 'Progressing', status: 'False', reason: 'ProgressDeadlineExceeded' }] }

  test.each<[string, Manifest, string]>([
    ['that is latched with a new template is current', deployment({ labels, paused: true }), 'Current'],
    [
      'that is latched after its deadline had passed is current',
      deployment({ labels, paused: true, status: exceeded }),
      'Current',
    ],
    [
      'that is latched and does not serve in full is in progress',
      deployment({ labels, paused: true, status: { availableReplicas: 2 } }),
      'InProgress',
    ],
    [
      'that is latched, and not yet seen by its controller, is in progress',
      deployment({ labels, paused: true, generation: 5 }),
      'InProgress',
    ],
    ['that somebody else paused is in progress', deployment({ paused: true }), 'InProgress'],
    ['that rolls is in progress', deployment({ labels, status: { updatedReplicas: 1 } }), 'InProgress'],
    [
      'that still has old pods is in progress',
      deployment({ labels, status: { replicas: 4, updatedReplicas: 3 } }),
      'InProgress',
    ],
    ['that has rolled is current', deployment({ labels, status: { updatedReplicas: 3 } }), 'Current'],
    ['without any labels that has rolled is current', deployment({ status: { updatedReplicas: 3 } }), 'Current'],
    ['that cannot roll has failed', deployment({ labels, paused: false, status: exceeded }), 'Failed'],
    [
      'that serves with none is current',
      { ...deployment({ status: { replicas: 0, readyReplicas: 0, availableReplicas: 0 } }), spec: { replicas: 0 } },
      'Current',
    ],
  ])('%s', (_, object, expected) => {
    expect(fluxOf(object)).toBe(expected)
  })
})

describe.skipIf(!lua)(lua ? `with ${lua}` : 'with Lua (skipped: none is on the PATH)', () => {
  test('the health that Argo CD shows of a Rollout', async () => {
    const expected = (phase: Phase, truth: Truth) =>
      truth === 'Stalled'
        ? 'Degraded'
        : truth === 'Ready'
          ? 'Healthy'
          : phase === 'Paused' || phase === 'AwaitingApproval'
            ? 'Suspended'
            : 'Progressing'
    const wanted = new Map<Manifest, string>([
      ...observed.map(({ phase, truth, object }): [Manifest, string] => [object, expected(phase, truth)]),
      ...outdated.map(({ object }): [Manifest, string] => [object, 'Progressing']),
      [rollout(undefined), 'Progressing'],
      [rollout({}), 'Progressing'],
      [rollout({ observedGeneration: 3 }), 'Progressing'],
      [rollout(observed[0]!.object.status, { deletionTimestamp: '2026-01-01T00:00:00Z' }), 'Progressing'],
    ])
    expect(await healthOf('Rollout', [...wanted.keys()])).toEqual([...wanted.values()])
  })

  test('a Rollout that is current for Flux is Healthy for Argo CD, a failed one Degraded, and the other way round', async () => {
    const all = [...observed, ...outdated].map(({ object }) => object)
    const same: Record<string, string> = { Healthy: 'Current', Degraded: 'Failed' }
    const shown = await healthOf('Rollout', all)
    expect(shown.map((health) => same[health] ?? 'InProgress')).toEqual(all.map(kstatus))
  })

  test('the health that Argo CD shows of a RolloutSource', async () => {
    const objects = outcomes.map(([, outcome, spec]) => source(outcome, spec))
    expect(await healthOf('RolloutSource', objects)).toEqual(outcomes.map(([, , , , health]) => health))
    expect(await healthOf('RolloutSource', [source(outcomes[0]![1], {}, 2)])).toEqual(['Progressing'])
  })

  test('the health that Argo CD shows of an Approval', async () => {
    const states = [undefined, 'Pending', 'Approved', 'Rejected', 'Expired', 'Void', 'Consumed']
    const objects = states.map((state) => ({
      metadata: {},
      spec: {},
      status: state === undefined ? undefined : { state },
    }))
    expect(await healthOf('Approval', objects)).toEqual([
      'Progressing',
      'Suspended',
      ...states.slice(2).map(() => 'Healthy'),
    ])
  })

  /** Runs a script as Argo CD does: the object is the global obj, and of the libraries only the basic one and table are there. */
  async function healthOf(kind: string, objects: Manifest[]): Promise<string[]> {
    const script: string = scripts[`resource.customizations.health.sluice.dev_${kind}`]
    const program = [
      'local write = io.write',
      'string, io, os, math, debug, coroutine = nil, nil, nil, nil, nil, nil',
      `local function health(obj) _G.obj = obj\n${script}\nend`,
      ...objects.map((object) => `write(health(${luaOf(object)}).status, "\\n")`),
    ].join('\n')
    return (await output(lua!, ['-'], { input: program })).trim().split('\n')
  }
})

/** JSON as a Lua table. */
function luaOf(value: unknown): string {
  if (value === null || value === undefined) return 'nil'
  if (typeof value !== 'object') return JSON.stringify(value)
  if (Array.isArray(value)) return `{${value.map(luaOf).join(', ')}}`
  return `{${Object.entries(value)
    .map(([name, field]) => `[${JSON.stringify(name)}] = ${luaOf(field)}`)
    .join(', ')}}`
}
