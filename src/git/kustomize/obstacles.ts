import type { Problem } from '../../errors.ts'
import { fieldAt, listAt, textAt } from '../../kube/field.ts'
import { isObject } from '../manifest.ts'
import { at, plain } from '../traced.ts'
import { type Kind, type Rendering, refusal } from './build.ts'
import { isTame } from './expression.ts'
import type { Layer } from './layer.ts'

/** Fields that change no object of the kinds that are rendered, or are rendered. */
const harmless = new Set([
  ...['apiVersion', 'kind', 'metadata', 'resources', 'bases', 'components', 'namespace', 'namePrefix', 'nameSuffix'],
  ...['patches', 'patchesStrategicMerge', 'patchesJson6902', 'images', 'replicas', 'labels', 'commonLabels'],
  ...['commonAnnotations', 'generatorOptions', 'configMapGenerator', 'secretGenerator', 'validators', 'crds'],
  ...['sortOptions', 'buildMetadata', 'helmCharts', 'helmGlobals', 'helmChartInflationGenerator', 'generators'],
  ...['replacements', 'vars'],
])

/** Fields that kustomize has and that are not rendered. */
const notRendered = new Set(['transformers', 'configurations', 'openapi'])

/** Whether kustomize has a field of this name. */
export function isKnownField(field: string): boolean {
  return harmless.has(field) || notRendered.has(field)
}

/** What a pod template refers to by a name that kustomize may change with the name of what it refers to. */
const references =
  /"(configMap|secret|configMapRef|secretRef|configMapKeyRef|secretKeyRef|persistentVolumeClaim|imagePullSecrets|serviceAccountName|serviceAccount|priorityClassName|resourceClaimName|resourceClaimTemplateName)":/

const generating = ['configMapGenerator', 'secretGenerator', 'generators', 'helmCharts', 'helmChartInflationGenerator']

/** What would make objects of its own, or is unknown: a field that is misspelt is one that kustomize does not take. */
export function unrenderedIn(layer: Layer): { field: string; problem: Problem }[] {
  const { content } = layer
  const fields = Object.keys(content).filter((field) => !isEmpty(content[field]))
  const told = (field: string, message: string) => ({ field, problem: refusal(layer, message, field) })
  return [
    ...fields
      .filter((field) => generating.includes(field))
      .map((field) => told(field, `makes objects with ${field}, which Sluice does not render`)),
    ...fields
      .filter((field) => !harmless.has(field))
      .map((field) => told(field, `uses ${field}, which Sluice does not render`)),
    ...(fields.some((field) => !['apiVersion', 'kind', 'metadata'].includes(field))
      ? []
      : [told('', 'is empty, and so means nothing to kustomize')]),
  ]
}

/**
 * Why a kustomization may change an object in a way that is not rendered here; undefined when it does not. With `everything`, names that
 * objects have for each other are followed later, and what generates them is told of on its own.
 */
export function obstacleOf(layer: Layer, { object, ids, kind }: Rendering, everything: boolean): Problem | undefined {
  const { content } = layer
  const refused = (message: string, ...field: (string | number)[]) => refusal(layer, message, ...field)
  const foreign = Object.keys(content).find((field) => !harmless.has(field) && !isEmpty(content[field]))
  if (foreign !== undefined) return refused(`uses ${foreign}, which Sluice does not render`, foreign)
  if (everything && !isEmpty(content.crds)) return refused('uses crds, which Sluice does not render', 'crds')
  const custom = listAt(content, 'labels').findIndex((entry) => !isEmpty(fieldAt(entry, 'fields')))
  if (custom >= 0) return refused('sets labels in fields of its own, which Sluice does not render', 'labels', custom)
  const replacement = listAt(content, 'replacements').findIndex((entry) => reaches(entry, kind, ids))
  if (replacement >= 0) return refused('uses replacements, which Sluice does not render', 'replacements', replacement)
  const intricate = listAt(content, 'images').findIndex((entry) => !isTame(textAt(entry, 'name') ?? ''))
  if (intricate >= 0) return refused('names an image by too intricate an expression', 'images', intricate, 'name')
  const text = JSON.stringify(plain(object))
  const variable = listAt(content, 'vars').findIndex((entry) => text.includes(`$(${textAt(entry, 'name') ?? ''})`))
  if (variable >= 0) return refused('uses vars, which Sluice does not render', 'vars', variable)
  if (kind.kind !== 'Deployment' || everything) return undefined

  const template = JSON.stringify(plain(at(object, ['spec', 'template']) ?? { value: null }))
  if (!isEmpty(content.generators)) return refused('uses generators, which Sluice does not render', 'generators')
  for (const field of ['configMapGenerator', 'secretGenerator']) {
    const made = listAt(content, field).findIndex((entry) =>
      template.includes(JSON.stringify(textAt(entry, 'name') ?? '')),
    )
    if (made >= 0)
      return refused(
        `generates a name that the pod template refers to (${field}), which Sluice does not render`,
        field,
        made,
      )
  }
  const renames = ['namePrefix', 'nameSuffix'].find((field) => !isEmpty(content[field]))
  if (renames !== undefined && references.test(template))
    return refused(`renames what the pod template refers to (${renames}), which Sluice does not render`, renames)
  return undefined
}

/** Whether a replacement may write into an object; one that is in another file may. */
function reaches(replacement: unknown, { kind }: Kind, ids: Rendering['ids']): boolean {
  const targets = fieldAt(replacement, 'targets')
  if (!Array.isArray(targets)) return true
  return targets.some((target) => {
    const [ofKind, ofName] = [textAt(target, 'select', 'kind'), textAt(target, 'select', 'name')]
    if (ofKind !== undefined && !isExpression(ofKind) && ofKind !== kind) return false
    return ofName === undefined || isExpression(ofName) || ids.some(({ name }) => name === ofName)
  })
}

function isExpression(text: string): boolean {
  return /[^A-Za-z0-9-]/.test(text)
}

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === '') return true
  return isObject(value) || Array.isArray(value) ? Object.keys(value).length === 0 : false
}
