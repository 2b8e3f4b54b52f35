import { at, plain, type TracedMap, textOf } from '../traced.ts'
import type { Kind, Rendering } from './build.ts'
import { isBuiltIn, isClusterScoped, podSpecOf } from './kinds.ts'
import { reached } from './labels.ts'

/** A field that names another object: the mapping it stands in, the key, and the kind that is named. */
interface Reference {
  to: string
  path: string[]
  field: string
}

const containers = ['containers', 'initContainers']
/** What pods refer to, by the path from their spec. */
const podReferences: [to: string, path: string][] = [
  ['ConfigMap', 'volumes.configMap.name'],
  ['ConfigMap', 'volumes.projected.sources.configMap.name'],
  ...containers.flatMap((list): [string, string][] => [
    ['ConfigMap', `${list}.env.valueFrom.configMapKeyRef.name`],
    ['ConfigMap', `${list}.envFrom.configMapRef.name`],
    ['Secret', `${list}.env.valueFrom.secretKeyRef.name`],
    ['Secret', `${list}.envFrom.secretRef.name`],
  ]),
  ['Secret', 'volumes.secret.secretName'],
  ['Secret', 'volumes.projected.sources.secret.name'],
  ['Secret', 'imagePullSecrets.name'],
  ['ServiceAccount', 'serviceAccountName'],
  ['PersistentVolumeClaim', 'volumes.persistentVolumeClaim.claimName'],
  ['PriorityClass', 'priorityClassName'],
]
/** What other kinds of Kubernetes refer to. */
const others: Record<string, [to: string, path: string][]> = {
  StatefulSet: [
    ['Service', 'spec.serviceName'],
    ['StorageClass', 'spec.volumeClaimTemplates.spec.storageClassName'],
  ],
  Ingress: [
    ['Service', 'spec.rules.http.paths.backend.service.name'],
    ['Service', 'spec.defaultBackend.service.name'],
    ['Secret', 'spec.tls.secretName'],
    ['IngressClass', 'spec.ingressClassName'],
  ],
  ServiceAccount: [['Secret', 'imagePullSecrets.name']],
  PersistentVolumeClaim: [
    ['PersistentVolume', 'spec.volumeName'],
    ['StorageClass', 'spec.storageClassName'],
  ],
}
/** Kinds that refer to others in ways that are not followed here: renamed beside them, they are refused. */
const unfollowed = new Set([
  ...['ClusterRoleBinding', 'APIService', 'MutatingWebhookConfiguration', 'ValidatingWebhookConfiguration'],
  ...['StorageClass', 'PersistentVolume', 'PodTemplate', 'CustomResourceDefinition'],
])

/**
 * Gives references to objects that were renamed or moved their new names, as kustomize does once everything else is done. What cannot be
 * followed gets an obstacle. Objects that nothing renamed are left alone.
 */
export function followNames(all: Rendering[]): void {
  const renamed = all.filter(({ ids }) => ids.length > 1)
  if (renamed.length === 0) return
  for (const rendering of all) {
    const { kind, object } = rendering
    const stays = isBuiltIn(kind) && unfollowed.has(kind.kind) && mayRefer(rendering, renamed)
    const isRule = kind.kind === 'Role' || kind.kind === 'ClusterRole'
    if (stays || (isRule && named(object, 'rules', renamed)) || nginx(object, kind))
      refuse(rendering, `may refer to an object that a kustomization renames, which Sluice does not follow there`)
    for (const { to, path, field } of referencesOf(rendering)) {
      for (const holder of reached(object, path)) {
        const name = textOf(holder.get(field))
        if (name === undefined) continue
        const now = targetsOf(rendering, renamed, to, name)
        if (now.length > 1) refuse(rendering, `refers to the ${to} ${name}, of which there are several`)
        else if (now[0] !== undefined && now[0] !== name) holder.set(field, { value: now[0] })
      }
    }
    if (kind.kind === 'RoleBinding') for (const subject of reached(object, ['subjects'])) follow(subject, renamed)
  }
}

function referencesOf({ kind, object }: Rendering): Reference[] {
  if (!isBuiltIn(kind)) return []
  const pod = podSpecOf(kind)
  const paths: [string, string[]][] = [
    ...(pod ? podReferences.map(([to, path]): [string, string[]] => [to, [...pod, ...path.split('.')]]) : []),
    ...(others[kind.kind] ?? []).map(([to, path]): [string, string[]] => [to, path.split('.')]),
  ]
  if (kind.kind === 'RoleBinding') paths.push([textOf(at(object, ['roleRef', 'kind'])) ?? '', ['roleRef', 'name']])
  if (kind.kind === 'HorizontalPodAutoscaler')
    paths.push([textOf(at(object, ['spec', 'scaleTargetRef', 'kind'])) ?? '', ['spec', 'scaleTargetRef', 'name']])
  return paths.map(([to, path]) => ({ to, path: path.slice(0, -1), field: path.at(-1)! }))
}

/** What an object that is meant by a name is called now, once each. */
function targetsOf(from: Rendering, renamed: Rendering[], to: string, name: string): string[] {
  const here = from.ids.at(-1)!.namespace
  const meant = renamed.filter(
    ({ kind, ids }) =>
      kind.kind === to &&
      isBuiltIn(kind) &&
      (isClusterScoped(kind) || ids.at(-1)!.namespace === here) &&
      ids.some((id) => id.name === name),
  )
  return [...new Set(meant.map(({ ids }) => ids.at(-1)!.name))]
}

/** A ServiceAccount is named with its namespace. */
function follow(subject: TracedMap, renamed: Rendering[]): void {
  if (textOf(subject.get('kind')) !== 'ServiceAccount') return
  const [name, namespace] = [textOf(subject.get('name')), textOf(subject.get('namespace'))]
  const account = renamed.find(
    ({ kind, ids }) =>
      kind.kind === 'ServiceAccount' &&
      ids.some((id) => id.name === name && (id.namespace ?? 'default') === (namespace ?? 'default')),
  )
  const now = account?.ids.at(-1)
  if (!now) return
  subject.set('name', { value: now.name })
  if (now.namespace !== undefined) subject.set('namespace', { value: now.namespace })
}

function mayRefer(rendering: Rendering, renamed: Rendering[]): boolean {
  const text = JSON.stringify(plain(rendering.object))
  return renamed.some(
    (other) => other !== rendering && other.ids.some(({ name }) => text.includes(JSON.stringify(name))),
  )
}

function named(object: TracedMap, field: string, renamed: Rendering[]): boolean {
  const names = reached(object, [field]).flatMap((rule) => {
    const list: unknown = plain(rule.get('resourceNames') ?? [])
    return Array.isArray(list) ? list : []
  })
  return renamed.some(({ ids }) => ids.some(({ name }) => names.includes(name)))
}

/** Annotations of controllers that name Secrets and ConfigMaps. */
function nginx(object: TracedMap, kind: Kind): boolean {
  if (kind.kind !== 'Ingress') return false
  const [annotations] = reached(object, ['metadata', 'annotations'])
  return [...(annotations?.keys() ?? [])].some((key) => /ingress\.kubernetes\.io\/(auth|fastcgi)/.test(key))
}

function refuse(rendering: Rendering, message: string): void {
  const { file, line } = rendering.base
  const { kind } = rendering.kind
  rendering.obstacle ??= {
    reason: 'GitRefusedEdit',
    message: `${kind} ${rendering.ids[0]!.name} ${message}`,
    file,
    line,
  }
}
