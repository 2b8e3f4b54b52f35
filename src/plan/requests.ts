import type { RolloutStatus } from '../api/status.ts'
import type { RequestObservation } from './observation.ts'
import { templateOf } from './revision.ts'
import { commitRetry } from './start.ts'
import { event, iso, type Turn } from './turn.ts'

type Answer = { result: 'Done' | 'Void' | 'Refused'; message: string }

/** Executes the request a person has made, once; the answer is kept in `status.lastRequest`. */
export function absorbRequest(turn: Turn): void {
  const { request, unreadableRequest: unreadable } = turn.o
  const seen = request ?? unreadable
  if (!seen || seen.id === turn.status.lastRequest?.id) return
  const { result, message }: Answer = request
    ? answer(turn, request)
    : { result: 'Refused', message: unreadable?.message ?? '' }
  turn.status.lastRequest = {
    id: seen.id,
    verb: seen.verb,
    ...(seen.by ? { by: seen.by } : {}),
    result,
    message,
    at: iso(turn.now),
  }
  const who = seen.by ? ` by ${seen.by}` : ''
  event(turn, result === 'Done' ? 'Normal' : 'Warning', `Request${result}`, `${seen.verb}${who}: ${message}`)
}

function answer(turn: Turn, request: RequestObservation): Answer {
  if (request.verb === 'retry') return retry(turn, request)
  const { canary, step } = turn.status
  if (!canary) return { result: 'Void', message: 'nothing is being rolled out' }
  if (request.revision !== undefined && request.revision !== canary.revision) {
    return {
      result: 'Void',
      message: `it was meant for ${request.revision}, but ${canary.revision} is being rolled out`,
    }
  }
  if (request.step !== undefined && request.step !== step?.index) {
    return { result: 'Void', message: `it was meant for step ${request.step}, but step ${step?.index ?? 0} is held` }
  }
  switch (request.verb) {
    case 'pause':
      return pauseRollout(turn, request)
    case 'resume':
      return resume(turn)
    case 'promote':
      return promote(turn, request)
    case 'abort':
      turn.abort = request
      return { result: 'Done', message: `${canary.revision} goes back` }
  }
}

function pauseRollout(turn: Turn, request: RequestObservation): Answer {
  const by = request.by ?? 'somebody'
  turn.status.paused ??= {
    reason: 'Requested',
    message: `paused by ${by}${request.reason ? `: ${request.reason}` : ''}; the guard is on`,
    at: iso(turn.now),
    by,
  }
  // A pause that ends by itself is now one that a person wants.
  delete turn.status.paused.tip
  return { result: 'Done', message: 'nothing moves forward until it is resumed' }
}

function resume(turn: Turn): Answer {
  const { status } = turn
  if (!status.paused) return { result: 'Void', message: 'it was not paused' }
  if (status.paused.reason === 'GitConflict' && status.paused.commit) {
    status.git = { ...status.git, accepted: status.paused.commit }
  }
  if (status.paused.reason === 'WeightContested' && status.lowered)
    status.lowered = { ...status.lowered, count: 0, settled: true }
  delete status.raised
  delete status.paused
  return { result: 'Done', message: 'goes on when its gates are open' }
}

function promote(turn: Turn, request: RequestObservation): Answer {
  const { step } = turn.status
  if (!step || step.index === 0) return { result: 'Void', message: 'no step is held yet, so there is no hold to end' }
  step.waived = `promoted by ${request.by ?? 'somebody'}`
  if (request.full) turn.status.waiveHolds = true
  return {
    result: 'Done',
    message: request.full
      ? 'all holds are ended; approvals, windows and the guard stay'
      : 'this hold is ended; approvals, windows and the guard stay',
  }
}

function retry(turn: Turn, request: RequestObservation): Answer {
  const { status } = turn
  const marks = status.knownBad ?? []
  const mark = request.revision === undefined ? marks.at(-1) : marks.find((k) => k.revision === request.revision)
  if (!mark)
    return {
      result: 'Void',
      message: request.revision ? `${request.revision} is not known to be bad` : 'no revision is known to be bad',
    }
  status.knownBad = marks.filter((k) => k !== mark)
  takeBackRevert(status, mark)
  if (request.by) status.retriedBy = request.by
  commitRetry(turn, mark, request.by)
  return { result: 'Done', message: `${mark.revision} may be tried again` }
}

/** The rollback that took this version away may not be in Git yet: there it must not undo the retry. */
function takeBackRevert(status: RolloutStatus, mark: NonNullable<RolloutStatus['knownBad']>[number]): void {
  if (!status.git?.pending) return
  status.git.pending = status.git.pending.map((entry) => {
    if (entry.desired?.from !== mark.name && entry.template?.from.hash !== templateOf(mark)) return entry
    const { desired: _, template: __, ...rest } = entry
    return rest
  })
}
