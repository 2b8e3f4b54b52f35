import type { Problem } from '../../errors.ts'
import type { JsonPatchOperation } from '../../kube/client.ts'
import { pointsFor } from '../../plan/weights.ts'
import type { PairInRoute } from './locate.ts'
import { type Destination, describeRoute, type Route } from './virtualservice.ts'

/** One weight as it has to be. */
export interface WeightEdit {
  route: Route
  destination: Destination
  points: number
}

/**
 * The weights that have to change so that the canary gets `weight` percent of every pair; empty when all are as wanted.
 * A pair without points is as low as it gets: a weight of 0 asks nothing of it.
 */
export function editsFor(
  pairs: readonly PairInRoute[],
  weight: number,
): { ok: true; edits: WeightEdit[] } | { ok: false; problem: Problem } {
  const edits: WeightEdit[] = []
  for (const { route, stable, canary } of pairs) {
    const sum = stable.points + canary.points
    if (weight === 0 && sum === 0) continue
    const points = pointsFor(weight, sum)
    if (!points.ok) {
      const message = `${describeRoute(route)}: ${points.problem.message}`
      return { ok: false, problem: { ...points.problem, message } }
    }
    if (points.stable !== stable.points) edits.push({ route, destination: stable, points: points.stable })
    if (points.canary !== canary.points) edits.push({ route, destination: canary, points: points.canary })
  }
  return { ok: true, edits }
}

/**
 * A JSON patch that makes exactly these edits, and only where the same destinations still stand (RFC 6902: one failing `test`
 * refuses the whole patch). `add` sets a weight whether or not there is one.
 */
export function operationsFor(edits: readonly WeightEdit[]): JsonPatchOperation[] {
  const tests = new Map<string, JsonPatchOperation>()
  for (const { route, destination } of edits) {
    const at = `/spec/${route.protocol}/${route.index}`
    if (route.name !== undefined) tests.set(at, { op: 'test', path: `${at}/name`, value: route.name })
    const path = `${at}/route/${destination.index}/destination`
    tests.set(path, { op: 'test', path, value: destination.raw })
  }
  const writes = edits.map(
    ({ route, destination, points }) =>
      ({
        op: 'add',
        path: `/spec/${route.protocol}/${route.index}/route/${destination.index}/weight`,
        value: points,
      }) satisfies JsonPatchOperation,
  )
  return [...tests.values(), ...writes]
}

/** Makes a write fail with 409 when the object is not at this version any more. */
export function atResourceVersion(value: string): JsonPatchOperation {
  return { op: 'replace', path: '/metadata/resourceVersion', value }
}
