import { percent } from '../rollout-table.ts'
import type { Rollout } from '../rollouts.ts'
import { clean } from '../width.ts'

/** One state as one line: Rollout, phase, step, weight, revision, message, and verdicts that are neither good nor open. */
export function stateText({ namespace, name, status }: Rollout): string {
  const { phase, message, stable, canary, step, stepSummary, analysis = [] } = status
  const worth = analysis.filter(({ verdict }) => verdict !== 'Pass' && verdict !== 'Undecided')
  const parts = [
    `${namespace}/${name}`,
    phase ?? 'Unseen',
    ...(canary ? [`step ${stepSummary ?? '-'}`, percent(step?.weight ?? 0), canary.revision] : []),
    ...(!canary && stable ? [stable.revision] : []),
    ...(message ? [message] : []),
    ...(canary ? worth.map((sli) => `[${sli.name}: ${sli.verdict}]`) : []),
  ]
  return clean(parts.join(' '))
}

/** The time of a change, to the second. */
export function clock(now: number): string {
  return new Date(now).toISOString().replace(/\.\d+Z$/, 'Z')
}
