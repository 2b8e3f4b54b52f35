import type { Decision } from '../api/approval.ts'

/** Who decided, as one channel vouches for them. */
export type Speaker = Pick<Decision, 'by' | 'via' | 'groups' | 'email'>

const plainAddress = /^[^\s@:<>]+@[^\s@:<>]+$/

/** How `by` begins in each channel: a name of one channel never fits another. */
export const speakers = {
  kubernetes: 'user:',
  slack: 'slack-user:',
  git: 'git-user:',
  webhook: 'webhook:',
} as const satisfies Record<Decision['via'], string>

/** The name behind the prefix of the channel, or undefined when `by` does not fit the channel it came through. */
export function nameIn(speaker: Speaker): string | undefined {
  const prefix = speakers[speaker.via]
  const name = speaker.by.startsWith(prefix) ? speaker.by.slice(prefix.length) : ''
  return name === '' ? undefined : name
}

/**
 * The e-mail address by which a person can be known in every channel, in lower case.
 * Slack and the forge vouch for one; Kubernetes vouches for the user name only, so there the `email` field is
 * free text and counts for nothing, while a user name that is an address (the usual OIDC claim) is one.
 * A webhook is the holder of a key, and nobody in particular.
 */
export function emailOf(speaker: Speaker): string | undefined {
  if (speaker.via === 'webhook') return undefined
  const address = speaker.via === 'kubernetes' ? nameIn(speaker) : speaker.email
  return address !== undefined && plainAddress.test(address) ? address.toLowerCase() : undefined
}

/** Everything a person is known by: two decisions that share one of these are the same person's. */
export function marksOf(speaker: Speaker): string[] {
  const email = emailOf(speaker)
  // Logins of forges are the same in any case.
  const by = speaker.via === 'git' ? speaker.by.toLowerCase() : speaker.by
  return [`${speaker.via} ${by}`, ...(email === undefined ? [] : [`email ${email}`])]
}

/** How a person is shown: as the channel knows them, with the address where that adds something. */
export function displayName(speaker: Speaker): string {
  const email = emailOf(speaker)
  return email === undefined || speaker.by.toLowerCase().endsWith(email) ? speaker.by : `${speaker.by} (${email})`
}

/**
 * Whether an entry of `approval.from` or `requiredFrom` names this person.
 * `user:` matches a Kubernetes user name exactly, or the address that Slack or the forge vouches for, in any case;
 * `group:` matches Kubernetes groups only, `slack-user:` and `slack-group:` ids of Slack only, `git-user:` and
 * `git-group:` logins and teams of the forge only (in any case), `webhook:` the holder of that key: a name in one
 * channel gives no rights in another.
 */
export function names(entry: string, speaker: Speaker): boolean {
  const colon = entry.indexOf(':')
  const kind = entry.slice(0, colon)
  const value = entry.slice(colon + 1)
  const name = nameIn(speaker)
  if (colon < 1 || value === '' || name === undefined) return false
  const { via, groups = [] } = speaker
  switch (kind) {
    case 'user':
      return via === 'kubernetes' ? name === value : emailOf(speaker) === value.toLowerCase()
    case 'group':
      return via === 'kubernetes' && groups.includes(value)
    case 'slack-user':
      return via === 'slack' && name === value
    case 'slack-group':
      return via === 'slack' && groups.includes(value)
    case 'git-user':
      return via === 'git' && name.toLowerCase() === value.toLowerCase()
    case 'git-group':
      return via === 'git' && groups.some((group) => group.toLowerCase() === value.toLowerCase())
    case 'webhook':
      return via === 'webhook' && name === value
    default:
      return false
  }
}

/** Whether any entry of `allowed` names this person. */
export function isAllowed(allowed: readonly string[], speaker: Speaker): boolean {
  return allowed.some((entry) => names(entry, speaker))
}

/** Ids of the Slack user groups that `allowed` mentions. */
export function slackGroupsIn(allowed: readonly string[]): string[] {
  const prefix = 'slack-group:'
  return allowed.filter((entry) => entry.startsWith(prefix)).map((entry) => entry.slice(prefix.length))
}

/** `Same` and `Different` are sure; `Unknown`: what is known of the two cannot be compared. */
export type Comparison = 'Same' | 'Different' | 'Unknown'

/**
 * An address that a forge puts into commits of those who hide theirs: `1234+login@users.noreply.github.com`, and with a `-` at GitLab.
 * It tells the login and nothing else.
 */
const hidden = /^(?:\d+[+-])?([^@]+)@users\.noreply\./i

/**
 * Compares a person with the author of a change: an address, `Name <address>`, or a name as a channel knows it
 * (`user:`, `slack-user:`, `git-user:`). Names can be compared within one channel only, and somebody without an address
 * cannot be told from an author who is known by address, nor anybody from one whose forge hides it: then it is `Unknown`.
 */
export function compareWithAuthor(speaker: Speaker, author: string): Comparison {
  const bracketed = /<([^<>]+)>\s*$/.exec(author)?.[1] ?? author
  const [, prefix, bare = ''] = /^((?:user|slack-user|git-user):)?(.*)$/s.exec(bracketed.trim()) ?? []
  const name = nameIn(speaker)
  const email = emailOf(speaker)
  if (author.trim() === speaker.by || bare === name) return 'Same'
  const login = hidden.exec(bare)?.[1]?.toLowerCase()
  if (login !== undefined) {
    if (speaker.via !== 'git' || name === undefined) return 'Unknown'
    return name.toLowerCase() === login ? 'Same' : email === undefined ? 'Unknown' : 'Different'
  }
  if (plainAddress.test(bare)) {
    if (email === undefined) return 'Unknown'
    return email === bare.toLowerCase() ? 'Same' : 'Different'
  }
  if (name === undefined || prefix !== speakers[speaker.via]) return 'Unknown'
  return speaker.via === 'git' && bare.toLowerCase() === name.toLowerCase() ? 'Same' : 'Different'
}
