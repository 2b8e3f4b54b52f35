import { parseRolloutSpec } from '../api/parse.ts'
import type { RolloutSpec } from '../api/rollout.ts'
import { textAt } from '../kube/field.ts'
import { type KubeObject, keyOf } from '../kube/object.ts'
import type { Router } from '../traffic/router.ts'

/**
 * The older Rollout that owns one of the same routes, by its key. The older one is the one created first; of two created
 * in the same second, the one whose uid sorts first.
 */
export function findRival(
  router: Router,
  neighbours: readonly KubeObject[],
  rollout: KubeObject,
  spec: RolloutSpec,
): string | undefined {
  const namespace = rollout.metadata.namespace ?? ''
  const routeName = spec.traffic.istio?.virtualService.name
  const sameRoute = neighbours.filter(
    (other) =>
      other.metadata.uid !== rollout.metadata.uid &&
      other.metadata.deletionTimestamp === undefined &&
      textAt(other, 'spec', 'traffic', 'istio', 'virtualService', 'name') === routeName &&
      isOlder(other, rollout),
  )
  if (sameRoute.length === 0) return undefined
  const mine = new Set(router.routesOf(spec.traffic, namespace))
  const rival = sameRoute.find((other) => {
    const parsed = parseRolloutSpec(other.spec)
    return parsed.ok && router.routesOf(parsed.value.traffic, namespace).some((route) => mine.has(route))
  })
  return rival && keyOf(rival)
}

function isOlder(a: KubeObject, b: KubeObject): boolean {
  const [first, second] = [a.metadata.creationTimestamp ?? '', b.metadata.creationTimestamp ?? '']
  return first === second ? (a.metadata.uid ?? '') < (b.metadata.uid ?? '') : first < second
}
