import type { Palette } from '../paint.ts'
import { phasePaint } from '../paint.ts'
import { percent } from '../rollout-table.ts'
import type { Rollout } from '../rollouts.ts'
import { clean, cut } from '../width.ts'

/** What has to differ for a change to be worth a line: numbers of the analysis alone are not. */
export function gist({ status, outdated }: Rollout): string {
  const { phase, message, stable, canary, step, stepSummary, lastOutcome, lastRequest, analysis = [] } = status
  const verdicts = analysis.map(({ name, verdict }) => `${name} ${verdict}`)
  return JSON.stringify([
    [phase, message, stable?.revision, canary?.revision, stepSummary, step?.weight, outdated],
    [lastOutcome?.at, lastRequest?.id, verdicts],
  ])
}

/** One change as one line, for logs: time, Rollout, phase, step, weight, revision, message, and verdicts that are not good. */
export function changeLine(rollout: Rollout, options: { now: number; colours: Palette; width?: number }): string {
  const { namespace, name, status } = rollout
  const { phase, message, stable, canary, step, stepSummary, analysis = [] } = status
  const worth = analysis.filter(({ verdict }) => verdict !== 'Pass' && verdict !== 'Undecided')
  const parts = [
    new Date(options.now).toISOString().replace(/\.\d+Z$/, 'Z'),
    `${namespace}/${name}`,
    phase ?? 'Unseen',
    ...(canary ? [`step ${stepSummary ?? '-'}`, percent(step?.weight ?? 0), canary.revision] : []),
    ...(!canary && stable ? [stable.revision] : []),
    ...(message ? [message] : []),
    ...(canary ? worth.map((sli) => `[${sli.name}: ${sli.verdict}]`) : []),
  ]
  const line = cut(clean(parts.join(' ')), options.width ?? Number.POSITIVE_INFINITY)
  return phase ? line.replace(` ${phase} `, () => ` ${phasePaint(options.colours, phase)(phase)} `) : line
}
