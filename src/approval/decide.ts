import type { ApprovalSpec, Decision } from '../api/approval.ts'
import { compareWithAuthor, displayName, isAllowed, marksOf } from './person.ts'

/** What the decisions of an Approval amount to. */
export interface Ruling {
  state: 'Pending' | 'Approved' | 'Rejected' | 'Expired'
  /** The people who approved so far, or who rejected. One entry a person, in the order of their decisions. */
  by: string[]
  /** Decisions that do not count, one sentence each. */
  refused: string[]
  /** One sentence for people. */
  message: string
  /** What the person who rejected gave as a reason. */
  reason?: string
}

/**
 * Counts the decisions of one question at `now` (epoch ms). Pure, and independent of their order.
 *
 * A decision counts when it names the digest of the question, was made before `expiresAt` by somebody who is named in
 * `allowed`, and fits its channel. One Reject that counts rejects. `required` different people approve; the same human
 * in two channels, joined by e-mail, is one. With `separationOfDuties`, at least one of them is surely no author;
 * where the author is not known, nobody is.
 * Time alone never approves: at `expiresAt` a question that is still pending is Expired. A quorum that was complete
 * before then stays Approved, so that a controller that was down when the last one spoke does not lose the answer.
 */
export function decide(spec: ApprovalSpec, now: number): Ruling {
  const expiry = Date.parse(spec.expiresAt)
  const counted: Decision[] = []
  const refused: string[] = []
  for (const decision of inOrder(spec.decisions)) {
    const why = refusal(spec, decision, expiry)
    if (why === undefined) counted.push(decision)
    else refused.push(`${decision.verdict} by ${displayName(decision)} does not count: ${why}`)
  }
  const told = { refused: [...new Set(refused)].slice(0, 100) }

  const rejections = counted.filter((decision) => decision.verdict === 'Reject')
  if (rejections.length > 0) {
    const by = persons(rejections).map(displayName)
    const reason = rejections.find((decision) => decision.reason)?.reason
    return {
      state: 'Rejected',
      by,
      ...told,
      message: `Rejected by ${by.join(', ')}${reason ? `: ${reason}` : ''}`,
      reason,
    }
  }

  const people = persons(counted)
  const by = people.map(displayName)
  const duties = spec.separationOfDuties ? dutiesProblem(spec.authors, people) : undefined
  if (people.length >= spec.required && duties === undefined) {
    return { state: 'Approved', by, ...told, message: `Approved by ${by.join(', ')}` }
  }
  const so = `${people.length} of ${spec.required} approvals${by.length > 0 ? ` (${by.join(', ')})` : ''}`
  const missing = duties !== undefined && people.length >= spec.required ? `; ${duties}` : ''
  // An expiry that cannot be read is past: nothing can be approved on it.
  if (!(now < expiry)) {
    return { state: 'Expired', by, ...told, message: `Expired at ${spec.expiresAt} with ${so}${missing}` }
  }
  const who = `Waits for ${spec.allowed.join(' or ')}`
  return { state: 'Pending', by, ...told, message: `${who}: ${so}${missing}; open until ${spec.expiresAt}` }
}

function refusal(spec: ApprovalSpec, decision: Decision, expiry: number): string | undefined {
  if (decision.digest !== spec.digest) return 'it was made for another move'
  if (!isAllowed(spec.allowed, decision)) return 'this person is not named in approval.from'
  if (!(Date.parse(decision.at) < expiry)) return 'it came after the question had expired'
  return undefined
}

/** By time, then by content, so that the order in which two clicks were stored means nothing. */
function inOrder(decisions: readonly Decision[]): Decision[] {
  const rank = (d: Decision) => [d.at, d.by, d.via, d.email ?? '', d.verdict, d.reason ?? '', d.id ?? ''].join('\n')
  return decisions
    .map((decision) => ({ decision, time: Date.parse(decision.at) || 0, rank: rank(decision) }))
    .sort((a, b) => a.time - b.time || (a.rank < b.rank ? -1 : a.rank > b.rank ? 1 : 0))
    .map(({ decision }) => decision)
}

/** One decision per human: the first of each set that shares a mark, directly or through others. */
function persons(decisions: readonly Decision[]): Decision[] {
  const groups: { first: Decision; marks: Set<string> }[] = []
  for (const decision of decisions) {
    const marks = new Set(marksOf(decision))
    const same = groups.filter((group) => !group.marks.isDisjointFrom(marks))
    const [home, ...others] = same
    if (home === undefined) {
      groups.push({ first: decision, marks })
      continue
    }
    home.marks = same.reduce((all, group) => all.union(group.marks), marks)
    for (const other of others) groups.splice(groups.indexOf(other), 1)
  }
  return groups.map((group) => group.first)
}

function dutiesProblem(authors: readonly string[], people: readonly Decision[]): string | undefined {
  if (authors.length === 0) return 'it is not known who made the change, so nobody can tell an approver from its author'
  const comparisons = people.map((person) => authors.map((author) => compareWithAuthor(person, author)))
  if (comparisons.some((list) => list.every((result) => result === 'Different'))) return undefined
  const unsure = people.filter((_, i) => !comparisons[i]?.includes('Same'))
  if (unsure.length > 0) {
    return `${unsure.map(displayName).join(', ')} has no known e-mail address, so nobody can tell whether it is the author`
  }
  return `somebody other than the author (${authors.join(', ')}) has to approve too`
}
