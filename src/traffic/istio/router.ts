import type { Problem } from '../../errors.ts'
import type { KubeClient } from '../../kube/client.ts'
import type { KubeObject } from '../../kube/object.ts'
import type { ObjectReader } from '../../kube/reader.ts'
import { resources } from '../../kube/resources.ts'
import type { Pair, Router, Traffic } from '../router.ts'
import { fail, missingVirtualService, virtualServiceAccess } from './access.ts'
import { findSubsetRules } from './destinationrule.ts'
import { forward } from './forward.ts'
import { ownedRoutes, type Place } from './locate.ts'
import { observeRoutes, splittingRoutes } from './observe.ts'
import { retreat } from './retreat.ts'
import { routeId } from './virtualservice.ts'

export interface IstioRouterOptions {
  client: Pick<KubeClient, 'get' | 'patch' | 'resourceFor'>
  /** Caches of VirtualServices (with their managedFields, or the last writer stays unknown) and DestinationRules. */
  reader: ObjectReader
}

/** Shifts traffic by the weights of an Istio VirtualService, at whatever API version the cluster serves. */
export function createIstioRouter({ client, reader }: IstioRouterOptions): Router {
  return {
    observe(spec, namespace, pairs) {
      const route = look(reader, spec, namespace, pairs)
      if (!route.ok) return { problem: route.problem }
      if (!route.cached) return { problem: missingVirtualService(route.place) }
      return observeRoutes(route.cached, route.place, pairs)
    },

    async setWeight(spec, namespace, write) {
      const pair = { stable: write.stable, canary: write.canary }
      const route = look(reader, spec, namespace, [pair])
      if (!route.ok) return fail(route.problem)
      const { place, cached } = route
      const { weight, reason, resourceVersion } = write
      const access = virtualServiceAccess(client, place, cached)
      return write.direction === 'retreat'
        ? retreat({ access, place, pair, cached, weight, reason })
        : forward({ access, place, pair, cached, weight, resourceVersion })
    },

    routesOf(spec, namespace) {
      const route = look(reader, spec, namespace, [])
      if (!route.ok) return []
      const { place, cached } = route
      const id = `istio/${namespace}/${place.name}`
      if (place.routes) return [...new Set(place.routes)].map((name) => `${id}#${name}`)
      const owned = cached ? ownedRoutes(cached, place) : undefined
      return owned?.ok ? splittingRoutes(owned.routes, place).map((r) => `${id}#${routeId(r)}`) : []
    },
  }
}

type Look = { ok: true; place: Place; cached: KubeObject | undefined } | { ok: false; problem: Problem }

function look(reader: ObjectReader, spec: Traffic, namespace: string, pairs: readonly Pair[]): Look {
  const { istio } = spec
  if (!istio) {
    const message = 'the Istio router was asked for a Rollout without spec.traffic.istio'
    return { ok: false, problem: { reason: 'InvalidSpec', message, field: 'spec.traffic.istio' } }
  }
  const { name, routes } = istio.virtualService
  const cached = reader.get(resources.virtualServices, { namespace, name })
  const rules = findSubsetRules(reader, {
    namespace,
    name: istio.destinationRule?.name,
    virtualService: cached,
    routes,
    subsets: pairs.flatMap((pair) => [pair.stable, pair.canary]),
  })
  // Without a DestinationRule the workload says what is missing; the weights can be found all the same.
  const host = rules.ok ? rules.rules.host || undefined : undefined
  return { ok: true, cached, place: { namespace, name, routes, host } }
}
