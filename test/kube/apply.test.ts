import { describe, expect, test } from 'vitest'
import { conflictsOf, describeConflicts } from '../../src/kube/apply.ts'
import { KubeError } from '../../src/kube/kube-error.ts'
import { lastWriterOf } from '../../src/kube/managed-fields.ts'
import type { KubeObject, ManagedFieldsEntry } from '../../src/kube/object.ts'

const object: KubeObject = { apiVersion: 'v1', kind: 'Service', metadata: { namespace: 'shop', name: 'checkout' } }

describe('conflicts', () => {
  test('are sorted by the manager that owns the fields', () => {
    const cause = (manager: string, field: string) => ({
      reason: 'FieldManagerConflict',
      message: `conflict with "${manager}" using v1 at 2026-11-01T00:00:00Z`,
      field,
    })
    const causes = [cause('helm', '.spec.type'), cause('argocd-controller', '.spec.ports'), cause('helm', '.spec.x')]
    const error = new KubeError('no', { status: 409, reason: 'Conflict', details: { causes } })
    const conflicts = conflictsOf(error)
    expect(conflicts).toEqual([
      { manager: 'helm', fields: ['.spec.type', '.spec.x'] },
      { manager: 'argocd-controller', fields: ['.spec.ports'] },
    ])
    expect(describeConflicts(object, conflicts)).toBe(
      'Service shop/checkout was not applied: .spec.type, .spec.x belongs to "helm"; .spec.ports belongs to "argocd-controller". Remove the field here, or there.',
    )
  })

  test('about the resourceVersion name nobody', () => {
    expect(conflictsOf(new KubeError('modified', { status: 409, reason: 'Conflict' }))).toEqual([])
  })
})

describe('the last writer of a field', () => {
  const entry = (manager: string, time: string | undefined, fieldsV1: object): ManagedFieldsEntry => {
    return { manager, operation: 'Update', time, fieldsType: 'FieldsV1', fieldsV1 }
  }
  const writer = (entries: ManagedFieldsEntry[], path: string) =>
    lastWriterOf({ ...object, metadata: { ...object.metadata, managedFields: entries } }, path)?.manager

  const http = { 'f:spec': { 'f:http': {}, 'f:hosts': {} } }

  test('is the owner with the newest time', () => {
    const entries = [
      entry('helm', '2026-11-01T00:00:00Z', http),
      entry('sluice', '2026-11-02T00:00:00Z', { 'f:spec': { 'f:http': {} } }),
      entry('someone', '2026-11-03T00:00:00Z', { 'f:metadata': { 'f:labels': { 'f:a': {} } } }),
    ]
    expect(writer(entries, 'f:spec/f:http')).toBe('sluice')
    expect(writer(entries, 'f:spec/f:hosts')).toBe('helm')
    expect(writer(entries, 'f:spec')).toBe('sluice')
  })

  test('owns what is below a field that it owns as a whole', () => {
    expect(writer([entry('helm', '2026-11-01T00:00:00Z', http)], 'f:spec/f:http/f:weight')).toBe('helm')
  })

  test('is nobody where nothing is recorded', () => {
    expect(writer([], 'f:spec/f:http')).toBeUndefined()
    expect(writer([entry('helm', undefined, http)], 'f:spec/f:tls')).toBeUndefined()
    expect(writer([entry('helm', undefined, {})], 'f:spec')).toBeUndefined()
    expect(lastWriterOf(object, 'f:spec')).toBeUndefined()
  })

  test('an owner without a time is older than any other', () => {
    expect(writer([entry('a', '2026-11-01T00:00:00Z', http), entry('b', undefined, http)], 'f:spec/f:http')).toBe('a')
  })
})
