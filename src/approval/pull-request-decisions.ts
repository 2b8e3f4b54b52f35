import { createHash } from 'node:crypto'
import type { Decision } from '../api/approval.ts'
import type { Forge, ForgePerson, PullRequest, Verdicts } from '../git/forge/forge.ts'
import { readMarker } from '../git/pull-words.ts'
import type { Approval } from './object.ts'

/** What somebody did with a pull request that asks. */
export interface Deed {
  what: 'merge' | 'review' | 'close'
  /** Identity of the deed: it counts once, whoever reads it how often. */
  id: string
  who?: ForgePerson
  verdict: Decision['verdict']
  at: number
  /** Why it decides nothing, whoever did it. */
  void?: string
}

/** What was done, oldest first; our own closing is none of it. */
export function deedsOf(forge: Forge, pull: PullRequest, base: string, verdicts: Verdicts): Deed[] {
  const deeds: Deed[] = []
  const add = (what: Deed['what'], verdict: Decision['verdict'], who: ForgePerson | undefined, at: number) => {
    const nobody = who === undefined ? 'the forge does not say who did it' : botOrUs(who, pull)
    // Whoever may push can open another pull request of the same branch, with words of their own.
    const elsewhere = what !== 'close' && pull.base !== base ? `it is for ${pull.base} instead of ${base}` : undefined
    const why = nobody ?? elsewhere
    deeds.push({
      what,
      id: identity(forge, pull, what, who, at),
      verdict,
      at,
      ...(who ? { who } : {}),
      ...(why ? { void: why } : {}),
    })
  }
  for (const { by, at } of verdicts.approvals) add('review', 'Approve', by, at)
  const { merged, closed } = verdicts
  if (merged) add('merge', 'Approve', merged.by, merged.at)
  // The mark is anybody's who may edit the body: it tells what we did ourselves, and takes nobody's rejection away.
  const byUs = readMarker(pull.body).closed === true && (closed?.by === undefined || closed.by.login === pull.author)
  if (closed && !byUs) add('close', 'Reject', closed.by, closed.at)
  return deeds.sort((a, b) => a.at - b.at)
}

/** A deed as a decision of a person, with those of the asked teams that this person is in. */
export async function decisionOf(
  forge: Forge,
  pull: PullRequest,
  approval: Approval,
  deed: Deed,
  who: ForgePerson,
): Promise<Decision> {
  const { allowed, requiredFrom = [], digest } = approval.spec
  const prefix = 'git-group:'
  const named = new Set([...allowed, ...requiredFrom].filter((entry) => entry.startsWith(prefix)))
  const groups: string[] = []
  for (const entry of named) {
    const group = entry.slice(prefix.length)
    if (await forge.isMember(group, who.login)) groups.push(group)
  }
  return {
    verdict: deed.verdict,
    by: `git-user:${who.login}`,
    via: 'git',
    digest,
    at: new Date(deed.at).toISOString(),
    id: deed.id,
    ...(groups.length > 0 ? { groups } : {}),
    ...(who.email ? { email: who.email } : {}),
    ...(deed.what === 'close' ? { reason: `closed ${pull.reference}` } : {}),
  }
}

function botOrUs(who: ForgePerson, pull: PullRequest): string | undefined {
  if (who.bot) return `${who.login} is a bot`
  return who.login === pull.author ? `${who.login} opened it` : undefined
}

function identity(
  forge: Forge,
  pull: PullRequest,
  what: Deed['what'],
  who: ForgePerson | undefined,
  at: number,
): string {
  const id = `${forge.id}${pull.reference}:${what}:${what === 'close' ? at : pull.head}:${who?.login ?? ''}`
  return id.length <= 256 ? id : createHash('sha256').update(id).digest('hex')
}
