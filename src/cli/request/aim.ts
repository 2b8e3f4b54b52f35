import type { RequestDetails, RequestVerb } from '../../approval/request.ts'
import { SluiceError } from '../../errors.ts'
import type { Rollout } from '../rollouts.ts'

/**
 * What a request is for: the revision that is seen now, so that it is void for any other, and with `promote` the step
 * whose hold is seen, so that a second later it does not end the next one's.
 * @throws {SluiceError} when there is nothing to do it to
 */
export function aim({ namespace, name, status }: Rollout, verb: RequestVerb, details: RequestDetails): RequestDetails {
  const { canary, knownBad = [], step, phase } = status
  const refuse = (message: string) =>
    new SluiceError({ reason: 'RequestFailed', message: `${namespace}/${name}: ${message}` })
  if (verb === 'retry') {
    const wanted = details.revision
    const mark =
      wanted === undefined
        ? knownBad.at(-1)
        : (knownBad.find(({ revision }) => revision === wanted) ??
          knownBad.findLast(({ name: each }) => each === wanted))
    if (mark) return { ...details, revision: mark.revision }
    if (wanted === undefined) throw refuse('no revision is known to be bad, so there is nothing to retry')
    const known = knownBad.map(({ revision }) => revision).join(', ') || 'none'
    throw refuse(`${wanted} is not known to be bad (known are: ${known})`)
  }
  if (!canary) throw refuse(`nothing is being rolled out (${phase ?? 'Unseen'}), so there is nothing to ${verb}`)
  if (verb === 'resume' && !status.paused) throw refuse(`it is not paused (${phase ?? 'Unseen'})`)
  if (details.step !== undefined && details.step !== (step?.index ?? 0))
    throw refuse(`step ${details.step} is not the one that is held; it is step ${step?.index ?? 0}`)
  const held = verb === 'promote' && !details.full ? { step: step?.index ?? 0 } : {}
  return { ...held, ...details, revision: canary.revision }
}
