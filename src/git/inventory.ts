import type { RolloutSourceSpec } from '../api/rolloutsource.ts'
import type { Resource } from '../kube/object.ts'
import { inScope } from './declared.ts'

/** One object that a source has applied. */
export interface InventoryItem {
  group: string
  version: string
  plural: string
  /** '' for cluster-scoped objects. */
  namespace: string
  name: string
}

export function itemOf(resource: Resource, key: { namespace?: string; name: string }): InventoryItem {
  const { group, version, plural } = resource
  return { group, version, plural, namespace: key.namespace ?? '', name: key.name }
}

/** `group/version/plural/namespace/name`, as it stands in status. */
export function formatItem({ group, version, plural, namespace, name }: InventoryItem): string {
  return [group, version, plural, namespace, name].join('/')
}

export function parseItem(text: string): InventoryItem | undefined {
  const [group, version, plural, namespace, name, ...rest] = text.split('/')
  if (!version || !plural || !name || group === undefined || namespace === undefined || rest.length > 0)
    return undefined
  return { group, version, plural, namespace, name }
}

/** The same object at whatever version. */
export function identityOf({ group, plural, namespace, name }: InventoryItem): string {
  return [group, plural, namespace, name].join('/')
}

export interface InventoryPlan {
  /** Applied earlier, not declared any more. */
  prune: InventoryItem[]
  /** What to remember besides the objects that were applied now. */
  keep: InventoryItem[]
}

/**
 * What is to be deleted, and what stays remembered. Nothing is deleted after a partial read, nor what is merely out of the scope of
 * a changed `apply`: that is let go of, not destroyed.
 */
export function planInventory(
  before: InventoryItem[],
  declared: InventoryItem[],
  options: { mode: RolloutSourceSpec['apply']; prune: boolean; complete: boolean },
): InventoryPlan {
  const wanted = new Set(declared.map(identityOf))
  const gone = before.filter((item) => !wanted.has(identityOf(item)))
  if (!options.complete) return { prune: [], keep: gone }
  const ours = gone.filter((item) => isInScope(item, options.mode))
  return options.prune ? { prune: ours, keep: [] } : { prune: [], keep: [] }
}

function isInScope(item: InventoryItem, mode: RolloutSourceSpec['apply']): boolean {
  const kind = item.plural === 'rollouts' ? 'Rollout' : item.plural === 'analysistemplates' ? 'AnalysisTemplate' : ''
  return inScope(`${item.group}/${item.version}`, kind, mode)
}
