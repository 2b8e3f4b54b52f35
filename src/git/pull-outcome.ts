import type { Problem } from '../errors.ts'
import type { Forge, PullRequest } from './forge/forge.ts'
import { readMarker } from './pull-words.ts'

/** The operations that a pull request carries; where its last line was lost, the one that its branch names. */
export function opsOf(pull: PullRequest, op: string): string[] {
  return [op, ...(readMarker(pull.body).ops ?? [])]
}

/** Whether somebody else closed it, whatever its last line says, which others may edit. */
export async function isClosedByOthers(pull: PullRequest, forge: Forge): Promise<boolean> {
  const { closed } = await forge.verdicts(pull)
  return closed?.by !== undefined && closed.by.login !== pull.author
}

/** Why what it carries is not to be in Git, in words that name who decided so. */
export async function declined(pull: PullRequest, base: string, forge: Forge): Promise<Problem> {
  const { closed, merged } = await forge.verdicts(pull)
  const who = (closed?.by ?? merged?.by)?.login ?? 'somebody'
  const where = pull.state === 'merged' ? `merged into ${pull.base} instead of ${base} by ${who}` : `declined by ${who}`
  return { reason: 'PullRequestDeclined', message: `${where} in ${pull.reference}` }
}
