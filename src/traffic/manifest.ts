import type { Problem } from '../errors.ts'
import { locate } from './istio/locate.ts'
import { editsFor } from './istio/patch.ts'
import type { Pair, Traffic } from './router.ts'

/** One scalar of a route manifest that has to change. */
export interface ManifestEdit {
  /** From the root of the document, for example `['spec', 'http', 0, 'route', 1, 'weight']`. */
  path: (string | number)[]
  /** The points it must say. */
  value: number
  /** What it says now; undefined when the manifest does not say the weight, so that there is no scalar to edit. */
  from: number | undefined
}

/**
 * The weights to change in a VirtualService manifest so that it says what a mesh write of the same pair and weight says: the same
 * destinations, found by the same rules, in the manifest's own points. Empty when it says so already. `host` is the DestinationRule's,
 * where it is known. Pure.
 */
export function weightEdits(
  virtualService: { metadata?: { name?: string; namespace?: string } },
  spec: Traffic,
  at: { namespace: string; host?: string },
  pair: Pair,
  weight: number,
): { ok: true; edits: ManifestEdit[] } | { ok: false; problem: Problem } {
  const found = locateIn(spec, at, virtualService, pair)
  if (!found.ok) return found
  const wanted = editsFor(found.pairs, weight)
  if (!wanted.ok) return wanted
  const edits = wanted.edits.map(({ route, destination, points }) => ({
    path: ['spec', route.protocol, route.index, 'route', destination.index, 'weight'],
    value: points,
    from: destination.written,
  }))
  return { ok: true, edits }
}

/** What a VirtualService manifest says about a pair: points of both sides in every owned route, in the order of the routes. */
export function weightsIn(
  virtualService: { metadata?: { name?: string; namespace?: string } },
  spec: Traffic,
  at: { namespace: string; host?: string },
  pair: Pair,
): { ok: true; routes: { stable: number; canary: number }[] } | { ok: false; problem: Problem } {
  const found = locateIn(spec, at, virtualService, pair)
  if (!found.ok) return found
  return { ok: true, routes: found.pairs.map((p) => ({ stable: p.stable.points, canary: p.canary.points })) }
}

function locateIn(spec: Traffic, at: { namespace: string; host?: string }, virtualService: unknown, pair: Pair) {
  const { istio } = spec
  if (!istio) {
    const message = 'only the weights of a VirtualService can be written to Git'
    return { ok: false, problem: { reason: 'NotYet', message, field: 'spec.traffic' } satisfies Problem } as const
  }
  const { name, routes } = istio.virtualService
  return locate(withNumbers(virtualService), { namespace: at.namespace, name, routes, host: at.host }, pair)
}

/** Weights that a manifest writes in quotes count as what they say: whoever renders it may well take the quotes away. */
function withNumbers(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withNumbers)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => {
      const isQuoted = key === 'weight' && typeof inner === 'string' && /^\d{1,3}$/.test(inner)
      return [key, isQuoted ? Number(inner) : withNumbers(inner)]
    }),
  )
}
