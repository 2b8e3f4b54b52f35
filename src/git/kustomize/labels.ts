import { at, mapAt, type Traced, type TracedMap } from '../traced.ts'

/** Where labels and annotations go, as kustomize's own defaults have it; for custom resources the object's metadata alone. */
const selectors = [
  'affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution.labelSelector.matchLabels',
  'affinity.podAffinity.preferredDuringSchedulingIgnoredDuringExecution.podAffinityTerm.labelSelector.matchLabels',
  'affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution.labelSelector.matchLabels',
  'affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution.podAffinityTerm.labelSelector.matchLabels',
  'topologySpreadConstraints.labelSelector.matchLabels',
].map((path) => path.split('.'))

export interface LabelReach {
  templates: boolean
  selectors: boolean
}

/** Sets labels on an object, and on a Deployment's template and selectors as far as they reach. */
export function setLabels(object: TracedMap, pairs: TracedMap, isDeployment: boolean, reach: LabelReach): void {
  set(object, ['metadata', 'labels'], pairs)
  if (!isDeployment) return
  if (reach.templates || reach.selectors) set(object, ['spec', 'template', 'metadata', 'labels'], pairs)
  if (!reach.selectors) return
  set(object, ['spec', 'selector', 'matchLabels'], pairs)
  const pod = at(object, ['spec', 'template', 'spec'])
  for (const path of selectors) for (const map of reached(pod, path)) assign(map, pairs)
}

export function setAnnotations(object: TracedMap, pairs: TracedMap, isDeployment: boolean): void {
  set(object, ['metadata', 'annotations'], pairs)
  if (isDeployment) set(object, ['spec', 'template', 'metadata', 'annotations'], pairs)
}

function set(object: TracedMap, path: string[], pairs: TracedMap): void {
  const map = mapAt(object, path)
  if (map) assign(map, pairs)
}

function assign(map: TracedMap, pairs: TracedMap): void {
  for (const [key, value] of pairs) map.set(key, value)
}

/** The mappings at a path that goes through every item of the lists on its way. */
function reached(node: Traced | undefined, path: string[]): TracedMap[] {
  if (Array.isArray(node)) return node.flatMap((item) => reached(item, path))
  if (!(node instanceof Map)) return []
  const [key, ...rest] = path
  return key === undefined ? [node] : reached(node.get(key), rest)
}
