import { createHash } from 'node:crypto'

/** Label of an Approval that names its Rollout. */
export const rolloutLabel = 'sluice.dev/rollout'

/** Name of the Approval for one move of a Rollout: the same move has the same name, whoever asks and however often. */
export function approvalName(rollout: string, digest: string): string {
  const plain = digest.toLowerCase().replace(/[^a-z0-9]/g, '')
  const prefix =
    plain.length >= 10 ? plain.slice(0, 10) : createHash('sha256').update(digest).digest('hex').slice(0, 10)
  return `${rollout.slice(0, 253 - 11).replace(/[^a-z0-9]+$/, '')}-${prefix}`
}

/** Value of the label `sluice.dev/rollout`: the name, or a hash of it where it is longer than a label may be. */
export function rolloutLabelValue(rollout: string): string {
  if (rollout.length <= 63) return rollout
  return `${rollout.slice(0, 46).replace(/[^a-z0-9]+$/, '')}-${createHash('sha256').update(rollout).digest('hex').slice(0, 16)}`
}
