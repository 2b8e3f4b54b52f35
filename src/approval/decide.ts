import type { ApprovalSpec, Decision } from '../api/approval.ts'
import { compareWithAuthor, displayName, emailOf, isAllowed, marksOf, nameIn, names } from './person.ts'

/** What the decisions of an Approval amount to. */
export interface Ruling {
  state: 'Pending' | 'Approved' | 'Rejected' | 'Expired'
  /**
   * The people who approved so far, who rejected, or who overrode. One entry a person, in the order of their decisions.
   */
  by: string[]
  /** Decisions that do not count, one sentence each. */
  refused: string[]
  /** One sentence for people. */
  message: string
  /** What the person who rejected gave as a reason. */
  reason?: string
  /** While it is not approved: what is still missing, one phrase each. */
  missing?: string[]
  /** Approved, but not to be moved before, epoch ms. */
  notBefore?: number
  /** Approved by an override, for this reason. The rules were not asked. */
  override?: string
}

/** One human with all the decisions that were made under one of their names, oldest first. */
interface Person {
  first: Decision
  decisions: Decision[]
}

/**
 * Counts the decisions of one question at `now` (epoch ms). Pure, and independent of their order.
 *
 * A decision counts when it names the digest of the question, was made before `expiresAt` by somebody who is named in
 * `allowed`, and fits its channel. One Reject that counts rejects. `required` different people approve; the same human
 * in two channels, joined by e-mail, is one. Each entry of `requiredFrom` names at least one of them. With
 * `separationOfDuties`, at least one of them is surely no author; where the author is not known, nobody is.
 * An approval may carry a `notBefore`: the newest word of each person counts, and the latest of these is the answer's.
 * An override (through Kubernetes, with a reason) approves alone, at once, whoever was asked; a Reject still rejects.
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
    else
      refused.push(
        `${isOverride(decision) ? 'Override' : decision.verdict} by ${displayName(decision)} does not count: ${why}`,
      )
  }
  const told = { refused: [...new Set(refused)].slice(0, 100) }

  const rejections = counted.filter((decision) => decision.verdict === 'Reject')
  if (rejections.length > 0) {
    const by = shown(persons(rejections))
    const reason = rejections.find((decision) => decision.reason)?.reason
    const message = `Rejected by ${by.join(', ')}${reason ? `: ${reason}` : ''}`
    return { state: 'Rejected', by, ...told, message, reason }
  }

  const people = persons(counted.filter((decision) => !isOverride(decision)))
  const by = shown(people)
  const missing = missingFrom(spec, people)
  const so = `${people.length} of ${spec.required} approvals${by.length > 0 ? ` (${by.join(', ')})` : ''}`

  const overrides = counted.filter(isOverride)
  const override = overrides[0]?.reason?.trim()
  if (override !== undefined) {
    const overriders = shown(persons(overrides))
    const message = `Overridden by ${overriders.join(', ')}, with ${so}: ${override}`
    return { state: 'Approved', by: overriders, ...told, message, override }
  }
  if (missing.length === 0) {
    const notBefore = latest(people)
    const start = notBefore === undefined ? '' : `, not to be moved before ${new Date(notBefore).toISOString()}`
    return {
      state: 'Approved',
      by,
      ...told,
      message: `Approved by ${by.join(', ')}${start}`,
      ...(notBefore === undefined ? {} : { notBefore }),
    }
  }
  const rest = missing.slice(people.length < spec.required ? 1 : 0).map((each) => `; ${each}`)
  // An expiry that cannot be read is past: nothing can be approved on it.
  if (!(now < expiry)) {
    return {
      state: 'Expired',
      by,
      ...told,
      missing,
      message: `Expired at ${spec.expiresAt} with ${so}${rest.join('')}`,
    }
  }
  const who = `Waits for ${spec.allowed.join(' or ')}`
  const message = `${who}: ${so}${rest.join('')}; open until ${spec.expiresAt}`
  return { state: 'Pending', by, ...told, missing, message }
}

/** Whether a decision means to approve against the rules. */
export function isOverride(decision: Pick<Decision, 'verdict' | 'override'>): boolean {
  return decision.verdict === 'Approve' && decision.override === true
}

/** Why a person cannot override in this way, or undefined. Whether they may at all is the API server's to say. */
export function overrideProblem(decision: Decision): string | undefined {
  if (decision.via !== 'kubernetes' || nameIn(decision) === undefined)
    return 'an override is made through Kubernetes, by somebody with the verb override'
  if (!decision.reason?.trim()) return 'an override needs a reason'
  if (decision.notBefore !== undefined) return 'an override is for now, not for later'
  return undefined
}

function refusal(spec: ApprovalSpec, decision: Decision, expiry: number): string | undefined {
  if (decision.digest !== spec.digest) return 'it was made for another move'
  if (isOverride(decision)) {
    const problem = overrideProblem(decision)
    if (problem !== undefined) return problem
  } else if (!isAllowed(spec.allowed, decision)) return 'this person is not named in approval.from'
  if (!(Date.parse(decision.at) < expiry)) return 'it came after the question had expired'
  if (
    decision.verdict === 'Approve' &&
    decision.notBefore !== undefined &&
    Number.isNaN(Date.parse(decision.notBefore))
  )
    return 'its notBefore is not a time'
  return undefined
}

/** By time, then by content, so that the order in which two clicks were stored means nothing. */
function inOrder(decisions: readonly Decision[]): Decision[] {
  const rank = (d: Decision) =>
    [d.at, d.by, d.via, d.email ?? '', d.verdict, d.reason ?? '', d.notBefore ?? '', d.override ?? '', d.id ?? ''].join(
      '\n',
    )
  return decisions
    .map((decision) => ({ decision, time: Date.parse(decision.at) || 0, rank: rank(decision) }))
    .sort((a, b) => a.time - b.time || (a.rank < b.rank ? -1 : a.rank > b.rank ? 1 : 0))
    .map(({ decision }) => decision)
}

/** The humans behind the decisions: those that share a mark, directly or through others, are one. */
function persons(decisions: readonly Decision[]): Person[] {
  const groups: (Person & { marks: Set<string> })[] = []
  for (const decision of decisions) {
    const marks = new Set(marksOf(decision))
    const same = groups.filter((group) => !group.marks.isDisjointFrom(marks))
    const [home, ...others] = same
    if (home === undefined) {
      groups.push({ first: decision, decisions: [decision], marks })
      continue
    }
    home.marks = same.reduce((all, group) => all.union(group.marks), marks)
    home.decisions = inOrder([...same.flatMap((group) => group.decisions), decision])
    for (const other of others) groups.splice(groups.indexOf(other), 1)
  }
  return groups
}

function shown(people: readonly Person[]): string[] {
  return people.map(({ first }) => displayName(first))
}

/** The latest moment that the newest word of anybody names. */
function latest(people: readonly Person[]): number | undefined {
  const moments = people.flatMap(({ decisions }) => {
    const notBefore = decisions.at(-1)?.notBefore
    return notBefore === undefined ? [] : [Date.parse(notBefore)]
  })
  return moments.length === 0 ? undefined : Math.max(...moments)
}

/** What the rules still want; the quorum first. */
function missingFrom(spec: ApprovalSpec, people: readonly Person[]): string[] {
  const more = spec.required - people.length
  const absent = (spec.requiredFrom ?? []).filter(
    (entry) => !people.some(({ decisions }) => decisions.some((decision) => names(entry, decision))),
  )
  const duties = spec.separationOfDuties ? dutiesProblem(spec.authors, people) : undefined
  return [
    ...(more > 0 ? [`${more} more ${more === 1 ? 'person' : 'people'}`] : []),
    ...absent.map((entry) => `${entry} has to be among them`),
    // Nobody has spoken yet: that the author does not suffice goes without saying.
    ...(duties !== undefined && (more <= 0 || spec.authors.length === 0) ? [duties] : []),
  ]
}

function dutiesProblem(authors: readonly string[], people: readonly Person[]): string | undefined {
  if (authors.length === 0) return 'it is not known who made the change, so nobody can tell an approver from its author'
  const comparisons = people.map(({ decisions }) =>
    authors.map((author) => {
      const each = decisions.map((decision) => compareWithAuthor(decision, author))
      return each.includes('Same') ? 'Same' : each.includes('Different') ? 'Different' : 'Unknown'
    }),
  )
  if (comparisons.some((list) => list.every((result) => result === 'Different'))) return undefined
  const unsure = people.filter((_, i) => !comparisons[i]?.includes('Same'))
  if (unsure.length === 0) return `somebody other than the author (${authors.join(', ')}) has to approve too`
  const anonymous = unsure.every(({ decisions }) => decisions.every((decision) => emailOf(decision) === undefined))
  const why = anonymous ? 'has no known e-mail address' : `is known in another way than ${authors.join(', ')}`
  return `${shown(unsure).join(', ')} ${why}, so nobody can tell whether it is the author`
}
