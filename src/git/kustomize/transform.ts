import { fieldAt, listAt, textAt } from '../../kube/field.ts'
import { isObject } from '../manifest.ts'
import { at, plain, type Traced, type TracedMap, textOf } from '../traced.ts'
import type { Kind, Read, Rendering } from './build.ts'
import { setImages } from './images.ts'
import { setAnnotations, setLabels } from './labels.ts'
import type { Layer } from './layer.ts'
import { obstacleOf } from './obstacles.ts'
import { patchAll } from './patches.ts'

/** What one kustomization does to the objects below it, in kustomize's order. */
export async function transform(layer: Layer, objects: Rendering[], kind: Kind, read: Read): Promise<Rendering[]> {
  const isDeployment = kind.group === 'apps' && kind.kind === 'Deployment'
  const { content, traced } = layer
  let all = objects
  all = await patchAll(layer, all, kind, ['patchesStrategicMerge', 'patches'], read)
  const namespace = textAt(content, 'namespace')
  const [prefix, suffix] = [textAt(content, 'namePrefix') ?? '', textAt(content, 'nameSuffix') ?? '']
  for (const rendering of all) {
    const { object, ids } = rendering
    const { name, namespace: before } = ids.at(-1)!
    if (namespace !== undefined && namespace !== '') metadataOf(object).set('namespace', { value: namespace })
    if (prefix + suffix !== '') metadataOf(object).set('name', { value: prefix + name + suffix })
    const now = { name: prefix + name + suffix, namespace: namespace || before }
    if (now.name !== name || now.namespace !== before) rendering.ids = [...ids, now]
    rendering.obstacle ??= obstacleOf(layer, rendering, kind)
    setAllLabels(layer, object, isDeployment)
    const annotations = traced.get('commonAnnotations')
    if (annotations instanceof Map) setAnnotations(object, annotations, isDeployment)
  }
  all = await patchAll(layer, all, kind, ['patchesJson6902'], read)
  const images = traced.get('images')
  if (isDeployment && Array.isArray(images)) {
    for (const { object } of all) setImages(object, images, { file: layer.file, document: 0, path: ['images'] })
  }
  if (isDeployment) for (const { object, ids } of all) setReplicas(traced.get('replicas'), object, ids)
  return all
}

function metadataOf(object: TracedMap): TracedMap {
  const metadata = object.get('metadata')
  if (metadata instanceof Map) return metadata
  const made: TracedMap = new Map()
  object.set('metadata', made)
  return made
}

function setAllLabels({ traced, content }: Layer, object: TracedMap, isDeployment: boolean): void {
  const labels = traced.get('labels')
  if (Array.isArray(labels)) {
    labels.forEach((entry, i) => {
      const pairs = at(entry, ['pairs'])
      const says = (field: string) => fieldAt(listAt(content, 'labels')[i], field) === true
      const reach = { templates: says('includeTemplates'), selectors: says('includeSelectors') }
      if (pairs instanceof Map) setLabels(object, pairs, isDeployment, reach)
    })
  }
  const common = traced.get('commonLabels')
  if (common instanceof Map) setLabels(object, common, isDeployment, { templates: true, selectors: true })
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
