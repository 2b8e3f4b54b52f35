import { isRatio } from '../steps.ts'
import type { Gate } from './gate.ts'

/** Before the first traffic moves, the analysis must be able to speak: Prometheus answers, and has fresh series of at least one side. */
export const answers: Gate = (turn) => {
  if ((turn.status.step?.index ?? 0) > 0) return undefined
  const { slis } = turn.o.analysis
  if (slis.length === 0) return { reason: 'Analysing', message: 'waits for the first answer of Prometheus' }
  const outside = slis.find((sli) => sli.verdict === 'Breach')
  if (outside)
    return {
      reason: 'Analysing',
      message: `waits: ${outside.name} ${outside.observed ?? 'is outside its bounds'} before any traffic moves, objective ${outside.objective}`,
    }
  const silent = slis.find((sli) => sli.answer === 'Error' || (isRatio(sli) && sli.answer !== 'Fresh'))
  return silent
    ? { reason: silent.answer, message: `waits: ${silent.name}: ${silent.message ?? 'no answer'}` }
    : undefined
}
