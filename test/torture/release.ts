import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'
import { listAt, textAt } from '../../src/kube/field.ts'
import type { KubeObject } from '../../src/kube/object.ts'
import { systemRuntime as runtime } from '../../src/runtime.ts'
import { refs, type Scene, type Stage } from '../scenario/stage.ts'
import { type Violation, violationsOf } from './invariants.ts'
import { readCommits, type Story, takeNotes, tell, weightsOf } from './story.ts'

/**
 * A version that is well, one that answers nothing but errors, one that is well and needs an answer on the way, and one that
 * people take back while it has a little traffic.
 */
export type Kind = 'good' | 'bad' | 'gated' | 'reverted'

const ends = { good: 'Promoted', gated: 'Promoted', bad: 'RolledBack', reverted: 'Reverted' } as const

/** A release of v2 over v1 in a namespace and a repository of its own. */
export interface Release {
  namespace: string
  scene: Scene
  trouble(what: string): void
  /** Makes v2 the desired version; and v1 again, when it is to be taken back. */
  begin(): Promise<void>
  /** Somebody else pushes something that has nothing to do with it. */
  pushForeign(): Promise<void>
  /** Whether it stands where it has to stand at its end. */
  isOver(): boolean
  /** Holds what was seen to the invariants, once all is quiet. */
  judge(): Promise<{ violations: Violation[]; story: Story }>
  text(story: Story): string
  /** Ends everything that costs: requests, pods, looks at the repository. */
  stop(): Promise<void>
}

export const WEIGHTS = [10, 50, 100]
const GATED = 2
const APPROVER = 'user:dana'

/** Sets up the scene, with v1 Healthy; the release has not begun. */
export async function prepareRelease(stage: Stage, namespace: string, kind: Kind): Promise<Release> {
  const { storage } = stage.sandbox.api
  const remote = join(stage.dir, `${namespace}.git`)
  const notes = takeNotes(storage, namespace, remote)
  const foreign: string[] = []
  const approval = { from: [APPROVER], required: 1 }
  const scene = await stage.scene(namespace, {
    rate: 60,
    versions: [{ name: 'v1' }, { name: 'v2', behaviour: kind === 'bad' ? { ERROR_RATE: '1' } : {} }],
    rollout: {
      steps: WEIGHTS.map((weight, i) => ({
        weight,
        hold: kind === 'reverted' && i === 1 ? '10m' : '1s',
        ...(kind === 'gated' && i + 1 === GATED ? { approval } : {}),
      })),
      // Far from what a busy machine does to requests of a version that is well, and enough to convict one that fails.
      analysis: { minRequests: 12, slis: [{ name: 'success-rate', successRate: { objective: 90 } }] },
    },
    git: { interval: '2s' },
  })
  const unsubscribe = storage.subscribe(refs.approvals, (type, object) => {
    if (type !== 'DELETED' && object.metadata.namespace === namespace) void approve(object)
  })

  /** Says yes once to every question, a moment after it was asked. */
  async function approve(asked: KubeObject): Promise<void> {
    if (listAt(asked, 'spec', 'decisions').length > 0) return
    await runtime.sleep(300)
    const key = { namespace, name: asked.metadata.name }
    const live = storage.get(refs.approvals, key)
    if (!live || listAt(live, 'spec', 'decisions').length > 0) return
    const at = new Date(runtime.now()).toISOString()
    const decision = { verdict: 'Approve', by: APPROVER, via: 'kubernetes', digest: textAt(live, 'spec', 'digest'), at }
    storage.patchMerge(refs.approvals, key, { spec: { decisions: [decision] } }, { fieldManager: 'kubectl-sluice' })
  }

  const end = ends[kind]
  const promoted = end === 'Promoted'
  let takenBack: Promise<void> | undefined
  let stopped = false

  /** As soon as it has traffic, people think better of it. */
  async function takeBack(): Promise<void> {
    while (!stopped && scene.weight('v2') === 0) await runtime.sleep(20)
    let done = false
    while (!stopped && !done)
      done = await inTurn(() => scene.desire('v1')).then(
        () => true,
        () => false,
      )
  }

  /** People share one clone: one after the other. */
  let turn: Promise<unknown> = Promise.resolve()
  function inTurn<T>(push: () => Promise<T>): Promise<T> {
    const mine = turn.then(push)
    turn = mine.catch(() => undefined)
    return mine
  }

  return {
    namespace,
    scene,
    trouble: notes.trouble,
    async begin() {
      await scene.desire('v2')
      if (kind === 'reverted') takenBack = takeBack()
    },
    pushForeign: () =>
      inTurn(async () => {
        const subject = `a change of somebody else, ${foreign.length + 1}`
        await scene.developer.commit(subject, (files) =>
          new Map(files).set(`note-${foreign.length}.yaml`, noteOf(foreign.length, namespace)),
        )
        foreign.push(subject)
      }),
    isOver() {
      const { phase, lastOutcome, git, step } = scene.status()
      const weight = scene.weight('v2')
      return (
        phase === 'Healthy' &&
        lastOutcome?.result === end &&
        git?.committed !== false &&
        (git?.pending ?? []).length === 0 &&
        step?.entering === undefined &&
        weight === (promoted ? 100 : 0)
      )
    },
    async judge() {
      const read = async (file: string) => parseAllDocuments(await scene.file(`clusters/test/${file}`))[0]?.toJS()
      const story: Story = {
        namespace,
        stable: 'v1',
        canary: 'v2',
        steps: WEIGHTS,
        gated: kind === 'gated' ? [GATED] : [],
        end,
        seen: notes.seen.slice(),
        commits: await readCommits(remote),
        foreign,
        git: {
          weights: weightsOf(await read('virtualservice-my-app.yaml')),
          desired: textAt(await read('rollout-my-app.yaml'), 'spec', 'workload', 'subsets', 'desired') ?? '',
        },
      }
      return { violations: violationsOf(story), story }
    },
    text: tell,
    async stop() {
      stopped = true
      await takenBack
      unsubscribe()
      notes.stop()
      await scene.load?.stop()
      storage.remove(refs.sources, { namespace, name: 'config' })
      for (const { metadata } of storage.list(refs.deployments, { namespace }))
        storage.remove(refs.deployments, { namespace, name: metadata.name })
    },
  }
}

function noteOf(n: number, namespace: string): string {
  return `apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: note-${n}\n  namespace: ${namespace}\ndata:\n  note: "${n}"\n`
}
