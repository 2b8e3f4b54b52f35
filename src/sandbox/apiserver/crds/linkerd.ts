import type { KubeObject } from '../../../kube/object.ts'
import { definition } from './definition.ts'
import { flag, integer, list, object, open, text } from './schema-parts.ts'

const route = object({ name: text, condition: open, isRetryable: flag, timeout: text, responseClasses: list(open) }, [
  'name',
  'condition',
])

/** Linkerd's ServiceProfile, which takes precedence over HTTPRoutes on the same Service. */
export function linkerdCrds(): KubeObject[] {
  const retryBudget = object({ retryRatio: { type: 'number' }, minRetriesPerSecond: integer, ttl: text })
  const override = object({ authority: text, weight: { 'x-kubernetes-int-or-string': true } })
  const spec = object({ routes: list(route), retryBudget, dstOverrides: list(override), opaquePorts: list(text) })
  return [
    definition({
      group: 'linkerd.io',
      kind: 'ServiceProfile',
      plural: 'serviceprofiles',
      versions: ['v1alpha2', 'v1alpha1'],
      shortNames: ['sp'],
      schema: object({ spec }),
    }),
  ]
}
