import type { RevisionRecord } from '../api/status.ts'
import { evidenceLines, owe } from './commits.ts'
import { endFlight, record } from './retreat.ts'
import { event, iso, type Turn } from './turn.ts'

/**
 * Ends the flight of a canary that has passed every step: the outcome for Git, status and people. The same in both modes, but for the
 * weight with which it ends.
 *
 * @param weight percent of the traffic that the canary's destination is left with
 * @param afterwards what the event adds
 */
export function concludePromotion(turn: Turn, previous: RevisionRecord, weight: number, afterwards = ''): string {
  const { status, o, spec, now } = turn
  const { canary } = status
  if (!canary) throw new Error('nothing to promote')
  const message = `${canary.revision} passed every step and is stable now`
  owe(turn, {
    kind: 'promote',
    subject: `${o.rollout.name}: promote ${canary.name} (${o.rollout.namespace})`,
    weights: { weight },
    trailers: {
      From: previous.revision,
      Step: `${spec.steps.length}/${spec.steps.length}`,
      Verdict: 'Pass',
      Evidence: evidenceLines(turn).join('; ') || undefined,
    },
  })
  record(status, {
    revision: canary.revision,
    ...(canary.image ? { image: canary.image } : {}),
    result: 'Promoted',
    reason: 'Promoted',
    message,
    at: iso(now),
  })
  endFlight(status)
  event(turn, 'Normal', 'Promoted', `${message}${afterwards}`)
  turn.effects.push({ kind: 'notify', topic: 'promoted', message })
  return message
}
