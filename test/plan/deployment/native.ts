import type { RevisionRecord } from '../../../src/api/status.ts'
import { deploymentRevision, templateContent } from '../../../src/plan/revision.ts'

/** A pod template: an image and one variable, and an annotation by which new pods of the same content are asked for. */
export interface Template {
  tag: string
  env: string
  restart: number
}

/** A ReplicaSet: its pods by the time at which they were born. */
export interface ReplicaSet {
  uid: string
  template: Template
  created: number
  pods: number[]
}

/** A Deployment, as far as Kubernetes' own controller looks at it. */
export interface Native {
  name: string
  uid: string
  generation: number
  resourceVersion: number
  template: Template
  paused: boolean
  replicas: number
  maxSurge: number
  maxUnavailable: number
  /** In the order in which they were created. */
  sets: ReplicaSet[]
  /** When a roll last got on. */
  progressed: number
}

/** Whether a pod is ready. */
export type Readiness = (d: Native, set: ReplicaSet, born: number) => boolean

/** Told when pods of a content appear that had none here. */
export type Birth = (d: Native, template: Template, why: 'roll' | 'scale') => void

/** How long a roll may stand still before Kubernetes says so. */
const PROGRESS_DEADLINE = 600_000

export function contentOf({ tag, env }: Template): string {
  return `${tag}/${env}`
}

const known = new Map<string, ReturnType<typeof templateContent>>()

/** The revision of a template, behind a workload of this name. */
export function revisionOfTemplate(
  t: Template,
  workload: RevisionRecord['workloads'][number] = { name: 'my-app', uid: 'none', generation: 0 },
): RevisionRecord {
  const image = `my-app:${t.tag}`
  const content =
    known.get(contentOf(t)) ??
    templateContent({ spec: { containers: [{ name: 'app', image, env: [{ name: 'CONTENT', value: t.env }] }] } })
  known.set(contentOf(t), content)
  return deploymentRevision('my-app', content, workload)
}

export function hashOf(t: Template): string {
  return revisionOfTemplate(t).hash
}

export function newDeployment(name: string, uid: string, template: Template, replicas: number): Native {
  return {
    name,
    uid,
    generation: 1,
    resourceVersion: 1,
    template: { ...template },
    paused: false,
    replicas,
    maxSurge: 1,
    maxUnavailable: 0,
    sets: [],
    progressed: 0,
  }
}

export function readyPods(d: Native, isReady: Readiness): number {
  return d.sets.reduce((sum, set) => sum + readyOf(d, set, isReady), 0)
}

export function readyOf(d: Native, set: ReplicaSet, isReady: Readiness): number {
  return set.pods.filter((born) => isReady(d, set, born)).length
}

export function podsOf(d: Native): number {
  return d.sets.reduce((sum, set) => sum + set.pods.length, 0)
}

/** Why the roll of the present template stands still, when it has for longer than it may. */
export function stuckRoll(d: Native, isReady: Readiness, now: number): string | undefined {
  if (d.paused || isComplete(d, isReady) || now - d.progressed < PROGRESS_DEADLINE) return undefined
  return `pods of Deployment ${d.name} do not become ready: CrashLoopBackOff`
}

/** All wanted pods are of the template's ReplicaSet and available, and there are no others. */
export function isComplete(d: Native, isReady: Readiness): boolean {
  const set = setOf(d, d.template)
  if (!set) return d.replicas === 0 && podsOf(d) === 0
  return podsOf(d) === set.pods.length && set.pods.length === d.replicas && readyOf(d, set, isReady) === d.replicas
}

/** One look of Kubernetes' Deployment controller, repeated until there is nothing more to do at this instant. */
export function sync(d: Native, isReady: Readiness, now: number, birth: Birth): void {
  for (let i = 0; i < 50; i++) {
    const before = d.sets.map((set) => set.pods.length).join()
    if (d.paused) scalePaused(d, isReady, now, birth)
    else roll(d, isReady, now, birth)
    if (d.sets.map((set) => set.pods.length).join() === before) return
    d.progressed = now
  }
}

/** A paused Deployment makes no ReplicaSet, and scales those that there are (notes: traps A and B among them). */
function scalePaused(d: Native, isReady: Readiness, now: number, birth: Birth): void {
  const active = d.sets.filter((set) => set.pods.length > 0)
  const current = setOf(d, d.template)
  const [only] = active
  if (active.length === 0) {
    const chosen = current ?? d.sets.at(-1)
    if (chosen && d.replicas > 0) size(d, chosen, d.replicas, isReady, now, birth, 'scale')
    return
  }
  if (active.length === 1 && only) {
    size(d, only, d.replicas, isReady, now, birth, 'scale')
    return
  }
  if (current && current.pods.length === d.replicas && readyOf(d, current, isReady) === d.replicas) {
    for (const set of active) if (set !== current) size(d, set, 0, isReady, now, birth, 'scale')
    return
  }
  const largest = active.reduce((a, b) => (b.pods.length > a.pods.length ? b : a))
  const allowed = d.replicas === 0 ? 0 : d.replicas + d.maxSurge
  if (d.replicas === 0) for (const set of active) size(d, set, 0, isReady, now, birth, 'scale')
  else size(d, largest, Math.max(0, largest.pods.length + allowed - podsOf(d)), isReady, now, birth, 'scale')
}

/** A rolling update: up by what surges, down by what is not missed. */
function roll(d: Native, isReady: Readiness, now: number, birth: Birth): void {
  let current = setOf(d, d.template)
  if (!current) {
    current = { uid: `${d.uid}-rs-${d.sets.length + 1}`, template: { ...d.template }, created: now, pods: [] }
    d.sets.push(current)
    d.progressed = now
  }
  const total = podsOf(d)
  const room = d.replicas + d.maxSurge - total
  if (current.pods.length > d.replicas) size(d, current, d.replicas, isReady, now, birth, 'roll')
  else if (room > 0 && d.replicas > 0)
    size(d, current, Math.min(d.replicas, current.pods.length + room), isReady, now, birth, 'roll')
  const old = d.sets.filter((set) => set !== current && set.pods.length > 0)
  for (const set of old) {
    const least = d.replicas - Math.min(d.maxUnavailable, d.replicas)
    const ready = readyOf(d, set, isReady)
    const dead = set.pods.length - ready
    const spare = Math.max(0, readyPods(d, isReady) - least)
    if (d.replicas === 0) size(d, set, 0, isReady, now, birth, 'roll')
    else if (dead + spare > 0) size(d, set, Math.max(0, ready - spare), isReady, now, birth, 'roll')
  }
}

function size(
  d: Native,
  set: ReplicaSet,
  wanted: number,
  isReady: Readiness,
  now: number,
  birth: Birth,
  why: 'roll' | 'scale',
): void {
  if (wanted > set.pods.length) {
    const had = d.sets.some((s) => s.pods.length > 0 && contentOf(s.template) === contentOf(set.template))
    if (!had) birth(d, set.template, why)
    while (set.pods.length < wanted) set.pods.push(now)
  }
  if (wanted < set.pods.length) {
    const sorted = [...set.pods].sort((a, b) => Number(isReady(d, set, b)) - Number(isReady(d, set, a)) || a - b)
    set.pods = sorted.slice(0, wanted)
  }
}

/** The ReplicaSet made of exactly this template, restart annotation included. */
export function setOf(d: Native, t: Template): ReplicaSet | undefined {
  return d.sets.find((set) => contentOf(set.template) === contentOf(t) && set.template.restart === t.restart)
}
