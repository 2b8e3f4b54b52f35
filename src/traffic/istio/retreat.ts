import { asKubeError } from '../../kube/kube-error.ts'
import type { KubeObject } from '../../kube/object.ts'
import { RETREAT_MANAGER } from '../../plan/retreat.ts'
import type { Pair, WeightWrite } from '../router.ts'
import { fail, failure, missingVirtualService, type VirtualServiceAccess } from './access.ts'
import { describe, locateForRetreat, type PairInRoute, type Place, type RetreatTargets } from './locate.ts'
import { editsFor, operationsFor, type WeightEdit } from './patch.ts'
import type { Destination } from './virtualservice.ts'

/** Tries within one call; each but the first follows a write of somebody else that moved the destinations. */
const ATTEMPTS = 6

export interface Retreat {
  access: VirtualServiceAccess
  place: Place
  pair: Pair
  /** The object as the cache has it: good enough for the first try, because the patch tests where the destinations are. */
  cached: KubeObject | undefined
  /** Percent the canary may keep at most. */
  weight: number
  reason: string | undefined
}

/**
 * Lowers the canary (I2): one patch without a read before it, which only the destinations' identity can refuse. When somebody moved
 * them, the live object is read and patched again at once. Never raises a weight. Where the cache already shows what is wanted, or
 * shows something that stands in the way, the live object decides.
 */
export async function retreat(request: Retreat): Promise<WeightWrite> {
  const { access, place, pair, weight } = request
  const manager = retreatManager(request.reason)
  let object = request.cached
  let live = false
  let changed = false
  let refusedAt: string | undefined
  try {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      if (!object) {
        object = await access.read()
        live = true
        if (!object) return fail(missingVirtualService(place))
      }
      const { pairs, problem } = targetsIn(object, place, pair)
      const edits = loweringEdits(pairs, weight)
      const resourceVersion = object.metadata.resourceVersion ?? ''
      if (!live && (edits.length === 0 || problem)) {
        object = undefined
        continue
      }
      if (edits.length === 0) return problem ? fail(problem) : { ok: true, changed, resourceVersion }
      try {
        // The answer is the live object: what the cache did not know about is lowered in the next turn.
        object = await access.patch(operationsFor(edits), manager)
        live = true
        changed = true
      } catch (error) {
        const known = asKubeError(error)
        if (!known?.isInvalid && !known?.isConflict) throw error
        // The very object that was just read was refused: not a lost race, the server does not want this write.
        if (known.isInvalid && refusedAt === resourceVersion && live) throw error
        refusedAt = resourceVersion
        object = undefined
      }
    }
  } catch (error) {
    return failure(error, place)
  }
  const message = `${describe(place)} changed ${ATTEMPTS} times while its weights were being written`
  return { ok: false, transient: true, conflict: true, problem: { reason: 'WeightContested', message } }
}

/** The field manager of a retreat, by which a restarted controller knows it: at most 128 printable characters. */
function retreatManager(reason: string | undefined): string {
  const clean = (reason ?? 'unknown').replaceAll(/[^A-Za-z0-9._-]+/g, '-')
  return `${RETREAT_MANAGER}${clean}`.slice(0, 128)
}

/** A DestinationRule that was changed under a rollout must not hide the canary: without a find, its host does not count. */
function targetsIn(object: KubeObject, place: Place, pair: Pair): RetreatTargets {
  const targets = locateForRetreat(object, place, pair)
  if (targets.pairs.length > 0 || place.host === undefined) return targets
  return locateForRetreat(object, { ...place, host: undefined }, pair)
}

/** Edits for the routes in which the canary has more than it may keep; 0 where a pair is too coarse for the wanted weight. */
function loweringEdits(pairs: readonly PairInRoute[], weight: number): WeightEdit[] {
  return pairs.flatMap((pair) => {
    if (pair.moreCanaries?.length) return allToStable(pair, [pair.canary, ...pair.moreCanaries])
    const wanted = editsFor([pair], weight)
    const fallback = wanted.ok ? wanted : editsFor([pair], 0)
    const edits = fallback.ok ? fallback.edits : []
    const lowers = edits.some((e) => e.destination === pair.canary && e.points < pair.canary.points)
    return lowers ? edits : []
  })
}

/** A canary that stands several times in a route gives everything back: no share of it can be told from another. */
function allToStable({ route, stable }: PairInRoute, canaries: readonly Destination[]): WeightEdit[] {
  const carrying = canaries.filter((canary) => canary.points > 0)
  if (carrying.length === 0) return []
  const points = carrying.reduce((sum, canary) => sum + canary.points, stable.points)
  return [{ route, destination: stable, points }, ...carrying.map((destination) => ({ route, destination, points: 0 }))]
}
