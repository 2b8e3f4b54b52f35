import type { Phase } from '../../api/status.ts'

/** How a phase looks: `calm` nothing to do, `busy` on its way, `ask` waits for people, `bad` something went wrong. */
export type Tone = 'calm' | 'busy' | 'ask' | 'bad' | 'faint'

const tones: Readonly<Record<Phase, Tone>> = {
  Pending: 'faint',
  Healthy: 'calm',
  Progressing: 'busy',
  AwaitingApproval: 'ask',
  Paused: 'ask',
  Promoting: 'busy',
  RollingBack: 'bad',
  RolledBack: 'bad',
  Invalid: 'bad',
}

/** The order in which a list wants attention. */
export const attention: readonly string[] = [
  'RollingBack',
  'Invalid',
  'RolledBack',
  'AwaitingApproval',
  'Paused',
  'Progressing',
  'Promoting',
  'Pending',
  'Unseen',
  'Healthy',
]

export function toneOf(phase: string | undefined): Tone {
  return isPhase(phase) ? tones[phase] : 'faint'
}

function isPhase(phase: string | undefined): phase is Phase {
  return phase !== undefined && Object.hasOwn(tones, phase)
}
