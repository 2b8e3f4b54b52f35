import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { RolloutStatus } from '../../src/api/status.ts'
import { createPodRegister } from '../../src/cli/demo/pods.ts'
import { parseWeights, type WrittenWeights } from '../../src/git/message.ts'
import { parseTrailers, trailer } from '../../src/git/trailers.ts'
import { fieldAt, listAt, textAt } from '../../src/kube/field.ts'
import type { KubeObject } from '../../src/kube/object.ts'
import { systemRuntime as runtime } from '../../src/runtime.ts'
import type { Storage } from '../../src/sandbox/apiserver/index.ts'
import { refs } from '../scenario/stage.ts'
import type { App } from './app.ts'
import type { Attempt } from './plot.ts'

/** One thing that an onlooker saw, in the order in which it happened. */
export type Seen =
  | {
      kind: 'route'
      at: number
      /** Percent per subset. */
      weights: Record<string, number>
      /** Who wrote it last, where a field manager says so. */
      by?: string
      /** Tip of the branch at that moment. */
      tip?: string
      object: KubeObject
    }
  | { kind: 'status'; at: number; status: RolloutStatus; tip?: string }
  | { kind: 'approval'; at: number; name: string; step: number; state: string; decisions: number }
  | { kind: 'request'; at: number; verb: string; id: string }
  /** A pod came into being, or began to go. */
  | { kind: 'pod'; at: number; name: string; workload: string; version: string; goes: boolean }
  | { kind: 'trouble'; at: number; what: string }

/** A commit of the branch, and what its trailers say. */
export interface CommitSeen {
  sha: string
  author: string
  subject: string
  rollout?: string
  op?: string
  weights?: WrittenWeights
  step?: string
  approvedBy?: string
}

/** Everything about one rollout that can be seen from outside, and how it should have ended. */
export interface Story {
  namespace: string
  app: Pick<App, 'first' | 'stable' | 'canary' | 'rest' | 'versionOf'>
  /** Weights of the steps. */
  steps: readonly number[]
  /** Steps that need an answer, by number. */
  gated: readonly number[]
  /** What was to be tried, and what may have become of it. */
  attempts: readonly Attempt[]
  /** Oldest first. */
  seen: Seen[]
  /** The branch at the end, oldest first. */
  commits: CommitSeen[]
  /** Subjects of the commits that people pushed. */
  foreign: string[]
  /** What the manifests say at the end. */
  git: { weights: Record<string, number>; desired: string }
  /** What is still there at the end, and should not be. */
  leftovers: string[]
}

/** Takes notes until it is stopped. */
export interface Notes {
  seen: Seen[]
  trouble(what: string): void
  request(verb: string, id: string): void
  stop(): void
}

/** Watches a namespace from before its Rollout exists; asks no controller. */
export function takeNotes(storage: Storage, namespace: string, remote: string): Notes {
  const seen: Seen[] = []
  const started = runtime.monotonic()
  const at = () => Math.round(runtime.monotonic() - started)
  let present = true
  const mine = (type: string, object: KubeObject) =>
    present && type !== 'DELETED' && object.metadata.namespace === namespace
  const stops = [
    storage.subscribe(refs.virtualServices, (type, object) => {
      if (!mine(type, object)) return
      const by = writerOf(object)
      const tip = tipOf(remote)
      seen.push({
        kind: 'route',
        at: at(),
        weights: weightsOf(object),
        object,
        ...(by ? { by } : {}),
        ...(tip ? { tip } : {}),
      })
    }),
    storage.subscribe(refs.rollouts, (type, object) => {
      const tip = tipOf(remote)
      if (mine(type, object))
        seen.push({ kind: 'status', at: at(), status: (object.status ?? {}) as RolloutStatus, ...(tip ? { tip } : {}) })
    }),
    storage.subscribe(refs.approvals, (type, object) => {
      if (!mine(type, object)) return
      seen.push({
        kind: 'approval',
        at: at(),
        name: object.metadata.name,
        step: Number(fieldAt(object, 'spec', 'step')),
        state: textAt(object, 'status', 'state') ?? 'Pending',
        decisions: listAt(object, 'spec', 'decisions').length,
      })
    }),
  ]
  const register = createPodRegister(storage, runtime, () => undefined, namespace)
  const going = new Set<string>()
  stops.push(
    register.stop,
    storage.subscribe(refs.pods, (type, object) => {
      const { name, deletionTimestamp } = object.metadata
      const goes = type === 'DELETED' || deletionTimestamp !== undefined
      if (!present || object.metadata.namespace !== namespace || (goes ? going.has(name) : type !== 'ADDED')) return
      if (goes) going.add(name)
      const { workload, version } = register.of(object)
      seen.push({ kind: 'pod', at: at(), name, workload, version, goes })
    }),
  )
  return {
    seen,
    trouble: (what) => void seen.push({ kind: 'trouble', at: at(), what }),
    request: (verb, id) => void seen.push({ kind: 'request', at: at(), verb, id }),
    stop() {
      present = false
      for (const stop of stops) stop()
    },
  }
}

/** Percent per subset in the first route. */
export function weightsOf(route: KubeObject): Record<string, number> {
  const entries = listAt(listAt(route, 'spec', 'http')[0], 'route')
  return Object.fromEntries(
    entries.map((entry): [string, number] => [
      textAt(entry, 'destination', 'subset') ?? '?',
      Number(fieldAt(entry, 'weight') ?? 0),
    ]),
  )
}

/** The manager whose entry is the newest. */
function writerOf(object: KubeObject): string | undefined {
  const entries = listAt(object, 'metadata', 'managedFields')
  const newest = entries.reduce<unknown>(
    (best, entry) => ((textAt(entry, 'time') ?? '') >= (textAt(best, 'time') ?? '') ? entry : best),
    undefined,
  )
  return textAt(newest, 'manager')
}

/** The branch's tip in a bare repository, read without running anything; undefined when there is none, or it is packed. */
function tipOf(remote: string): string | undefined {
  try {
    return readFileSync(join(remote, 'refs', 'heads', 'main'), 'utf8').trim()
  } catch {
    return undefined
  }
}

/** All commits of a branch, oldest first. */
export async function readCommits(remote: string): Promise<CommitSeen[]> {
  const { stdout } = await promisify(execFile)(
    'git',
    ['-C', remote, 'log', '--reverse', '--topo-order', '--format=%H%x00%an%x00%B%x01', 'main'],
    { maxBuffer: 64 * 1024 * 1024 },
  )
  return stdout
    .split('\u0001')
    .map((text) => text.replace(/^\n/, '').split('\0'))
    .filter((fields) => fields.length === 3)
    .map(([sha, author, message]): CommitSeen => {
      const trailers = parseTrailers(message ?? '')
      const text = (key: string) => trailer(trailers, key)
      const weights = parseWeights(text('Weights') ?? '')
      return {
        sha: sha ?? '',
        author: author ?? '',
        subject: (message ?? '').split('\n')[0] ?? '',
        ...(text('Rollout') ? { rollout: text('Rollout') } : {}),
        ...(text('Rollout-Op') ? { op: text('Rollout-Op') } : {}),
        ...(weights ? { weights } : {}),
        ...(text('Step') ? { step: text('Step') } : {}),
        ...(text('Approved-by') ? { approvedBy: text('Approved-by') } : {}),
      }
    })
}

/** A story as lines of text, for the person who has to find out. */
export function tell(story: Story): string {
  const shown = (entry: Seen): string => {
    switch (entry.kind) {
      case 'route':
        return `route    ${JSON.stringify(entry.weights)} by ${entry.by ?? '?'}, tip ${entry.tip?.slice(0, 8) ?? '?'}`
      case 'status': {
        const { phase, message, step, attempt, move, git, retreating } = entry.status
        const pending = git?.pending?.map(
          (p) => `${p.kind} ${p.op}${p.void ? ' void' : ''}${p.reason ? ` (${p.reason})` : ''}`,
        )
        return `status   ${phase} attempt ${attempt ?? 0} move ${move ?? 0} step ${step?.index ?? '-'}@${step?.weight ?? '-'}${
          step?.entering ? ` entering ${step.entering.index} ${step.entering.op}` : ''
        }${retreating ? ` retreating ${retreating.reason}` : ''}${pending?.length ? ` owes ${pending.join(', ')}` : ''}: ${message ?? ''}`
      }
      case 'approval':
        return `approval ${entry.name} step ${entry.step} ${entry.state}, ${entry.decisions} decisions`
      case 'request':
        return `request  ${entry.verb} ${entry.id}`
      case 'pod':
        return `pod      ${entry.name} of ${entry.workload}, ${entry.version}${entry.goes ? ', goes' : ''}`
      case 'trouble':
        return `trouble  ${entry.what}`
    }
  }
  return [
    `${story.namespace}: ${story.attempts.map(({ version, ends }) => `${version} to end ${ends.join(' or ')}`).join(', then ')}`,
    ...story.seen.map((entry) => `${String(entry.at).padStart(7)} ms  ${shown(entry)}`),
    'commits, oldest first:',
    ...story.commits.map((c) => `  ${c.sha.slice(0, 8)} ${c.author}: ${c.subject}${c.op ? ` [${c.op}]` : ''}`),
    `Git at the end: ${JSON.stringify(story.git)}`,
  ].join('\n')
}
