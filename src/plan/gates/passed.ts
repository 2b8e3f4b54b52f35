import { parseDuration } from '../../api/duration.ts'
import type { SliObservation } from '../observation.ts'
import { currentStep, holdLeft, isRatio, tooFewRequests } from '../steps.ts'
import { epoch, percent, type Turn } from '../turn.ts'
import type { Gate } from './gate.ts'

/**
 * The step that is held now has passed: its hold is over, every ratio SLI has seen enough canary events, a complete and fresh window is in,
 * and no verdict is a breach. `Undecided` is enough. Computed every time, never stored.
 */
export const passed: Gate = (turn) => {
  const step = currentStep(turn.spec, turn.status)
  if (!step || !turn.status.step) return undefined
  const at = percent(turn.status.step.weight)
  const silent = turn.o.analysis.slis.find((sli) => sli.answer !== 'Fresh')
  if (silent) {
    return { reason: silent.answer, message: `holds at ${at}: ${silent.name}: ${silent.message ?? 'no answer'}` }
  }
  if (turn.o.analysis.slis.length === 0 || turn.o.analysis.slis.some((sli) => sli.stepWindows < 1)) {
    return { reason: 'Analysing', message: `holds at ${at}: waits for the first complete window of samples` }
  }
  const suspect = turn.o.analysis.slis.find((sli) => isSuspect(turn, sli))
  if (suspect) {
    return {
      reason: 'Suspect',
      message: `holds at ${at}: ${suspect.name} looks like a breach, on too few bad requests to be sure (${suspect.bad})`,
    }
  }
  const left = holdLeft(turn)
  if (left > 0) {
    const until = turn.status.step.heldAt === undefined ? '' : `, until ${clock(turn.now + left)} at the earliest`
    return { reason: 'Holding', message: `holds at ${at} for ${step.hold}${until}`, requeueAfterMs: left }
  }
  const few = turn.status.step.waived || turn.status.waiveHolds ? undefined : tooFewRequests(turn)
  if (few) {
    const { minRequests, onInsufficientData } = turn.spec.analysis
    const waited = turn.now - epoch(turn.status.step.since) - (turn.status.step.suspendedMs ?? 0)
    const over = waited >= parseDuration(onInsufficientData.after)
    return {
      reason: 'InsufficientData',
      message: `holds at ${at}: ${few.name} needs ${minRequests} canary requests in this step and has fewer${over ? ` after ${onInsufficientData.after}; send more traffic, lower minRequests, or promote` : ''}`,
    }
  }
  return undefined
}

/** The evidence has crossed the bound of a breach, but on fewer bad events than a breach needs: no moment to send more traffic. */
function isSuspect(turn: Turn, sli: SliObservation): boolean {
  const tests = turn.o.analysis.slis.filter(isRatio).length
  return isRatio(sli) && (sli.evidence ?? 0) >= Math.log10(tests / turn.spec.analysis.alpha)
}

function clock(ms: number): string {
  return new Date(ms).toISOString().slice(11, 19)
}
