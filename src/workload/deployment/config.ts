import { createHash, createHmac } from 'node:crypto'
import type { ConfigRecord } from '../../api/status.ts'
import { fieldAt, labelsAt } from '../../kube/field.ts'
import type { KubeObject } from '../../kube/object.ts'
import { canonicalJson } from '../../plan/revision.ts'
import { type ConfigReference, configName } from './config-references.ts'

/** Hash of each value of a ConfigMap or Secret, by key. The values themselves are never kept (I10). */
export type ConfigDigest = Readonly<Record<string, string>>

/** What is known of a ConfigMap or Secret. */
export type ConfigLook =
  | { state: 'Unread' }
  | { state: 'Refused'; message: string }
  | { state: 'Absent' }
  | { state: 'There'; digest: ConfigDigest }

/** Copies of the ConfigMaps and Secrets that are followed: synchronous, as of the last watch event. */
export interface ConfigObjects {
  look(namespace: string, reference: Pick<ConfigReference, 'kind' | 'name'>): ConfigLook
}

/** What a pod template's configuration is now, or why that cannot be told. */
export type ConfigNow =
  | { state: 'Known'; config: ConfigRecord }
  /** `waits`: one sentence. `unread`: nobody but the API server has to do something about it. */
  | { state: 'Waits'; waits: string; unread: boolean }
  | { state: 'Refused'; message: string }

/**
 * Hash of each value. Those of a Secret are keyed with the uid of the object, which only those know who may read it anyway: without it
 * somebody who sees a hash could try out passwords until one fits.
 */
export function digestOf(object: KubeObject): ConfigDigest {
  const isSecret = object.kind === 'Secret'
  const key = isSecret ? (object.metadata.uid ?? '') : ''
  const texts = Object.entries(labelsAt(object, 'data') ?? {})
  const binaries = Object.entries(labelsAt(object, 'binaryData') ?? {})
  const values: [string, Buffer][] = [
    ...texts.map(([name, value]): [string, Buffer] => [name, Buffer.from(value, isSecret ? 'base64' : 'utf8')]),
    ...binaries.map(([name, value]): [string, Buffer] => [name, Buffer.from(value, 'base64')]),
  ]
  return Object.fromEntries(
    values.map(([name, value]) => [name, createHmac('sha256', key).update(value).digest('hex').slice(0, 20)]),
  )
}

/** Where a cache keeps the digest of an object whose content it does not keep. */
const DIGEST = 'digest'

/** Of a ConfigMap or Secret, that it is there and a hash of each of its values. */
export function slimConfig(object: KubeObject): KubeObject {
  const { apiVersion, kind, metadata } = object
  const { name, namespace, uid, resourceVersion } = metadata
  return { apiVersion, kind, metadata: { name, namespace, uid, resourceVersion }, ...{ [DIGEST]: digestOf(object) } }
}

/** What `slimConfig` has kept of the values. */
export function keptDigest(object: KubeObject): ConfigDigest {
  return labelsAt(object, DIGEST) ?? {}
}

/** The configuration that new pods of a template would have. An optional object that is missing is part of it, as missing. */
export function configNow(
  objects: ConfigObjects,
  namespace: string,
  references: readonly ConfigReference[],
): ConfigNow {
  const looks = references.map((reference) => ({ reference, look: objects.look(namespace, reference) }))
  for (const { look } of looks) if (look.state === 'Refused') return look
  const unread = looks.find(({ look }) => look.state === 'Unread')
  if (unread) return waits(`${configName(unread.reference)} has not been read yet`, true)
  for (const { reference, look } of looks) {
    const missing = missingIn(reference, look)
    if (missing !== undefined) return waits(`pods of the template cannot start before there is ${missing}`, false)
  }
  const hashes = looks.map(({ reference, look }): [string, string] => [configName(reference), hashOf(reference, look)])
  const parts = Object.fromEntries(hashes)
  return { state: 'Known', config: { hash: sha256(canonicalJson(parts)).slice(0, 10), objects: parts } }
}

function waits(message: string, unread: boolean): ConfigNow {
  return { state: 'Waits', waits: message, unread }
}

function missingIn(reference: ConfigReference, look: ConfigLook): string | undefined {
  if (!reference.required) return undefined
  if (look.state !== 'There') return configName(reference)
  const key = reference.required.find((name) => !Object.hasOwn(look.digest, name))
  return key === undefined ? undefined : `a key ${key} in ${configName(reference)}`
}

function hashOf({ keys }: ConfigReference, look: ConfigLook): string {
  if (look.state !== 'There') return 'absent'
  const { digest } = look
  const counted = (keys ?? Object.keys(digest)).flatMap((key) => {
    const value = fieldAt(digest, key)
    return value === undefined ? [] : [[key, value]]
  })
  return sha256(canonicalJson(Object.fromEntries(counted))).slice(0, 10)
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
