import { isDeepStrictEqual } from 'node:util'
import { fnv1a } from '../../mesh/random.ts'
import type { PodTemplate } from '../objects.ts'

/** The label that tells the pods of one ReplicaSet from those of another. */
export const POD_TEMPLATE_HASH = 'pod-template-hash'

// Kubernetes' alphabet for generated names: no vowels and no look-alikes, so that no words appear.
const ALPHABET = 'bcdfghjklmnpqrstvwxz2456789'

/** A short name for the template's content: equal content, equal name; a collision is resolved by raising `collisions`. */
export function templateHash(template: PodTemplate, collisions: number): string {
  const text = `${canonical(withoutHash(template))}${collisions === 0 ? '' : `#${collisions}`}`
  return [...String(fnv1a(text))].map((digit) => ALPHABET[digit.charCodeAt(0) % ALPHABET.length]).join('')
}

/** Whether two templates start the same pods: equal but for the pod-template-hash label. */
export function sameTemplate(a: PodTemplate, b: PodTemplate): boolean {
  return isDeepStrictEqual(withoutHash(a), withoutHash(b))
}

/** The template with labels added. */
export function withLabels(template: PodTemplate, labels: Record<string, string>): PodTemplate {
  return { ...template, metadata: { ...template.metadata, labels: { ...template.metadata?.labels, ...labels } } }
}

function withoutHash(template: PodTemplate): PodTemplate {
  const { [POD_TEMPLATE_HASH]: _, ...labels } = template.metadata?.labels ?? {}
  return { ...template, metadata: { ...template.metadata, labels } }
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  const entries = Object.entries(value)
    .filter(([, field]) => field !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${entries.map(([name, field]) => `${JSON.stringify(name)}:${canonical(field)}`).join(',')}}`
}
