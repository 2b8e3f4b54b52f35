import type { KubeObject, ManagedFieldsEntry } from './object.ts'
import { isRecord } from './response.ts'

/** Who last wrote a field, as far as the API server knows. */
export interface FieldWriter {
  manager: string
  operation: 'Apply' | 'Update'
  /** RFC 3339, whole seconds; undefined where the server left it out. */
  time?: string
  subresource?: string
}

/**
 * The field manager that last wrote `path`, or anything below it; undefined when nobody is recorded.
 *
 * `path` is written as in fieldsV1, for example `f:spec/f:http`. Lists without a merge key (a VirtualService's `http`,
 * an HTTPRoute's `rules`) are recorded as one field, so that is as deep as a path can name them.
 * Of several owners, the one with the newest `time` wins: an Update takes a changed field away from other Update managers,
 * an Apply of the same value shares it. Needs an object with managedFields: a live read, not a slimmed cache.
 */
export function lastWriterOf(object: KubeObject, path: string): FieldWriter | undefined {
  const parts = path.split('/')
  let newest: ManagedFieldsEntry | undefined
  for (const entry of object.metadata.managedFields ?? []) {
    if (!owns(entry.fieldsV1, parts)) continue
    // Entries of one second keep their order, which is the server's: by time, then as written.
    if (!newest || (entry.time ?? '') >= (newest.time ?? '')) newest = entry
  }
  if (!newest) return undefined
  const { manager, operation, time, subresource } = newest
  return { manager, operation, ...(time ? { time } : {}), ...(subresource ? { subresource } : {}) }
}

function owns(fields: unknown, parts: readonly string[]): boolean {
  let at = fields
  for (const part of parts) {
    if (!isRecord(at)) return false
    if (part in at) at = at[part]
    // An empty set is a leaf: the manager owns this field as a whole, whatever is below it.
    else return at !== fields && Object.keys(at).length === 0
  }
  return isRecord(at)
}
