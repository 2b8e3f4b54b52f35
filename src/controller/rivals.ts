import { parseRolloutSpec } from '../api/parse.ts'
import type { RolloutSpec } from '../api/rollout.ts'
import { textAt } from '../kube/field.ts'
import { type KubeObject, keyOf } from '../kube/object.ts'
import type { Router } from '../traffic/router.ts'

/** An older Rollout in whose way this one is. */
export interface Rival {
  /** Its `namespace/name`. */
  key: string
  /** What both would own. */
  owns: 'route' | 'Deployment'
}

/**
 * The older Rollout that owns one of the same routes or the same Deployment. The older one is the one created first; of two created in
 * the same second, the one whose uid sorts first.
 */
export function findRival(
  router: Router,
  neighbours: readonly KubeObject[],
  rollout: KubeObject,
  spec: RolloutSpec,
): Rival | undefined {
  const older = neighbours.filter(
    (other) =>
      other.metadata.uid !== rollout.metadata.uid &&
      other.metadata.deletionTimestamp === undefined &&
      (routeName(other) === spec.traffic.istio?.virtualService.name || ownsDeployment(other, spec)) &&
      isOlder(other, rollout),
  )
  if (older.length === 0) return undefined
  const namespace = rollout.metadata.namespace ?? ''
  const mine = new Set(router.routesOf(spec.traffic, namespace))
  for (const other of older) {
    const parsed = parseRolloutSpec(other.spec)
    if (!parsed.ok) continue
    if (ownsDeployment(other, spec)) return { key: keyOf(other), owns: 'Deployment' }
    const routes = router.routesOf(parsed.value.traffic, namespace)
    if (routes.some((route) => mine.has(route))) return { key: keyOf(other), owns: 'route' }
  }
  return undefined
}

function routeName(rollout: KubeObject): string | undefined {
  return textAt(rollout, 'spec', 'traffic', 'istio', 'virtualService', 'name')
}

function ownsDeployment(other: KubeObject, { workload }: RolloutSpec): boolean {
  const name = textAt(other, 'spec', 'workload', 'deployment', 'name')
  return name !== undefined && name === workload.deployment?.name
}

function isOlder(a: KubeObject, b: KubeObject): boolean {
  const [first, second] = [a.metadata.creationTimestamp ?? '', b.metadata.creationTimestamp ?? '']
  return first === second ? (a.metadata.uid ?? '') < (b.metadata.uid ?? '') : first < second
}
