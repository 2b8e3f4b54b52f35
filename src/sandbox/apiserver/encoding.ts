import type { KubeObject } from '../../kube/object.ts'
import { inVersion } from './request-context.ts'
import type { ResourceType } from './resource-type.ts'

/** How the client wants objects: whole, as metadata only, or as a table. */
export type Format =
  | { kind: 'object' }
  | { kind: 'metadata'; apiVersion: string }
  | { kind: 'table'; apiVersion: string }

/** Reads the Accept header; the first alternative we can serve wins. Undefined when none can be. */
export function negotiate(accept: string | undefined): Format | undefined {
  if (!accept) return { kind: 'object' }
  for (const alternative of accept.split(',')) {
    const [media = '', ...parameters] = alternative.split(';').map((part) => part.trim())
    if (!['application/json', 'application/*', '*/*', 'application/yaml'].includes(media)) continue
    const values = new Map(parameters.map((part) => part.split('=', 2) as [string, string]))
    const as = values.get('as')
    const apiVersion = `${values.get('g') ?? 'meta.k8s.io'}/${values.get('v') ?? 'v1'}`
    if (as === undefined) return { kind: 'object' }
    if (as === 'Table') return { kind: 'table', apiVersion }
    if (as === 'PartialObjectMetadata' || as === 'PartialObjectMetadataList') return { kind: 'metadata', apiVersion }
  }
  return undefined
}

/** Turns stored objects into JSON text, once per object and version however many watchers there are. */
export interface Encoder {
  encode(type: ResourceType, version: string, object: KubeObject): string
}

export function createEncoder(): Encoder {
  const texts = new WeakMap<KubeObject, Map<string, string>>()
  return {
    encode(type, version, object) {
      const key = `${type.group}/${version}`
      let known = texts.get(object)
      if (!known) {
        known = new Map()
        texts.set(object, known)
      }
      let text = known.get(key)
      if (text === undefined) {
        text = JSON.stringify(inVersion(type, object, version))
        known.set(key, text)
      }
      return text
    },
  }
}

export function partialMetadata(object: KubeObject, apiVersion: string): KubeObject {
  return { kind: 'PartialObjectMetadata', apiVersion, metadata: object.metadata }
}
