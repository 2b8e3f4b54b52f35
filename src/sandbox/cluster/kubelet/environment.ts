import type { KubeObject } from '../../../kube/object.ts'
import type { Storage } from '../../apiserver/storage.ts'
import { CONFIG_MAPS, type Container, type EnvSource, SECRETS } from '../objects.ts'

/** The variables of a container, or why it cannot be made, in the words of a kubelet. */
export type Environment = { ok: true; env: Map<string, string> } | { ok: false; message: string }

/**
 * The environment of a container as a kubelet makes it when it starts one: `envFrom` in order, then `env` over it, values of ConfigMaps and
 * Secrets as they are now. What changes later does not reach a container that runs.
 */
export function environmentOf(storage: Storage, namespace: string, container: Container | undefined): Environment {
  const env = new Map<string, string>()
  for (const { prefix = '', configMapRef, secretRef } of container?.envFrom ?? []) {
    for (const [kind, ref] of [['configmap', configMapRef] as const, ['secret', secretRef] as const]) {
      if (!ref) continue
      const values = valuesOf(storage, namespace, kind, ref.name)
      if (!values && ref.optional !== true) return { ok: false, message: `${kind} "${ref.name}" not found` }
      for (const [key, value] of Object.entries(values ?? {})) env.set(`${prefix}${key}`, value)
    }
  }
  for (const { name, value, valueFrom } of container?.env ?? []) {
    const found = valueFrom ? valueFor(storage, namespace, valueFrom) : { value: value ?? '' }
    if (found && 'message' in found) return { ok: false, message: found.message }
    if (found) env.set(name, found.value)
  }
  return { ok: true, env }
}

function valueFor(
  storage: Storage,
  namespace: string,
  { configMapKeyRef, secretKeyRef }: EnvSource,
): { value: string } | { message: string } | undefined {
  const ref = configMapKeyRef ?? secretKeyRef
  if (!ref) return undefined
  const kind = configMapKeyRef ? 'configmap' : 'secret'
  const values = valuesOf(storage, namespace, kind, ref.name)
  const value = values?.[ref.key]
  if (value !== undefined) return { value }
  if (ref.optional === true) return undefined
  const where = `${kind === 'configmap' ? 'ConfigMap' : 'Secret'} ${namespace}/${ref.name}`
  return { message: values ? `couldn't find key ${ref.key} in ${where}` : `${kind} "${ref.name}" not found` }
}

function valuesOf(
  storage: Storage,
  namespace: string,
  kind: 'configmap' | 'secret',
  name: string,
): Record<string, string> | undefined {
  const object = storage.get(kind === 'configmap' ? CONFIG_MAPS : SECRETS, { namespace, name })
  if (!object) return undefined
  const data = dataOf(object)
  if (kind === 'configmap') return data
  const decoded = (value: string) => Buffer.from(value, 'base64').toString('utf8')
  return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, decoded(value)]))
}

function dataOf({ data }: KubeObject): Record<string, string> {
  if (typeof data !== 'object' || data === null) return {}
  return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, String(value)]))
}
