import type { RolloutSpec } from './rollout.ts'
import type { RolloutStatus } from './status.ts'

/** What a person can ask of a Rollout by name. */
export type Verb = 'pause' | 'resume' | 'promote' | 'abort' | 'retry'

/** Which requests make sense now; answers to questions are apart. */
export function verbsNow(status: RolloutStatus, spec: RolloutSpec | undefined): Verb[] {
  if (spec?.suspend || (!status.canary && status.phase !== 'RolledBack')) return []
  switch (status.phase) {
    case 'Progressing':
      return [...(status.step?.index && !status.step.waived ? (['promote'] as const) : []), 'pause', 'abort']
    case 'AwaitingApproval':
    case 'Promoting':
      return ['abort']
    case 'Paused':
      return ['resume', 'abort']
    case 'RolledBack':
      return status.knownBad?.length ? ['retry'] : []
    default:
      return []
  }
}
