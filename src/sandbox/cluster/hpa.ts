import { isDeepStrictEqual } from 'node:util'
import { keyOf } from '../../kube/object.ts'
import type { Runtime } from '../../runtime.ts'
import type { Storage } from '../apiserver/storage.ts'
import { behaviourOf } from './kubelet/behaviour.ts'
import { createLoop, type Loop } from './loop.ts'
import {
  DEPLOYMENTS,
  type Deployment,
  HPAS,
  type Hpa,
  isPodReady,
  PODS,
  type Pod,
  selects,
  timestampOf,
  view,
} from './objects.ts'
import { splitKey } from './ownership.ts'

/** The share by which usage may differ from its target before anything is scaled; Kubernetes' default. */
const TOLERANCE = 0.1

/**
 * A HorizontalPodAutoscaler on average resource utilization of a Deployment: the wanted replicas are the ratio of usage to target times
 * every ready pod that the Deployment's selector matches (whoever owns it), within minReplicas and maxReplicas. What a pod uses is its
 * SANDBOX_CPU_UTILIZATION. Without stabilization windows or scaling policies. An HPA of a Deployment with 0 replicas is off. Pods that the
 * targets of several HPAs select make those ambiguous: they keep to their bounds, and scale by nothing.
 */
export function startHpaController(storage: Storage, runtime: Runtime, intervalMs: number): Loop {
  const loop = createLoop(runtime, sync)
  const unsubscribe = storage.subscribe(HPAS, (_, object) => loop.add(keyOf(object)))

  function sync(key: string): number | undefined {
    const stored = storage.get(HPAS, splitKey(key))
    if (!stored || stored.metadata.deletionTimestamp) return undefined
    const hpa = view<Hpa>(stored)
    const namespace = hpa.metadata.namespace
    const { kind, name } = hpa.spec.scaleTargetRef
    const target = kind === 'Deployment' ? storage.get(DEPLOYMENTS, { namespace, name }) : undefined
    if (!target) {
      save(hpa, undefined, { status: 'False', reason: 'FailedGetScale', message: `there is no ${kind} named ${name}` })
      return intervalMs
    }
    const deployment = view<Deployment>(target)
    const current = deployment.spec.replicas ?? 1
    if (current === 0) {
      const message = 'scaling is disabled since the replica count of the target is zero'
      save(hpa, { current, desired: 0 }, { status: 'True', reason: 'SucceededGetScale', message })
      return intervalMs
    }
    const rivals = rivalsOf(deployment, hpa)
    const usage = rivals.length > 0 ? undefined : usageOf(deployment, hpa)
    const least = hpa.spec.minReplicas ?? 1
    const proposed = usage ? proposal(usage, current) : current
    const desired = Math.min(hpa.spec.maxReplicas, Math.max(least, proposed))
    if (desired !== current) {
      storage.patchMerge(DEPLOYMENTS, { namespace, name }, { spec: { replicas: desired } })
    }
    const message = "the HPA controller was able to get the target's current scale"
    save(hpa, { current, desired, usage, rivals }, { status: 'True', reason: 'SucceededGetScale', message })
    return intervalMs
  }

  /** The HPAs, this one included, whose targets select pods that this one's target selects; none when they are all its own. */
  function rivalsOf(deployment: Deployment, hpa: Hpa): string[] {
    const { namespace } = hpa.metadata
    const mine = storage
      .list(PODS, { namespace })
      .filter(({ metadata }) => selects(deployment.spec.selector, metadata.labels))
    const others = storage
      .list(HPAS, { namespace })
      .map((object) => view<Hpa>(object))
      .filter(({ metadata, spec }) => {
        if (metadata.name === hpa.metadata.name || spec.scaleTargetRef.kind !== 'Deployment') return false
        const target = storage.get(DEPLOYMENTS, { namespace, name: spec.scaleTargetRef.name })
        const selector = target && view<Deployment>(target).spec.selector
        return mine.some((pod) => selects(selector, pod.metadata.labels))
      })
    return others.length === 0 ? [] : [hpa, ...others].map(({ metadata }) => `${namespace}/${metadata.name}`).sort()
  }

  function usageOf(deployment: Deployment, hpa: Hpa) {
    const metric = hpa.spec.metrics?.find(({ type, resource }) => type === 'Resource' && resource)
    const goal = metric?.resource?.target.averageUtilization
    if (!metric?.resource || !goal) return undefined
    const used = storage
      .list(PODS, { namespace: deployment.metadata.namespace })
      .map((object) => view<Pod>(object))
      .filter((pod) => selects(deployment.spec.selector, pod.metadata.labels))
      .filter((pod) => isPodReady(pod) && !pod.metadata.deletionTimestamp)
      .map((pod) => behaviourOf(pod).cpuUtilization)
      .filter((percent) => percent !== undefined)
    if (used.length === 0) return undefined
    const average = used.reduce((sum, percent) => sum + percent, 0) / used.length
    return { name: metric.resource.name, average, ratio: average / goal, pods: used.length }
  }

  function save(
    hpa: Hpa,
    scale:
      | { current: number; desired: number; usage?: ReturnType<typeof usageOf>; rivals?: readonly string[] }
      | undefined,
    able: Omit<HpaCondition, 'type'>,
  ): void {
    const before = (hpa.status.conditions ?? []) as HpaCondition[]
    const conditions = [{ type: 'AbleToScale', ...able }, ...activity(scale)].map((condition) => {
      const known = before.find(({ type, status }) => type === condition.type && status === condition.status)
      return { ...condition, lastTransitionTime: known?.lastTransitionTime ?? timestampOf(runtime.now()) }
    })
    const status = {
      ...hpa.status,
      observedGeneration: hpa.metadata.generation,
      currentReplicas: scale?.current ?? 0,
      desiredReplicas: scale?.desired ?? 0,
      ...(scale?.usage ? { currentMetrics: [metricStatus(scale.usage)] } : {}),
      conditions,
    }
    if (!isDeepStrictEqual(withoutUndefined(status), hpa.status)) storage.updateStatus(HPAS, { ...hpa, status })
  }

  return {
    ...loop,
    stop() {
      unsubscribe()
      loop.stop()
    },
  }
}

interface HpaCondition {
  type: string
  status: string
  reason: string
  message: string
  lastTransitionTime?: string
}

/** Whether metrics decide: with pods that several HPAs claim, or with nothing measured, they do not. */
function activity(
  scale: { current: number; usage?: { name: string } | undefined; rivals?: readonly string[] } | undefined,
): HpaCondition[] {
  const type = 'ScalingActive'
  if (!scale) return []
  if (scale.rivals && scale.rivals.length > 0) {
    const message = `pods by selector are controlled by multiple HPAs: [${scale.rivals.join(' ')}]`
    return [{ type, status: 'False', reason: 'AmbiguousSelector', message }]
  }
  if (scale.current === 0) {
    const message = 'scaling is disabled since the replica count of the target is zero'
    return [{ type, status: 'False', reason: 'ScalingDisabled', message }]
  }
  if (!scale.usage) return []
  const message = `the HPA was able to successfully calculate a replica count from ${scale.usage.name} resource utilization (percentage of request)`
  return [{ type, status: 'True', reason: 'ValidMetricFound', message }]
}

function proposal(usage: { ratio: number; pods: number }, current: number): number {
  if (Math.abs(usage.ratio - 1) <= TOLERANCE) return current
  return Math.ceil(usage.ratio * usage.pods)
}

function metricStatus({ name, average }: { name: string; average: number }) {
  const averageUtilization = Math.round(average)
  return { type: 'Resource', resource: { name, current: { averageUtilization, averageValue: '0' } } }
}

function withoutUndefined(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
}
