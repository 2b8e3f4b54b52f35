import { fieldAt, listAt, textAt } from '../../../src/kube/field.ts'
import type { KubeObject } from '../../../src/kube/object.ts'
import type { Weights } from '../../conformance/router.conformance.ts'
import { to } from './objects.ts'

/** Named http routes with these weights, by subset. */
export function routesWith(weights: Weights) {
  return Object.entries(weights).map(([name, points]) => ({
    name,
    route: Object.entries(points).map(([subset, weight]) => to(subset, weight)),
  }))
}

/** The weights of the named http routes of a VirtualService, by subset. */
export function weightsOf(object: KubeObject | undefined): Weights {
  return Object.fromEntries(
    listAt(object, 'spec', 'http').map((route) => [textAt(route, 'name') ?? '', pointsOf(route)]),
  )
}

function pointsOf(route: unknown): Record<string, number> {
  return Object.fromEntries(
    listAt(route, 'route').map((d) => [textAt(d, 'destination', 'subset') ?? '', Number(fieldAt(d, 'weight') ?? 0)]),
  )
}
