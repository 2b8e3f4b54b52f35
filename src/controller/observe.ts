import type { AnalysisRequest } from '../analysis/analyst.ts'
import { type Parsed, parseRolloutSpec } from '../api/parse.ts'
import { type RolloutSpec, rolloutSpec } from '../api/rollout.ts'
import type { RolloutStatus } from '../api/status.ts'
import { observeApproval } from '../approval/object.ts'
import { readRequest } from '../approval/request.ts'
import type { Problem } from '../errors.ts'
import { fieldAt } from '../kube/field.ts'
import { type KubeObject, keyOf } from '../kube/object.ts'
import { resources } from '../kube/resources.ts'
import { destinationsOf } from '../plan/destinations.ts'
import type { AnalysisObservation, ApprovalObservation, Observation, TrafficObservation } from '../plan/observation.ts'
import type { Router } from '../traffic/router.ts'
import type { Context } from './context.ts'
import type { Rival } from './rivals.ts'

/** The finalizer that lets Sluice put traffic back before a Rollout is gone. */
export const FINALIZER = 'sluice.dev/rollout'

/** Reads everything about one Rollout from caches, and from the last look at the evidence, into plain data. Waits for nobody. */
export function observe(c: Context, rollout: KubeObject, status: RolloutStatus): Observation {
  const { metadata } = rollout
  const namespace = metadata.namespace ?? ''
  const parsed = parseRolloutSpec(rollout.spec)
  const spec = effectiveSpec(rollout, parsed, status)
  const base = {
    rollout: {
      uid: metadata.uid ?? '',
      namespace,
      name: metadata.name,
      generation: metadata.generation ?? 0,
      deleting: metadata.deletionTimestamp !== undefined,
      ...(metadata.deletionTimestamp ? { deletedAt: Date.parse(metadata.deletionTimestamp) } : {}),
      namespaceTerminating: isTerminating(c, namespace),
      hasFinalizer: metadata.finalizers?.includes(FINALIZER) ?? false,
    },
    spec: parsed,
    ...requestOf(rollout),
  }
  if (!spec) {
    const problem: Problem = parsed.ok ? { reason: 'Internal', message: 'no spec' } : parsed.problem
    return { ...base, workload: { ok: false, problem }, traffic: { shares: {} }, analysis: { slis: [] }, git: gitOff }
  }
  const rival = c.rivalOf(rollout, spec)
  const approval = approvalOf(c, namespace, status)
  const request = analysisRequest(rollout, spec, status)
  return {
    ...base,
    ...(rival ? { conflict: conflictWith(rival) } : {}),
    workload: c.workload.observe({
      namespace,
      rollout: metadata.name,
      workload: spec.workload,
      traffic: spec.traffic,
      recordedStable: status.stable,
      recordedCanary: status.canary,
      recordedPrevious: status.deployment?.promotion?.previous,
    }),
    traffic: observeTraffic(c.router, namespace, spec, status),
    analysis: request ? judged(c.feed.latest(keyOf(rollout), request, c.runtime.now()), status) : { slis: [] },
    git: c.git.observe(rollout, spec, status),
    ...(approval ? { approval } : {}),
  }
}

const gitOff: Observation['git'] = { mode: 'Off', commits: 'Outcomes', results: {}, known: true }

/** The declared spec; while that cannot work, the last valid one, but with the version that is desired now. */
export function effectiveSpec(
  rollout: KubeObject,
  parsed: Parsed<RolloutSpec>,
  status: RolloutStatus,
): RolloutSpec | undefined {
  if (parsed.ok) return parsed.value
  if (!status.lastValid) return undefined
  const last = rolloutSpec.safeParse(JSON.parse(status.lastValid))
  if (!last.success) return undefined
  const desired = fieldAt(rollout, 'spec', 'workload', 'subsets', 'desired')
  if (typeof desired !== 'string' || !last.data.workload.subsets) return last.data
  return { ...last.data, workload: { subsets: { ...last.data.workload.subsets, desired } } }
}

function conflictWith({ key, owns }: Rival): Problem {
  return { reason: 'Conflict', message: `the older Rollout ${key} owns the same ${owns}` }
}

/** What the routes say about the pair that is recorded and the pair that is desired; in Deployment mode they are one. */
export function observeTraffic(
  router: Pick<Router, 'observe'>,
  namespace: string,
  spec: RolloutSpec,
  status: RolloutStatus,
): TrafficObservation {
  const stable = status.stable?.name
  const desired = spec.workload.subsets?.desired
  const recordedPair =
    stable && status.canary ? destinationsOf(spec, { stable, canary: status.canary.name }) : undefined
  const desiredPair = stable ? destinationsOf(spec, { stable, canary: desired }) : undefined
  const asked = [recordedPair, desiredPair].filter((pair) => pair !== undefined)
  const seen = router.observe(spec.traffic, namespace, asked)
  if (seen.problem) {
    const failed = { ok: false as const, problem: seen.problem }
    return {
      shares: {},
      problem: seen.problem,
      ...(recordedPair ? { recorded: failed } : {}),
      ...(desiredPair ? { desired: failed } : {}),
    }
  }
  const [first, second] = seen.pairs
  return {
    shares: seen.shares,
    ...(recordedPair && first ? { recorded: first } : {}),
    ...(desiredPair ? { desired: recordedPair ? second : first } : {}),
  }
}

/** What is to be measured for the rollout in flight; undefined while nothing is. */
export function analysisRequest(
  rollout: KubeObject,
  spec: RolloutSpec,
  status: RolloutStatus,
): AnalysisRequest | undefined {
  const { stable, canary, step, startedAt, exposedAt, attempt } = status
  if (!stable || !canary || !step || !startedAt) return undefined
  return {
    key: keyOf(rollout),
    // What is counted before the first traffic is the end of an earlier attempt, or testers: it proves that Prometheus
    // answers, and nothing about this attempt.
    attempt: `${rollout.metadata.uid}/${attempt ?? 0}${exposedAt ? '' : '/before'}`,
    startedAt: Date.parse(exposedAt ?? startedAt),
    namespace: rollout.metadata.namespace ?? '',
    name: rollout.metadata.name,
    stable: { workloads: stable.workloads.map((w) => w.name), revision: stable.revision },
    canary: { workloads: canary.workloads.map((w) => w.name), revision: canary.revision },
    analysis: spec.analysis,
    stepSince: Date.parse(step.since),
    checkpoints: Object.fromEntries((status.analysis ?? []).map((sli) => [sli.name, sli.checkpoint])),
  }
}

/** Requests that were counted before the canary had traffic convict nobody. */
function judged(analysis: AnalysisObservation, status: RolloutStatus): AnalysisObservation {
  if (status.exposedAt) return analysis
  const slis = analysis.slis.map((sli) =>
    sli.kind !== 'query' && sli.verdict === 'Breach' ? { ...sli, verdict: 'Undecided' as const } : sli,
  )
  return { ...analysis, slis }
}

function approvalOf(c: Context, namespace: string, status: RolloutStatus): ApprovalObservation | undefined {
  const name = status.approval?.name
  const object = name === undefined ? undefined : c.reader.get(resources.approvals, { namespace, name })
  return object && observeApproval(object, c.runtime.now())
}

function requestOf(rollout: KubeObject): Pick<Observation, 'request' | 'unreadableRequest'> {
  const reading = readRequest(rollout.metadata.annotations)
  if (reading.kind === 'None') return {}
  if (reading.kind === 'Request') return { request: reading.request }
  const { id, verb, by, problem } = reading
  return { unreadableRequest: { id, verb, message: problem.message, ...(by === undefined ? {} : { by }) } }
}

function isTerminating(c: Context, namespace: string): boolean {
  return c.reader.get(resources.namespaces, { name: namespace })?.metadata.deletionTimestamp !== undefined
}
