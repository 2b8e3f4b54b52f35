import type { KubeClient, WriteOptions } from './client.ts'
import { asKubeError, type KubeError } from './kube-error.ts'
import type { KubeObject, Resource } from './object.ts'

/** The field manager of everything that Sluice applies or writes, unless a write names a better one. */
export const fieldManager = 'sluice'

/** One other manager that owns fields we wanted to set to something else. */
export interface ApplyConflict {
  manager: string
  /** As the server names them, for example `.spec.replicas`. */
  fields: string[]
}

export type ApplyResult =
  | { outcome: 'applied'; object: KubeObject }
  | { outcome: 'conflict'; conflicts: ApplyConflict[]; error: KubeError }
  /** The `resourceVersion` in the object is not the newest: read again. */
  | { outcome: 'outdated'; error: KubeError }

export interface ApplyOptions extends Omit<WriteOptions, 'fieldManager'> {
  /** Default `sluice`. Must not start with `kubectl`. */
  manager?: string
  /** Take over fields that others own. */
  force?: boolean
}

/**
 * Server-side apply: creates the object, or sets exactly the fields given and gives up those this manager set before.
 * A `metadata.resourceVersion` in the object makes it a conditional write. Throws KubeError for everything but conflicts.
 */
export async function applyObject(
  client: Pick<KubeClient, 'patch'>,
  resource: Resource,
  object: KubeObject,
  options: ApplyOptions = {},
): Promise<ApplyResult> {
  const { manager = fieldManager, force, ...rest } = options
  const { managedFields: _managedFields, ...metadata } = object.metadata
  try {
    const applied = await client.patch(
      resource,
      { namespace: metadata.namespace, name: metadata.name },
      { type: 'apply', body: { ...object, metadata }, force },
      { ...rest, fieldManager: manager },
    )
    return { outcome: 'applied', object: applied }
  } catch (error) {
    const known = asKubeError(error)
    if (!known?.isConflict) throw error
    const conflicts = conflictsOf(known)
    return conflicts.length > 0
      ? { outcome: 'conflict', conflicts, error: known }
      : { outcome: 'outdated', error: known }
  }
}

/** Who owns which of the fields an apply was refused for; empty when the conflict is about the resourceVersion. */
export function conflictsOf(error: KubeError): ApplyConflict[] {
  const fields = new Map<string, string[]>()
  for (const cause of error.details?.causes ?? []) {
    if (cause.reason !== 'FieldManagerConflict') continue
    // conflict with "kubectl-edit" using apps/v1
    const manager = /^conflict with "((?:[^"\\]|\\.)*)"/.exec(cause.message ?? '')?.[1] ?? 'unknown'
    const known = fields.get(manager)
    if (known) known.push(cause.field ?? '')
    else fields.set(manager, [cause.field ?? ''])
  }
  return [...fields].map(([manager, names]) => ({ manager, fields: names }))
}

/** One sentence for a person: who owns what, and what to do. */
export function describeConflicts(object: KubeObject, conflicts: readonly ApplyConflict[]): string {
  const { namespace, name } = object.metadata
  const owners = conflicts.map(({ manager, fields }) => `${fields.join(', ')} belongs to "${manager}"`).join('; ')
  return `${object.kind} ${namespace ? `${namespace}/` : ''}${name} was not applied: ${owners}. Remove the field here, or there.`
}
