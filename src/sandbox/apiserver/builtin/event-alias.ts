import type { KubeObject } from '../../../kube/object.ts'
import type { ResourceType } from '../resource-type.ts'

/** Core v1 field → events.k8s.io/v1 field; what is not named here is called the same in both. */
const renamed: readonly (readonly [string, string])[] = [
  ['involvedObject', 'regarding'],
  ['message', 'note'],
  ['reportingComponent', 'reportingController'],
  ['source', 'deprecatedSource'],
  ['firstTimestamp', 'deprecatedFirstTimestamp'],
  ['lastTimestamp', 'deprecatedLastTimestamp'],
  ['count', 'deprecatedCount'],
]

/** events.k8s.io/v1 events are the core group's events under other field names. */
export const eventAlias: NonNullable<ResourceType['alias']> = {
  of: { group: '', plural: 'events' },
  show: (stored) => rename(stored, 'events.k8s.io/v1', 0, 1),
  read: (shown) => rename(shown, 'v1', 1, 0),
}

function rename(object: KubeObject, apiVersion: string, from: 0 | 1, to: 0 | 1): KubeObject {
  if (object.apiVersion === apiVersion) return object
  const names = new Map(renamed.map((pair) => [pair[from], pair[to]]))
  const fields = Object.entries(object).map(([name, value]) => [names.get(name) ?? name, value])
  return { ...Object.fromEntries(fields), apiVersion, kind: 'Event', metadata: object.metadata }
}
