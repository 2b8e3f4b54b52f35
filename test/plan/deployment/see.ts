import type { RolloutStatus } from '../../../src/api/status.ts'
import type {
  DeploymentObservation,
  RevisionObservation,
  RunningContent,
  WorkloadObservation,
} from '../../../src/plan/observation.ts'
import { sameRevision } from '../../../src/plan/revision.ts'
import { type Cluster, isReady } from './cluster.ts'
import {
  contentOf,
  hashOf,
  isComplete,
  type Native,
  podsOf,
  readyOf,
  readyPods,
  revisionOfTemplate,
  stuckRoll,
} from './native.ts'

/** What `observe` would say of this cluster, for what is recorded: the rules of identity, from outside. */
export function seeWorkload(c: Cluster, status: RolloutStatus): WorkloadObservation {
  const d = c.deployment
  const canary = canaryOf(c, status)
  if (!d) {
    const recorded = status.canary?.name ?? status.stable?.name
    return {
      ok: false,
      problem: { reason: 'WorkloadMissing', message: 'Deployment shop/my-app does not exist' },
      ...(recorded ? { seen: { desired: recorded, ...(canary ? { canary } : {}) } } : {}),
    }
  }
  const stable = stableOf(c, d, status)
  const desired = { ...desiredOf(c, d), ...(stable?.hash === hashOf(d.template) ? countsOf(stable) : {}) }
  const deployment = deploymentOf(c, d)
  if (c.misfit) {
    const known = [status.canary, status.stable].find((r) => r && sameRevision(r, desired))
    return {
      ok: false,
      problem: { reason: 'SubsetsOverlap', message: 'the canary pods would match the stable subset' },
      seen: {
        desired: known?.name ?? desired.revision,
        template: desired,
        ...(stable ? { stable } : {}),
        ...(canary ? { canary } : {}),
      },
      deployment,
    }
  }
  const all = runningIn(c, d).map((r) => revisionOfSet(d, r.hash, r.pods, r.ready))
  return { ok: true, desired, ...(stable ? { stable } : {}), ...(canary ? { canary } : {}), all, deployment }
}

function countsOf({ replicas, ready }: RevisionObservation): { replicas: number; ready: number } {
  return { replicas, ready }
}

export function desiredOf(c: Cluster, d: Native): RevisionObservation {
  const made = revisionOfTemplate(d.template, { name: 'my-app-canary', uid: d.uid, generation: d.generation })
  const copy = c.canary?.revision === made.revision ? c.canary.deployment : undefined
  return { ...made, replicas: copy?.replicas ?? 0, ready: copy ? readyPods(copy, isReady(c)) : 0 }
}

/** The contents that have pods, the one with most first. */
export function runningIn(c: Cluster, d: Native): RunningContent[] {
  const found = new Map<string, RunningContent>()
  for (const set of d.sets) {
    if (set.pods.length === 0) continue
    const { revision, hash } = revisionOfTemplate(set.template)
    const sum = found.get(hash) ?? { revision, hash, pods: 0, ready: 0 }
    sum.pods += set.pods.length
    sum.ready += readyOf(d, set, isReady(c))
    found.set(hash, sum)
  }
  return [...found.values()].sort((a, b) => b.pods - a.pods)
}

function revisionOfSet(d: Native, hash: string, replicas: number, ready: number): RevisionObservation {
  const sets = d.sets.filter((s) => hashOf(s.template) === hash)
  const set = sets.find((s) => s.pods.length > 0) ?? sets.at(-1)
  const template = set?.template ?? d.template
  return {
    ...revisionOfTemplate(template, { name: d.name, uid: set?.uid ?? 'none', generation: 0 }),
    replicas,
    ready,
  }
}

/** The recorded content while that has pods, else the only one with pods; with none at all, what is recorded, or the template's. */
function stableOf(c: Cluster, d: Native, { stable }: RolloutStatus): RevisionObservation | undefined {
  const running = runningIn(c, d)
  const ready = readyPods(d, isReady(c))
  if (running.length === 0)
    return stable ? { ...stable, replicas: 0, ready: 0 } : revisionOfSet(d, hashOf(d.template), 0, 0)
  const known = running.find((r) => r.hash === stable?.hash)
  const chosen = known ?? (running.length === 1 ? running[0] : undefined)
  if (!chosen) return undefined
  const seen = revisionOfSet(d, chosen.hash, d.replicas, ready)
  return running.length > 1 ? { ...seen, rolling: 'Deployment my-app runs 2 versions' } : seen
}

function canaryOf(c: Cluster, { canary }: RolloutStatus): RevisionObservation | undefined {
  const copy = c.canary
  if (!copy || !canary || copy.revision !== canary.revision) return undefined
  const ready = copy.until === undefined ? readyPods(copy.deployment, isReady(c)) : 0
  const { replicas } = copy.deployment
  return { ...canary, replicas, ready, ...(ready < replicas ? { notReady: 'pod my-app-canary-1 is starting' } : {}) }
}

function deploymentOf(c: Cluster, d: Native): DeploymentObservation {
  const running = runningIn(c, d)
  const ready = readyPods(d, isReady(c))
  const stuck = stuckRoll(d, isReady(c), c.now)
  const { canary: copy, autoscaler: hpa } = c
  return {
    name: d.name,
    uid: d.uid,
    resourceVersion: String(d.resourceVersion),
    replicas: d.replicas,
    ready,
    paused: d.paused,
    labelled: c.labelled,
    breakGlass: c.breakGlass,
    running,
    settled: isComplete(d, isReady(c)),
    ...(stuck ? { stuck } : {}),
    latch: { ...c.latch },
    ...(copy
      ? {
          canary: {
            name: copy.deployment.name,
            revision: copy.revision,
            asked: copy.asked,
            replicas: copy.deployment.replicas,
            ready: copy.until === undefined ? readyPods(copy.deployment, isReady(c)) : 0,
            pods: podsOf(copy.deployment),
            intact: contentOf(copy.deployment.template) === contentOf(copy.applied),
            deleting: copy.until !== undefined,
          },
        }
      : {}),
    ...(hpa ? { autoscaler: { name: 'my-app', min: hpa.min, floored: hpa.own !== undefined } } : {}),
  }
}
