import type { Problem } from '../../errors.ts'
import { fieldAt, listAt, textAt } from '../../kube/field.ts'
import { isObject } from '../manifest.ts'
import { at, plain, type Traced, type TracedMap, textOf } from '../traced.ts'
import type { Read, Rendering } from './build.ts'
import { setImages } from './images.ts'
import { hasReplicas, isClusterScoped, keepsItsName } from './kinds.ts'
import { reached, setAnnotations, setLabels } from './labels.ts'
import type { Layer } from './layer.ts'
import { obstacleOf } from './obstacles.ts'
import { patchAll } from './patches.ts'

export interface Building {
  read: Read
  /** Objects of all kinds are rendered, not those of some alone. */
  everything: boolean
  problem(problem: Problem): void
}

/** What one kustomization does to the objects below it, in kustomize's order. */
export async function transform(layer: Layer, objects: Rendering[], building: Building): Promise<Rendering[]> {
  const { content, traced } = layer
  let all = objects
  all = await patchAll(layer, all, ['patchesStrategicMerge', 'patches'], building)
  const namespace = textAt(content, 'namespace')
  const [prefix, suffix] = [textAt(content, 'namePrefix') ?? '', textAt(content, 'nameSuffix') ?? '']
  for (const rendering of all) {
    const { object, ids, kind } = rendering
    const { name, namespace: before } = ids.at(-1)!
    const moves = namespace !== undefined && namespace !== ''
    const now = { name, namespace: before }
    if (moves && !isClusterScoped(kind)) now.namespace = namespace
    if (!keepsItsName(kind)) now.name = prefix + name + suffix
    else if (moves && kind.kind === 'Namespace') now.name = namespace
    if (now.namespace !== before) metadataOf(object).set('namespace', { value: now.namespace ?? null })
    if (now.name !== name) metadataOf(object).set('name', { value: now.name })
    if (now.name !== name || now.namespace !== before) rendering.ids = [...ids, now]
    if (moves && kind.kind.endsWith('RoleBinding')) moveDefaults(object, namespace)
    rendering.obstacle ??= obstacleOf(layer, rendering, building.everything)
    setAllLabels(layer, rendering)
    const annotations = traced.get('commonAnnotations')
    if (annotations instanceof Map) setAnnotations(object, annotations, kind)
  }
  all = await patchAll(layer, all, ['patchesJson6902'], building)
  const images = traced.get('images')
  for (const { object, ids, kind } of all) {
    if (Array.isArray(images)) setImages(object, kind, images, { file: layer.file, document: 0, path: ['images'] })
    if (hasReplicas(kind)) setReplicas(traced.get('replicas'), object, ids)
  }
  return all
}

function metadataOf(object: TracedMap): TracedMap {
  const metadata = object.get('metadata')
  if (metadata instanceof Map) return metadata
  const made: TracedMap = new Map()
  object.set('metadata', made)
  return made
}

/** The account that every namespace has goes with the binding. */
function moveDefaults(binding: TracedMap, namespace: string): void {
  for (const subject of reached(binding, ['subjects'])) {
    const isDefault = textOf(subject.get('kind')) === 'ServiceAccount' && textOf(subject.get('name')) === 'default'
    if (isDefault) subject.set('namespace', { value: namespace })
  }
}

function setAllLabels({ traced, content }: Layer, { object, kind }: Rendering): void {
  const labels = traced.get('labels')
  if (Array.isArray(labels)) {
    labels.forEach((entry, i) => {
      const pairs = at(entry, ['pairs'])
      const says = (field: string) => fieldAt(listAt(content, 'labels')[i], field) === true
      const reach = { templates: says('includeTemplates'), selectors: says('includeSelectors') }
      if (pairs instanceof Map) setLabels(object, pairs, kind, reach)
    })
  }
  const common = traced.get('commonLabels')
  if (common instanceof Map) setLabels(object, common, kind, { templates: true, selectors: true })
}

function setReplicas(replicas: Traced | undefined, object: TracedMap, ids: Rendering['ids']): void {
  if (!Array.isArray(replicas)) return
  const spec = object.get('spec')
  for (const entry of replicas) {
    const count = at(entry, ['count'])
    const isMeant = ids.some(({ name }) => name === textOf(at(entry, ['name'])))
    if (isMeant && spec instanceof Map && count !== undefined && isScalar(plain(count))) spec.set('replicas', count)
  }
}

function isScalar(value: unknown): boolean {
  return !isObject(value) && !Array.isArray(value)
}
