import { createHash } from 'node:crypto'
import type { KubeObject } from './object.ts'

/** The object an event is about, as events name it. */
export interface EventTarget {
  apiVersion: string
  kind: string
  name: string
  namespace?: string
  uid?: string
  resourceVersion?: string
}

export interface EventInput {
  regarding: KubeObject | EventTarget
  type: 'Normal' | 'Warning'
  /** CamelCase, from a small fixed set, for example `RolledBack`. */
  reason: string
  /** One sentence for a person. Cut at 1024 bytes, which is the API's limit. */
  message: string
  /** What was done, CamelCase; the reason when left out. */
  action?: string
}

export interface EventSource {
  component: string
  instance: string
}

export function targetOf(regarding: KubeObject | EventTarget): EventTarget {
  if (!('metadata' in regarding)) return regarding
  const { name, namespace, uid, resourceVersion } = regarding.metadata
  return { apiVersion: regarding.apiVersion, kind: regarding.kind, name, namespace, uid, resourceVersion }
}

/** The same object, whatever its version. */
export function targetKey(target: EventTarget): string {
  return [target.kind, target.namespace ?? '', target.name, target.uid ?? ''].join('/')
}

const maxMessageBytes = 1024

export function clip(message: string): string {
  if (Buffer.byteLength(message) <= maxMessageBytes) return message
  // A cut inside a character decodes to U+FFFD, which is dropped.
  const cut = Buffer.from(message)
    .subarray(0, maxMessageBytes - 3)
    .toString('utf8')
  return `${cut.replace(/\uFFFD+$/, '')}…`
}

export interface EventRecord {
  target: EventTarget
  type: 'Normal' | 'Warning'
  reason: string
  message: string
  action: string
}

/** A core/v1 Event: the form in which `kubectl describe` shows count and age. `salt` keeps names apart. */
export function eventObject(record: EventRecord, source: EventSource, at: string, salt: string): KubeObject {
  const { target, type, reason, message, action } = record
  const suffix = createHash('sha256')
    .update(`${salt}\0${targetKey(target)}\0${at}`)
    .digest('hex')
    .slice(0, 16)
  return {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: {
      name: `${target.name.slice(0, 253 - 17).replace(/[.-]+$/, '')}.${suffix}`,
      // Events about cluster-scoped objects live in `default`, by convention.
      namespace: target.namespace ?? 'default',
    },
    involvedObject: { ...target },
    type,
    reason,
    message,
    action,
    count: 1,
    firstTimestamp: at,
    lastTimestamp: at,
    source: { component: source.component },
    reportingComponent: source.component,
    reportingInstance: source.instance,
  }
}
