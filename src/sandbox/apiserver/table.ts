import type { KubeObject } from '../../kube/object.ts'
import { builtinColumns, type TableColumn } from './builtin/columns.ts'
import { age } from './duration.ts'
import { jsonPath } from './json-path.ts'
import { inVersion } from './request-context.ts'
import { type ResourceType, refKey, versionOf } from './resource-type.ts'

export interface Table {
  kind: 'Table'
  apiVersion: string
  metadata: Record<string, unknown>
  columnDefinitions: { name: string; type: string; format: string; description: string; priority: number }[]
  rows: { cells: unknown[]; object?: unknown }[]
}

export interface TableOptions {
  apiVersion: string
  version: string
  includeObject: 'None' | 'Metadata' | 'Object'
  now: number
  metadata: Record<string, unknown>
}

/** What `kubectl get` prints: the columns kubectl users know for built-in kinds, the CRD's own for others. */
export function tableOf(type: ResourceType, objects: readonly KubeObject[], options: TableOptions): Table {
  const columns = columnsOf(type, options.version)
  return {
    kind: 'Table',
    apiVersion: options.apiVersion,
    metadata: options.metadata,
    columnDefinitions: columns.map(({ name, type, format, description, priority }) => ({
      name,
      type,
      format: format ?? '',
      description: description ?? '',
      priority: priority ?? 0,
    })),
    rows: objects.map((object) => {
      const shown = inVersion(type, object, options.version)
      return { cells: columns.map((column) => column.cell(shown, options.now)), ...rowObject(shown, options) }
    }),
  }
}

function rowObject(object: KubeObject, { includeObject, apiVersion }: TableOptions): { object?: unknown } {
  if (includeObject === 'None') return {}
  if (includeObject === 'Object') return { object }
  return { object: { kind: 'PartialObjectMetadata', apiVersion, metadata: object.metadata } }
}

const nameColumn: TableColumn = {
  name: 'Name',
  type: 'string',
  format: 'name',
  description: 'Name must be unique within a namespace.',
  cell: (object) => object.metadata.name,
}

const ageColumn: TableColumn = {
  name: 'Age',
  type: 'date',
  description: 'Time since the object was created.',
  cell: (object, now) => age(object.metadata.creationTimestamp, now),
}

function columnsOf(type: ResourceType, version: string): TableColumn[] {
  const builtin = builtinColumns[refKey(type)]
  if (builtin) return builtin
  const own = versionOf(type, version)?.columns ?? []
  if (own.length === 0) return [nameColumn, ageColumn]
  const columns = own.map(
    ({ name, type, format, description, priority, jsonPath: path = '' }): TableColumn => ({
      name,
      type,
      ...(format === undefined ? {} : { format }),
      ...(description === undefined ? {} : { description }),
      ...(priority === undefined ? {} : { priority }),
      cell: (object, now) => cellOf(jsonPath(object, path), type, now),
    }),
  )
  return [nameColumn, ...columns]
}

function cellOf(values: unknown[], type: string, now: number): unknown {
  const [first] = values
  if (first === undefined) return type === 'date' ? '<unknown>' : undefined
  if (type === 'date') return age(typeof first === 'string' ? first : undefined, now)
  if (type === 'string') {
    if (values.length > 1) return values.map(plain).join(',')
    return plain(first)
  }
  if (type === 'integer' || type === 'number') return typeof first === 'number' ? first : undefined
  return first
}

function plain(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}
