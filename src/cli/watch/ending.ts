import type { Rollout } from '../rollouts.ts'

/** How a revision ended. `Bad`: rolled back or aborted. `Replaced`: superseded or reverted. */
export type Ending = { kind: 'Promoted' | 'Bad' | 'Replaced'; message: string }

/** Whether a revision is the one that is meant: by its whole name, or by what stands before its hash. */
export function isRevision(revision: string, wanted: string): boolean {
  return revision === wanted || (revision.startsWith(`${wanted}-`) && !revision.slice(wanted.length + 1).includes('-'))
}

/**
 * How `wanted` ended, or undefined while it has not. What is tried right now has not ended, whatever it came to before;
 * a status that is older than the spec tells nothing; an outcome that a `retry` has taken back does not count.
 */
export function endingOf({ status, outdated }: Rollout, wanted: string): Ending | undefined {
  const { stable, canary, phase, knownBad = [], history = [], lastOutcome } = status
  if (outdated || (canary && isRevision(canary.revision, wanted))) return undefined
  if (stable && isRevision(stable.revision, wanted)) {
    // Another one that is being tried does not change that this one has passed.
    if (phase === 'Healthy' || canary) return { kind: 'Promoted', message: `${stable.revision} is stable` }
    if (phase !== 'RolledBack') return undefined
    return { kind: 'Promoted', message: `${stable.revision} is stable; a later revision was rolled back` }
  }
  const outcomes = history.length > 0 ? history : lastOutcome ? [lastOutcome] : []
  const last = outcomes.find(({ revision }) => isRevision(revision, wanted))
  if (!last) return undefined
  const message = `${last.revision}: ${last.result}: ${last.message}`
  switch (last.result) {
    case 'RolledBack':
    case 'Aborted':
      return knownBad.some(({ revision }) => revision === last.revision) ? { kind: 'Bad', message } : undefined
    case 'Superseded':
    case 'Reverted':
      return { kind: 'Replaced', message }
    case 'Promoted':
      return { kind: 'Promoted', message }
  }
}
