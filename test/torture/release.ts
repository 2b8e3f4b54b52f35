import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { listAt, textAt } from '../../src/kube/field.ts'
import type { KubeObject } from '../../src/kube/object.ts'
import { systemRuntime as runtime } from '../../src/runtime.ts'
import { refs, type Scene, type Stage } from '../scenario/stage.ts'
import { subsetsApp } from './app.ts'
import { deploymentApp } from './deployment-app.ts'
import type { Fleet } from './fleet.ts'
import { isTold, outcomesOf, servingOf, type Violation, violationsOf } from './invariants.ts'
import { type Kind, type People, plots } from './plot.ts'
import { SLACK_APPROVER } from './slack.ts'
import { readCommits, type Story, takeNotes, tell } from './story.ts'

/** A release in a namespace and a repository of its own. */
export interface Release {
  namespace: string
  scene: Scene
  trouble(what: string): void
  /** Makes the first version the desired one; people do the rest. */
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

/** Versions side by side, or one Deployment. */
export type Mode = 'subsets' | 'deployment'

const apps = { subsets: subsetsApp, deployment: deploymentApp }
const APPROVER = 'user:dana'

/** Sets up the scene, with v1 Healthy; the release has not begun. `random` decides when people do what they do. */
export async function prepareRelease(
  stage: Stage,
  fleet: Pick<Fleet, 'slack' | 'urls' | 'killAll'>,
  namespace: string,
  kind: Kind,
  { mode = 'subsets', random = Math.random }: { mode?: Mode; random?: () => number } = {},
): Promise<Release> {
  const { storage } = stage.sandbox.api
  const { steps, answers, attempts, people: act } = plots[kind]
  const app = apps[mode](plots[kind])
  const remote = join(stage.dir, `${namespace}.git`)
  const notes = takeNotes(storage, namespace, remote)
  const foreign: string[] = []
  const approval = { from: [APPROVER, SLACK_APPROVER], required: 1 }
  const rollout = {
    steps: steps.map((step, i) => (i + 1 === answers?.step ? { ...step, approval } : step)),
    // Far from what a busy machine does to requests of a version that is well, and enough to convict one that fails.
    analysis: { minRequests: 8, slis: [{ name: 'success-rate', successRate: { objective: 90 } }] },
  }
  const scene = await stage.scene(namespace, {
    rate: 40,
    git: { interval: '2s' },
    ...app.scene(namespace, rollout),
  })

  const over = new AbortController()
  const pause = (ms: number) => runtime.sleep(ms, over.signal)
  async function until(test: () => boolean): Promise<void> {
    while (!test()) await pause(20)
  }

  /** People share one clone: one after the other. */
  let turn: Promise<unknown> = Promise.resolve()
  function inTurn<T>(push: () => Promise<T>): Promise<T> {
    const mine = turn.then(push)
    turn = mine.catch(() => undefined)
    return mine
  }

  let requests = 0
  const people: People = {
    until: (test) => until(() => test(scene.status())),
    weight: (version) => scene.weight(app.canary(version)),
    async push(subject, edit) {
      const push = () =>
        scene.developer.commit(subject, (files) => {
          const edited = new Map(files)
          edit(app.edit(edited))
          return edited
        })
      // Whoever lost every race tries once more.
      while (!(await inTurn(push).then(...yesOrNo))) await pause(100)
      foreign.push(subject)
    },
    async request(verb, details = {}) {
      const id = `${namespace}-${++requests}`
      notes.request(verb, id)
      const annotations = {
        'sluice.dev/request': JSON.stringify({ id, verb, ...details }),
        'sluice.dev/requested-by': APPROVER,
      }
      const key = { namespace, name: 'my-app' }
      storage.patchMerge(refs.rollouts, key, { metadata: { annotations } }, { fieldManager: 'kubectl-annotate' })
      await until(() => scene.status().lastRequest?.id === id)
    },
    repair: (version) => app.repair(storage, namespace, version),
    hesitate: (ms) => pause(ms * random()),
  }

  const answering = new Set<string>()
  const unsubscribe = storage.subscribe(refs.approvals, (type, object) => {
    if (type === 'DELETED' || object.metadata.namespace !== namespace || answering.has(object.metadata.name)) return
    answering.add(object.metadata.name)
    answer(object).catch((error: unknown) => {
      if (!over.signal.aborted) notes.trouble(`nobody answers: ${error}`)
    })
  })

  /** Says yes once to every question, a moment after it was asked. */
  async function answer({ metadata: { name } }: KubeObject): Promise<void> {
    const key = { namespace, name }
    const open = () => {
      const live = storage.get(refs.approvals, key)
      const state = textAt(live, 'status', 'state') ?? 'Pending'
      return live && state === 'Pending' && listAt(live, 'spec', 'decisions').length === 0 ? live : undefined
    }
    if (answers?.how === 'WhileDead') fleet.killAll('somebody answered')
    else await pause(300)
    for (let asked = open(); asked; asked = open()) {
      if (answers?.how !== 'Slack') {
        const digest = textAt(asked, 'spec', 'digest')
        const at = new Date(runtime.now()).toISOString()
        const decision = { verdict: 'Approve', by: APPROVER, via: 'kubernetes', digest, at }
        storage.patchMerge(refs.approvals, key, { spec: { decisions: [decision] } }, { fieldManager: 'kubectl-sluice' })
        return
      }
      const urls = fleet.urls()
      const url = urls[Math.floor(random() * urls.length)]
      const heard = url !== undefined && (await fleet.slack.click(asked, url))
      notes.trouble(heard ? 'clicked in Slack' : 'a click in Slack that nobody took')
      await pause(heard ? 1_000 : 300)
    }
  }

  let acting: Promise<void> = Promise.resolve()

  return {
    namespace,
    scene,
    trouble: notes.trouble,
    async begin() {
      const [first] = attempts
      if (first) await people.push(`release ${first.version}`, (files) => files.desire(first.version))
      acting = (act?.(people) ?? acting).catch((error: unknown) => {
        if (!over.signal.aborted) notes.trouble(`people stopped: ${error}`)
      })
    },
    pushForeign: () =>
      inTurn(async () => {
        const n = foreign.length
        const subject = `a change of somebody else, ${n + 1}`
        await scene.developer.commit(subject, (files) => new Map(files).set(`note-${n}.yaml`, noteOf(n, namespace)))
        foreign.push(subject)
      }),
    isOver() {
      const status = scene.status()
      const { phase, git, step } = status
      const outcomes = outcomesOf(status)
      const serving = servingOf({ app, attempts }, outcomes)
      const rest = app.rest(serving)
      return (
        phase === 'Healthy' &&
        isTold({ attempts }, outcomes) &&
        git?.committed !== false &&
        (git?.pending ?? []).length === 0 &&
        step?.entering === undefined &&
        Object.entries(rest).every(([subset, weight]) => scene.weight(subset) === weight) &&
        app.leftovers(storage, namespace, serving).length === 0
      )
    },
    async judge() {
      const read = async (file: string): Promise<[string, string]> => {
        const { stdout } = await promisify(execFile)('git', ['-C', remote, 'show', `main:clusters/test/${file}`])
        return [file, stdout]
      }
      const files = await Promise.all(app.files.map(read))
      const story: Story = {
        namespace,
        app,
        steps: steps.map(({ weight }) => weight),
        gated: answers ? [answers.step] : [],
        attempts,
        seen: notes.seen.slice(),
        commits: await readCommits(remote),
        foreign,
        git: app.read(new Map(files)),
        leftovers: app.leftovers(storage, namespace, servingOf({ app, attempts }, outcomesOf(scene.status()))),
      }
      return { violations: violationsOf(story), story }
    },
    text: tell,
    async stop() {
      over.abort()
      await acting
      await turn
      unsubscribe()
      notes.stop()
      await scene.load?.stop()
      storage.remove(refs.sources, { namespace, name: 'config' })
      for (const { metadata } of storage.list(refs.deployments, { namespace }))
        storage.remove(refs.deployments, { namespace, name: metadata.name })
    },
  }
}

const yesOrNo = [() => true, () => false] as const

function noteOf(n: number, namespace: string): string {
  return `apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: note-${n}\n  namespace: ${namespace}\ndata:\n  note: "${n}"\n`
}
