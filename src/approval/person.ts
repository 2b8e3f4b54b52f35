import type { Decision } from '../api/approval.ts'

/** Who decided, as one channel vouches for them. */
export type Speaker = Pick<Decision, 'by' | 'via' | 'groups' | 'email'>

const plainAddress = /^[^\s@:<>]+@[^\s@:<>]+$/

/** The name behind `user:` or `slack-user:`, or undefined when `by` does not fit the channel it came through. */
function nameIn(speaker: Speaker): string | undefined {
  const prefix = speaker.via === 'slack' ? 'slack-user:' : 'user:'
  const name = speaker.by.startsWith(prefix) ? speaker.by.slice(prefix.length) : ''
  return name === '' ? undefined : name
}

/**
 * The e-mail address by which a person can be known in every channel, in lower case.
 * Slack and the forge vouch for one; Kubernetes vouches for the user name only, so there the `email` field is
 * free text and counts for nothing, while a user name that is an address (the usual OIDC claim) is one.
 */
export function emailOf(speaker: Speaker): string | undefined {
  const address = speaker.via === 'kubernetes' ? nameIn(speaker) : speaker.email
  return address !== undefined && plainAddress.test(address) ? address.toLowerCase() : undefined
}

/** Everything a person is known by: two decisions that share one of these are the same person's. */
export function marksOf(speaker: Speaker): string[] {
  const email = emailOf(speaker)
  return [`${speaker.via} ${speaker.by}`, ...(email === undefined ? [] : [`email ${email}`])]
}

/** How a person is shown: as the channel knows them, with the address where that adds something. */
export function displayName(speaker: Speaker): string {
  const email = emailOf(speaker)
  return email === undefined || speaker.by.toLowerCase().endsWith(email) ? speaker.by : `${speaker.by} (${email})`
}

/**
 * Whether an entry of `approval.from` names this person.
 * `user:` matches a Kubernetes user name exactly, or the address that Slack or the forge vouches for, in any case;
 * `group:` matches Kubernetes groups only, `slack-user:` and `slack-group:` ids of Slack only: a name in one channel
 * gives no rights in another.
 */
function names(entry: string, speaker: Speaker): boolean {
  const colon = entry.indexOf(':')
  const kind = entry.slice(0, colon)
  const value = entry.slice(colon + 1)
  const name = nameIn(speaker)
  if (colon < 1 || value === '' || name === undefined) return false
  switch (kind) {
    case 'user':
      return speaker.via === 'kubernetes' ? name === value : emailOf(speaker) === value.toLowerCase()
    case 'group':
      return speaker.via === 'kubernetes' && (speaker.groups ?? []).includes(value)
    case 'slack-user':
      return speaker.via === 'slack' && name === value
    case 'slack-group':
      return speaker.via === 'slack' && (speaker.groups ?? []).includes(value)
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
 * Compares a person with the author of a change: an address, `Name <address>`, or a `user:`/`slack-user:` name.
 * Somebody without an address cannot be told from an author who is known by address only.
 */
export function compareWithAuthor(speaker: Speaker, author: string): Comparison {
  const bracketed = /<([^<>]+)>\s*$/.exec(author)?.[1] ?? author
  const bare = bracketed.trim().replace(/^(user|slack-user):/, '')
  const email = emailOf(speaker)
  if (author.trim() === speaker.by || bare === nameIn(speaker)) return 'Same'
  if (!plainAddress.test(bare)) return 'Different'
  if (email === undefined) return 'Unknown'
  return email === bare.toLowerCase() ? 'Same' : 'Different'
}
