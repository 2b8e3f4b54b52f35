import { epoch } from '../turn.ts'
import type { Gate } from './gate.ts'

/** After somebody lowered the weight: the evidence up to then is complete and a fresh window has come in since. */
export const settled: Gate = (turn) => {
  const { lowered } = turn.status
  if (!lowered || lowered.settled) return undefined
  const at = epoch(lowered.at)
  const open = turn.o.analysis.slis.find(
    (sli) => sli.answer !== 'Fresh' || (sli.completeThrough ?? 0) < at || sli.stepWindows < 1,
  )
  if (open || turn.o.analysis.slis.length === 0) {
    return { reason: 'WeightLowered', message: `waits for complete evidence since ${lowered.by} lowered the weight` }
  }
  return undefined
}
