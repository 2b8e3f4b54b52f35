import type { PendingCommit } from '../api/status.ts'

/** How many commits status may owe. */
const LIMIT = 50

/**
 * The owed commits with one more. The newest word about the pair's weights, and about the desired version, is the only one that is
 * still to be written: an older commit that comes late (Git was down, the process died) must not undo a newer one. What an older
 * one records besides stays owed; one that had nothing else to say is given up.
 */
export function withNewest(pending: readonly PendingCommit[], entry: PendingCommit): PendingCommit[] {
  const older = pending.map((e) => withoutStale(e, entry))
  return bounded([...older, entry])
}

function withoutStale(old: PendingCommit, newer: PendingCommit): PendingCommit {
  const samePair = old.weights?.stable === newer.weights?.stable && old.weights?.canary === newer.weights?.canary
  const staleWeights = old.weights !== undefined && newer.weights !== undefined && samePair
  const staleDesired = old.desired !== undefined && newer.desired !== undefined
  const staleTemplate = old.template !== undefined && newer.template !== undefined
  if (!staleWeights && !staleDesired && !staleTemplate) return old
  const { weights, desired, template, ...rest } = old
  return {
    ...rest,
    ...(weights && !staleWeights ? { weights } : {}),
    ...(desired && !staleDesired ? { desired } : {}),
    ...(template && !staleTemplate ? { template } : {}),
    ...(staleWeights && old.kind === 'restore' ? { void: true } : {}),
  }
}

/** Without the weights, where a person's stand (I13); nothing when there is nothing else to commit. */
export function withoutWeights(entry: PendingCommit): PendingCommit | undefined {
  if (entry.kind === 'restore' || entry.kind === 'step') return undefined
  const { weights: _, reason: __, ...rest } = entry
  return rest
}

/** Within the limit, outcomes are kept longest: given-up commits go first, then weights, then the oldest. */
function bounded(pending: PendingCommit[]): PendingCommit[] {
  const left = [...pending]
  while (left.length > LIMIT) {
    const dispensable = [
      left.findIndex((e) => e.void),
      left.findIndex((e) => e.kind === 'restore'),
      left.findIndex((e) => e.kind === 'step'),
    ].find((i) => i >= 0 && i < left.length - 1)
    left.splice(dispensable ?? 0, 1)
  }
  return left
}
