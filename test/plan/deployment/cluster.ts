import { contentOf, type Native, newDeployment, type ReplicaSet, sync, type Template } from './native.ts'

/** How long a pod takes to become ready, and to go. */
export const STARTUP = 8_000
const GOING = 4_000

/** The canary Deployment as Sluice made it. */
export interface Copy {
  deployment: Native
  /** The annotations. */
  revision: string
  asked: number
  /** The template as it was applied. */
  applied: Template
  /** Until when its pods are still there, once it was deleted. */
  until?: number
}

/** The autoscaler of the user's Deployment; `own` is the minimum it had before Sluice raised it. */
export interface Autoscaler {
  min: number
  max: number
  demand: number
  own?: number
}

/** Everything in the cluster that belongs to one Deployment: plain data, so that a moment of it can be kept. */
export interface Cluster {
  now: number
  deployment: Native | undefined
  labelled: boolean
  breakGlass: boolean
  /** The admission policy that latches is installed. */
  policy: boolean
  canary: Copy | undefined
  autoscaler: Autoscaler | undefined
  latch: { state: 'Unknown' } | { state: 'Proven'; at: number } | { state: 'Missing'; at: number; message: string }
  /** Contents whose pods never become ready; in one Deployment only when named `<deployment>:<content>`. */
  neverReady: string[]
  /** Deployments whose pods are not ready for now. */
  down: string[]
  /** The labels do not fit the subsets. */
  misfit: boolean
  /** Contents that got pods of the user's Deployment by another way than through Sluice. */
  excused: Record<string, string>
  /** Deployments that there have been. */
  created: number
}

/** What happens when pods of a content appear in the user's Deployment that had none there. */
export type OnBirth = (content: string, excuse: string | undefined) => void

export function newCluster(now: number, template: Template, replicas: number): Cluster {
  const cluster: Cluster = {
    now,
    deployment: undefined,
    labelled: false,
    breakGlass: false,
    policy: true,
    canary: undefined,
    autoscaler: undefined,
    latch: { state: 'Unknown' },
    neverReady: [],
    down: [],
    misfit: false,
    excused: {},
    created: 0,
  }
  create(cluster, template, replicas)
  return cluster
}

/** The Deployment is created afresh: nothing latches that. */
export function create(c: Cluster, template: Template, replicas: number): void {
  c.deployment = newDeployment('my-app', `uid-${++c.created}`, template, replicas)
  c.labelled = false
  c.breakGlass = false
  c.latch = { state: 'Unknown' }
  c.excused[contentOf(template)] = 'created afresh'
}

export function isReady(c: Cluster): (d: Native, set: ReplicaSet, born: number) => boolean {
  return (d, { template }, born) => {
    const content = contentOf(template)
    const never = c.neverReady.includes(content) || c.neverReady.includes(`${d.name}:${content}`)
    return !never && !c.down.includes(d.name) && c.now - born >= STARTUP
  }
}

/** Kubernetes' controllers look at everything, now. */
export function tick(c: Cluster, onBirth: OnBirth): void {
  const ready = isReady(c)
  const { deployment: d, canary, autoscaler } = c
  if (d && autoscaler && d.replicas > 0) {
    const wanted = Math.min(autoscaler.max, Math.max(autoscaler.min, autoscaler.demand))
    if (wanted !== d.replicas) {
      d.replicas = wanted
      changed(d)
    }
  }
  if (d) {
    sync(d, ready, c.now, (_, template, why) => {
      const content = contentOf(template)
      // Traps A and B: with no pod left, a paused Deployment scales a ReplicaSet that may never have been tried.
      if (why === 'scale' && d.paused) c.excused[content] ??= 'scaled up from zero while latched'
      onBirth(content, c.excused[content])
    })
  }
  if (canary && canary.until === undefined) sync(canary.deployment, ready, c.now, () => undefined)
  if (canary?.until !== undefined && canary.until <= c.now) c.canary = undefined
}

/** Time passes in the cluster, pod by pod. */
export function live(c: Cluster, ms: number, onBirth: OnBirth, each: () => void): void {
  const end = c.now + ms
  for (let i = 0; c.now < end; i++) {
    c.now = i < 24 ? Math.min(end, c.now + 4_000) : end
    each()
    tick(c, onBirth)
  }
}

/** Somebody writes the user's Deployment; the admission policy has its say. `replace`: all of the object, without `paused`. */
export function write(c: Cluster, by: string, change: (d: Native) => void, replace = false): void {
  const d = c.deployment
  if (!d) return
  const before = { ...d.template }
  const { paused } = d
  const watched = c.labelled
  if (replace) d.paused = false
  change(d)
  const latches = c.policy && watched && by !== 'sluice' && !c.breakGlass
  const moved = JSON.stringify(before) !== JSON.stringify(d.template)
  if (latches && (moved || (paused && !d.paused))) d.paused = true
  const content = contentOf(d.template)
  if (by !== 'sluice' && !d.paused && (paused || moved))
    c.excused[content] = `${by} rolled it${c.breakGlass ? ' with broken glass' : c.policy ? '' : ' without a policy'}`
  changed(d)
}

function changed(d: Native): void {
  d.generation++
  d.resourceVersion++
}

/** Sluice makes the canary Deployment run the present template; one that is there takes it in place. */
export function applyCanary(c: Cluster, revision: string, replicas: number): void {
  const d = c.deployment
  if (!d || (c.canary && c.canary.until !== undefined)) return
  const name = `${d.name}-canary`
  const applied = { ...d.template, restart: 0 }
  const made = c.canary?.deployment ?? newDeployment(name, `${d.uid}-canary`, applied, replicas)
  const asked = c.canary?.revision === revision ? Math.max(replicas, c.canary.asked) : replicas
  made.template = applied
  made.replicas = asked
  c.canary = { deployment: made, revision, asked, applied }
}

export function deleteCanary(c: Cluster): void {
  if (c.canary && c.canary.until === undefined) c.canary.until = c.now + GOING
}

/** The autoscaler keeps at least so many, or gets its own minimum back. */
export function setFloor(c: Cluster, replicas: number | undefined): void {
  const hpa = c.autoscaler
  if (!hpa) return
  if (replicas === undefined) {
    if (hpa.own === undefined) return
    hpa.min = hpa.own
    delete hpa.own
  } else if (hpa.min < Math.min(replicas, hpa.max)) {
    hpa.own ??= hpa.min
    hpa.min = Math.min(replicas, hpa.max)
  }
}
