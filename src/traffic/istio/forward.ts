import { fieldManager } from '../../kube/apply.ts'
import { asKubeError } from '../../kube/kube-error.ts'
import type { KubeObject } from '../../kube/object.ts'
import type { Pair, WeightWrite } from '../router.ts'
import { fail, failure, missingVirtualService, type VirtualServiceAccess } from './access.ts'
import { describe, locate, type Place } from './locate.ts'
import { atResourceVersion, editsFor, operationsFor } from './patch.ts'

export interface ForwardMove {
  access: VirtualServiceAccess
  place: Place
  pair: Pair
  cached: KubeObject | undefined
  /** Percent for the canary. */
  weight: number
  /** Where the object must still be; the cached version when left out. */
  resourceVersion: string | undefined
}

/** Sets the weights on the object that was observed, or not at all: whoever wrote in between is a conflict. */
export async function forward(move: ForwardMove): Promise<WeightWrite> {
  const { access, place, cached } = move
  if (!cached) return fail(missingVirtualService(place))
  const resourceVersion = cached.metadata.resourceVersion ?? ''
  if (move.resourceVersion !== undefined && move.resourceVersion !== resourceVersion) return conflict(place)
  const located = locate(cached, place, move.pair)
  if (!located.ok) return fail(located.problem)
  const wanted = editsFor(located.pairs, move.weight)
  if (!wanted.ok) return fail(wanted.problem)
  if (wanted.edits.length === 0) return { ok: true, changed: false, resourceVersion }
  try {
    const ops = [atResourceVersion(resourceVersion), ...operationsFor(wanted.edits)]
    const written = await access.patch(ops, fieldManager)
    return { ok: true, changed: true, resourceVersion: written.metadata.resourceVersion ?? '' }
  } catch (error) {
    const known = asKubeError(error)
    if (known?.isConflict) return conflict(place)
    if (known?.isInvalid && (await movedSince(resourceVersion, access))) return conflict(place)
    return failure(error, place)
  }
}

/** A 422 is a failed `test` or a refused object; the resourceVersion tells which. When it cannot be read, the refusal stands. */
async function movedSince(resourceVersion: string, access: VirtualServiceAccess): Promise<boolean> {
  const live = await access.read().catch(() => undefined)
  return live !== undefined && live.metadata.resourceVersion !== resourceVersion
}

function conflict(place: Place): WeightWrite {
  const message = `${describe(place)} was changed by somebody else in the meantime`
  return { ok: false, transient: false, conflict: true, problem: { reason: 'WeightContested', message } }
}
