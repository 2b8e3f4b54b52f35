import { fieldAt, listAt, textAt } from '../../kube/field.ts'

/** A ConfigMap or Secret of the pod's namespace that a pod template refers to, and which part of it the pods need. */
export interface ConfigReference {
  kind: 'ConfigMap' | 'Secret'
  name: string
  /** Only these keys count; all of them when undefined. */
  keys?: string[]
  /** Without these no pod starts: the object itself where the list is there, and the keys in it. Undefined: all of it is optional. */
  required?: string[]
}

/**
 * The ConfigMaps and Secrets of a pod template: of `envFrom`, `env` and volumes (projected ones too) of all its containers, init containers
 * included. Each is named once, sorted by kind and name. Pull secrets and those of storage drivers are no configuration of the program.
 */
export function configReferences(template: unknown): ConfigReference[] {
  const containers = ['initContainers', 'containers'].flatMap((list) => listAt(template, 'spec', list))
  const volumes = listAt(template, 'spec', 'volumes')
  const sources = [...volumes, ...volumes.flatMap((volume) => listAt(volume, 'projected', 'sources'))]
  const found = [...containers.flatMap(ofContainer), ...sources.flatMap(ofVolume)]
  const merged = new Map<string, ConfigReference>()
  for (const reference of found) {
    const key = configName(reference)
    merged.set(key, together(merged.get(key), reference))
  }
  return [...merged].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, reference]) => reference)
}

/** `ConfigMap/checkout-env`: how people and records name it. */
export function configName({ kind, name }: Pick<ConfigReference, 'kind' | 'name'>): string {
  return `${kind}/${name}`
}

function ofContainer(container: unknown): ConfigReference[] {
  const whole = listAt(container, 'envFrom').flatMap((from) => [
    ...one('ConfigMap', fieldAt(from, 'configMapRef'), 'name', undefined),
    ...one('Secret', fieldAt(from, 'secretRef'), 'name', undefined),
  ])
  const single = listAt(container, 'env').flatMap((variable) =>
    (['ConfigMap', 'Secret'] as const).flatMap((kind) => {
      const ref = fieldAt(variable, 'valueFrom', kind === 'ConfigMap' ? 'configMapKeyRef' : 'secretKeyRef')
      const key = textAt(ref, 'key')
      return key === undefined ? [] : one(kind, ref, 'name', [key])
    }),
  )
  return [...whole, ...single]
}

/** Of a volume, or of one source of a projected one. */
function ofVolume(source: unknown): ConfigReference[] {
  return (['ConfigMap', 'Secret'] as const).flatMap((kind) => {
    const ref = fieldAt(source, kind === 'ConfigMap' ? 'configMap' : 'secret')
    const items = listAt(ref, 'items').flatMap((item) => textAt(item, 'key') ?? [])
    const field = textAt(ref, 'secretName') === undefined ? 'name' : 'secretName'
    return one(kind, ref, field, items.length > 0 ? items : undefined)
  })
}

function one(
  kind: ConfigReference['kind'],
  ref: unknown,
  field: 'name' | 'secretName',
  keys: string[] | undefined,
): ConfigReference[] {
  const name = textAt(ref, field)
  if (!name) return []
  const required = fieldAt(ref, 'optional') === true ? undefined : (keys ?? [])
  return [{ kind, name, ...(keys ? { keys } : {}), ...(required ? { required } : {}) }]
}

/** What two references to one object need of it. */
function together(a: ConfigReference | undefined, b: ConfigReference): ConfigReference {
  if (!a) return b
  const union = (x: string[], y: string[]) => [...new Set([...x, ...y])].sort()
  const keys = a.keys && b.keys ? union(a.keys, b.keys) : undefined
  const required = a.required || b.required ? union(a.required ?? [], b.required ?? []) : undefined
  return { kind: b.kind, name: b.name, ...(keys ? { keys } : {}), ...(required ? { required } : {}) }
}
