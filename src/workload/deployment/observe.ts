import type { RevisionRecord } from '../../api/status.ts'
import type { Problem } from '../../errors.ts'
import { fieldAt } from '../../kube/field.ts'
import type { KubeObject } from '../../kube/object.ts'
import { resources } from '../../kube/resources.ts'
import type {
  CanaryObservation,
  DeploymentObservation,
  RevisionObservation,
  WorkloadObservation,
} from '../../plan/observation.ts'
import { asCarried, deploymentRevision, sameRevision, type TemplateContent } from '../../plan/revision.ts'
import { replicasOf } from '../readiness.ts'
import type { Workload, WorkloadQuery } from '../workload.ts'
import { autoscalerOf, observeAutoscaler } from './autoscaler.ts'
import { findCanary, isCanaryOf, observeCanary } from './canary.ts'
import { checkDeployment, deploymentMissing } from './checks.ts'
import type { ConfigObjects } from './config.ts'
import { trackedContents } from './configured.ts'
import { createContents } from './content.ts'
import { type FamilyReader, familyOf } from './family.ts'
import type { Latch } from './latch.ts'
import { canaryName, labelValue, names } from './names.ts'
import { destinationLabels, findPair } from './pair.ts'
import { isSettled, whyStuck } from './roll.ts'
import { type Running, runningContents, stableOf } from './running.ts'

/** What this process has found out about the admission policy that latches, by the uid of the Deployment it was tried on. */
export type LatchMemory = Pick<Latch, 'of'>

/** One Deployment whose template changes, and the canary Deployment that Sluice makes of it. */
export function createDeploymentWorkload(
  reader: FamilyReader,
  latch: LatchMemory,
  configs: ConfigObjects = { look: () => ({ state: 'Unread' }) },
): Workload {
  const contentOf = createContents()
  return { observe: (query) => observeDeployment(query, { reader, latch, configs, contentOf }) }
}

interface Sources {
  reader: FamilyReader
  latch: LatchMemory
  configs: ConfigObjects
  contentOf: (object: KubeObject) => TemplateContent
}

/**
 * What the user's Deployment runs and what its template says, and what the canary Deployment runs. Reads caches of Deployments,
 * ReplicaSets, Pods, HorizontalPodAutoscalers, DestinationRules, VirtualServices and Services only.
 */
function observeDeployment(query: WorkloadQuery, sources: Sources): WorkloadObservation {
  const { namespace, recordedStable, recordedCanary } = query
  const { reader, contentOf } = sources
  const name = query.workload.deployment?.name ?? ''
  const blind = reader.refusal?.(resources.replicaSets)
  // Without ReplicaSets nobody knows what serves: better no answer than a wrong one.
  if (blind !== undefined) return { ok: false, problem: { reason: 'Forbidden', message: blind } }
  const found = findPair(reader, namespace, query)
  const labels = found.ok ? destinationLabels(found.pair, 'canary') : undefined
  const canaryObject = findCanary(reader, { namespace, name })
  const canary =
    canaryObject && isCanaryOf(canaryObject, name)
      ? observeCanary(reader, canaryObject, (copy) => asCarried(contentOf(copy)), labels)
      : undefined
  const tried = recordedCanary && canary && triedIn(recordedCanary, canary)
  const deployment = reader.get(resources.deployments, { namespace, name })
  if (!deployment) {
    const problem = deploymentMissing(namespace, name, undefined)
    const desired = recordedCanary?.name ?? recordedStable?.name
    return {
      ok: false,
      problem,
      ...(desired === undefined ? {} : { seen: { desired, ...(tried && { canary: tried }) } }),
    }
  }
  const tracked = trackedContents(query, deployment, sources)
  const native = tracked?.native ?? contentOf
  const wanted = tracked?.desired ?? contentOf(deployment)
  const members = familyOf(reader, deployment, native)
  const running = runningContents(members)
  const autoscaler = autoscalerOf(reader, deployment)
  const stable = stableOf(deployment, native(deployment), running, recordedStable)
  const template = desiredOf(deployment, wanted)
  const rolled = isSettled(deployment, native(deployment), members)
  const desired = { ...template, ...countsOf(template, stable, canary) }
  const seen: DeploymentObservation = {
    ...facts(deployment, query.rollout),
    ready: members.reduce((sum, member) => sum + member.ready, 0),
    running: running.map((content) => ({
      revision: revisionIn(deployment, content).revision,
      hash: content.content.hash,
      ...optional('template', content.content.template),
      pods: content.pods,
      ready: content.ready,
    })),
    settled: rolled && native(deployment).hash === wanted.hash,
    ...optional('stuck', whyStuck(deployment, native(deployment), members)),
    latch: sources.latch.of(deployment.metadata.uid ?? ''),
    ...optional('canary', canary && withoutRolling(canary)),
    ...optional('autoscaler', autoscaler && observeAutoscaler(autoscaler)),
    ...optional('configuration', tracked?.observed({ rolled, members, stable })),
  }
  const behind = { ...optional('stable', stable), ...optional('canary', tried) }
  const refused = reader.refusal?.(resources.horizontalPodAutoscalers)
  const problem: Problem | undefined =
    problemOf(deployment, found, { canary: canaryObject, autoscaler }) ??
    (refused === undefined ? undefined : { reason: 'Forbidden', message: refused }) ??
    tracked?.problem
  if (problem) {
    const known = [recordedCanary, recordedStable].find((record) => record && sameRevision(record, desired))
    // A name with other content behind it is another version: only the revision tells.
    const name = known?.name ?? desired.revision
    return { ok: false, problem, seen: { desired: name, template, ...behind }, deployment: seen }
  }
  const all = running.map((content) => ({
    ...revisionIn(deployment, content),
    replicas: content.wanted,
    ready: content.ready,
  }))
  return { ok: true, desired, ...behind, all, deployment: seen }
}

function problemOf(
  deployment: KubeObject,
  found: ReturnType<typeof findPair>,
  others: Parameters<typeof checkDeployment>[2],
): Problem | undefined {
  const { namespace = '', name, deletionTimestamp } = deployment.metadata
  if (deletionTimestamp !== undefined) return deploymentMissing(namespace, name, deployment)
  return found.ok ? checkDeployment(deployment, found.pair, others) : found.problem
}

function facts(deployment: KubeObject, rollout: string) {
  const { name, uid = '', resourceVersion = '', labels = {}, annotations = {} } = deployment.metadata
  return {
    name,
    uid,
    resourceVersion,
    replicas: replicasOf(deployment),
    paused: fieldAt(deployment, 'spec', 'paused') === true,
    labelled: labels[names.rollout] === labelValue(rollout),
    breakGlass: (annotations[names.breakGlass] ?? '') !== '',
  }
}

/** The content of the template, as what the canary's pods would be: the name is what the mesh calls their workload. */
function desiredOf(deployment: KubeObject, content: TemplateContent): RevisionRecord {
  const { name, uid = '', generation = 0 } = deployment.metadata
  return deploymentRevision(name, content, { name: canaryName(name), uid, generation })
}

function revisionIn(deployment: KubeObject, { content, uid }: Running): RevisionRecord {
  const { name } = deployment.metadata
  return deploymentRevision(name, content, { name, uid, generation: 0 })
}

/** Pods behind the content of the template: those of the Deployment while it runs that, or the canary's when made of it. */
function countsOf(
  template: RevisionRecord,
  stable: RevisionObservation | undefined,
  canary: (CanaryObservation & { rolling?: string }) | undefined,
): { replicas: number; ready: number; notReady?: string } {
  if (stable && sameRevision(stable, template)) {
    return { replicas: stable.replicas, ready: stable.ready, ...optional('notReady', stable.notReady) }
  }
  if (canary?.revision !== template.revision) return { replicas: 0, ready: 0 }
  return { replicas: canary.replicas, ready: canary.ready, ...optional('notReady', canary.notReady) }
}

/** The recorded canary, while the canary Deployment carries it. */
function triedIn(
  record: RevisionRecord,
  canary: CanaryObservation & { rolling?: string },
): RevisionObservation | undefined {
  if (canary.revision !== record.revision) return undefined
  const { replicas, ready, notReady, rolling } = canary
  return { ...record, replicas, ready, ...optional('notReady', notReady), ...optional('rolling', rolling) }
}

function withoutRolling({ rolling: _, ...canary }: CanaryObservation & { rolling?: string }): CanaryObservation {
  return canary
}

/** The field, when there is something to say. */
function optional<K extends string, T>(key: K, value: T | undefined): { [P in K]?: T } {
  const field: { [P in K]?: T } = {}
  if (value !== undefined) field[key] = value
  return field
}
