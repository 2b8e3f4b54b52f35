import { at, mapAt, type Traced, type TracedMap } from '../traced.ts'
import type { Kind } from './build.ts'
import { isBuiltIn, podTemplateOf } from './kinds.ts'

/** Selectors in a pod's spec that are about the pods of the same kind, as kustomize's own defaults have them. */
const podSelectors = [
  'affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution.labelSelector.matchLabels',
  'affinity.podAffinity.preferredDuringSchedulingIgnoredDuringExecution.podAffinityTerm.labelSelector.matchLabels',
  'affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution.labelSelector.matchLabels',
  'affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution.podAffinityTerm.labelSelector.matchLabels',
  'topologySpreadConstraints.labelSelector.matchLabels',
].map((path) => `spec.template.spec.${path}`)

/** Selectors by kind: `always` is made where it is missing. */
const selectors: Record<string, { always?: string; ifThere?: string[] }> = {
  Service: { always: 'spec.selector' },
  ReplicationController: { always: 'spec.selector' },
  Deployment: { always: 'spec.selector.matchLabels', ifThere: podSelectors },
  StatefulSet: { always: 'spec.selector.matchLabels', ifThere: podSelectors },
  ReplicaSet: { always: 'spec.selector.matchLabels' },
  DaemonSet: { always: 'spec.selector.matchLabels' },
  Job: { ifThere: ['spec.selector.matchLabels'] },
  CronJob: { ifThere: ['spec.jobTemplate.spec.selector.matchLabels'] },
  PodDisruptionBudget: { ifThere: ['spec.selector.matchLabels'] },
  NetworkPolicy: {
    ifThere: ['', 'ingress.from.', 'egress.to.'].map((peer) => `spec.${peer}podSelector.matchLabels`),
  },
}

export interface LabelReach {
  templates: boolean
  selectors: boolean
}

/** Sets labels on an object, and on its templates and selectors as far as they reach; of custom resources on the metadata alone. */
export function setLabels(object: TracedMap, pairs: TracedMap, kind: Kind, reach: LabelReach): void {
  set(object, ['metadata', 'labels'], pairs)
  if (reach.templates || reach.selectors) {
    for (const { holder, path } of templates(object, kind)) set(holder, [...path, 'labels'], pairs)
  }
  if (!reach.selectors || !isBuiltIn(kind)) return
  const { always, ifThere = [] } = selectors[kind.kind] ?? {}
  if (always !== undefined) set(object, always.split('.'), pairs)
  for (const path of ifThere) for (const map of reached(object, path.split('.'))) assign(map, pairs)
}

export function setAnnotations(object: TracedMap, pairs: TracedMap, kind: Kind): void {
  set(object, ['metadata', 'annotations'], pairs)
  for (const { holder, path, isClaim } of templates(object, kind))
    if (!isClaim) set(holder, [...path, 'annotations'], pairs)
}

/** The metadata of what a kind makes: pods, jobs, claims. */
function templates(object: TracedMap, kind: Kind): { holder: TracedMap; path: string[]; isClaim: boolean }[] {
  const template = kind.kind === 'PodTemplate' ? undefined : podTemplateOf(kind)
  if (!template) return []
  const paths = kind.kind === 'CronJob' ? [['spec', 'jobTemplate'], template] : [template]
  const claims = kind.kind === 'StatefulSet' ? at(object, ['spec', 'volumeClaimTemplates']) : undefined
  const made = Array.isArray(claims) ? claims.filter((claim) => claim instanceof Map) : []
  return [
    ...paths.map((path) => ({ holder: object, path: [...path, 'metadata'], isClaim: false })),
    ...made.map((holder) => ({ holder, path: ['metadata'], isClaim: true })),
  ]
}

function set(object: TracedMap, path: string[], pairs: TracedMap): void {
  const map = mapAt(object, path)
  if (map) assign(map, pairs)
}

function assign(map: TracedMap, pairs: TracedMap): void {
  for (const [key, value] of pairs) map.set(key, value)
}

/** The mappings at a path that goes through every item of the lists on its way. */
export function reached(node: Traced | undefined, path: string[]): TracedMap[] {
  if (Array.isArray(node)) return node.flatMap((item) => reached(item, path))
  if (!(node instanceof Map)) return []
  const [key, ...rest] = path
  return key === undefined ? [node] : reached(node.get(key), rest)
}
