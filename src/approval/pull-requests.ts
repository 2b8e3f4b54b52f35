import type { Logger } from 'pino'
import { SluiceError } from '../errors.ts'
import type { Branches } from '../git/branch.ts'
import type { Forges } from '../git/forge/find.ts'
import type { Forge, PullRequest } from '../git/forge/forge.ts'
import type { Identity } from '../git/operation.ts'
import { headsOf, questionBranch, readOwnBranch } from '../git/pull-branch.ts'
import { ensureQuestion } from '../git/pull-question.ts'
import { createRounds, type Rounds } from '../git/pull-rounds.ts'
import { closedBody, quoted } from '../git/pull-words.ts'
import { branchKey, type SourceRef } from '../git/source-ref.ts'
import type { Runtime } from '../runtime.ts'
import type { Approvals, DecisionResult } from './approvals.ts'
import type { ApprovalChannel } from './channels.ts'
import { type Approval, isOpen, readApproval, rule } from './object.ts'
import { type Deed, decisionOf, deedsOf } from './pull-request-decisions.ts'
import { questionWords } from './pull-request-words.ts'

export interface PullRequestsConfig {
  approvals: Pick<Approvals, 'add' | 'rememberPullRequest'>
  branches: Branches
  forges: Forges
  identity: Identity
  /** Where a Rollout's state goes, when it goes there by pull requests. */
  sourceOf(namespace: string, rollout: string): SourceRef | undefined
  runtime: Runtime
  log: Logger
  onResult?: (result: DecisionResult['kind']) => void
}

/** Asks by pull request. People's answers are read at every look at the source. */
export interface PullRequests extends ApprovalChannel {
  /** The source was looked at: is there news? */
  look(source: SourceRef): void
}

/** A question is asked this often, when pull requests end without an answer. */
const ROUNDS = 3

/**
 * One pull request per question, found again by its branch, which carries the digest. A merge or an approving review of its newest
 * commit says yes, a close says no, if the person may decide; anything else is void, and a comment says so.
 */
export function createPullRequests(config: PullRequestsConfig): PullRequests {
  const { approvals, branches, forges, identity, sourceOf, runtime, log, onResult } = config
  const stopping = new AbortController()
  const asked = new Map<string, Approval>()
  const lanes = new Map<string, Rounds>()
  /** Deeds that were looked at and decide nothing. */
  const refused = new Set<string>()
  /** Questions that this process has seen open. */
  const live = new Set<string>()
  /** Where each was asked last: its Rollout may be gone before it. */
  const places = new Map<string, SourceRef>()

  function lane(source: SourceRef): Rounds {
    const key = branchKey(source)
    const known = lanes.get(key) ?? createRounds({ round, onFailure, runtime, signal: stopping.signal })
    lanes.set(key, known)
    return known
  }

  function onFailure(uid: string, error: unknown): void {
    const approval = asked.get(uid)
    const about = { approval: `${approval?.namespace}/${approval?.name}` }
    const known = error instanceof SluiceError || (error instanceof Error && 'problem' in error)
    log.warn(known ? { ...about, why: error.message } : { ...about, err: error }, 'could not ask by pull request')
  }

  const isLive = (approval: Approval) => {
    return isOpen(approval, runtime.now()) && rule(approval, runtime.now()).state === 'Pending'
  }

  async function round(uid: string): Promise<void> {
    const approval = asked.get(uid)
    const source = approval && placeOf(approval)
    if (!source) return
    const found = forges.of(source)
    if (!found.ok) throw new SluiceError(found.problem)
    const { forge } = found
    const place = { forge, source, name: questionBranch(rolloutOf(approval), approval.spec.digest) }
    if (isLive(approval)) live.add(uid)
    // Answered in an earlier life: without its branch, which is removed last, no pull request of it is open.
    else if (!live.has(uid) && (await headOf(place)) === undefined) return forget(uid, approval)
    const pulls = await forge.find(place.name)
    let now = approval
    for (const pull of pulls.toReversed()) now = await hear(place, pull, now)
    // What is newer in the cluster has come through `show` meanwhile.
    if (asked.get(uid) === approval) asked.set(uid, now)
    if (isLive(now)) return await ask(place, pulls, now)
    await retire(place, pulls, now)
    live.delete(uid)
    forget(uid, now)
  }

  /** Takes what people did with a pull request to the Approval; what decides nothing is said there, once. */
  async function hear(place: Place, pull: PullRequest, approval: Approval): Promise<Approval> {
    const { forge, source } = place
    const over = pull.state !== 'open'
    if (over && refused.has(`${forge.id}${pull.reference}`)) return approval
    let current = approval
    for (const deed of deedsOf(forge, pull, source.branch, await forge.verdicts(pull))) {
      const known = current.spec.decisions.some((decision) => decision.via === 'git' && decision.id === deed.id)
      if (known || refused.has(deed.id)) continue
      current = await count(place, pull, current, deed)
    }
    // Nothing more happens to it, and what was done is recorded.
    if (over) refused.add(`${forge.id}${pull.reference}`)
    return current
  }

  async function count({ forge }: Place, pull: PullRequest, approval: Approval, deed: Deed): Promise<Approval> {
    const who = deed.who ? quoted(deed.who.login) : 'somebody'
    const what = { merge: 'merge', review: 'review', close: 'closing' }[deed.what]
    const say = async (why: string) => {
      refused.add(deed.id)
      await forge.say(pull, deed.id, `The ${what} by ${who} decides nothing: ${quoted(why)}.`)
      return approval
    }
    if (deed.void !== undefined || !deed.who) return await say(deed.void ?? 'nobody is known')
    const decision = await decisionOf(forge, pull, approval, deed, deed.who)
    const result = await approvals.add(approval, decision)
    onResult?.(result.kind)
    if (result.kind === 'NotAllowed' || result.kind === 'Closed') return await say(result.message)
    const { message } = rule(result.approval, runtime.now())
    if (deed.what === 'merge' && isLive(result.approval))
      await forge.say(pull, deed.id, `Counted, but the gate stays closed: ${quoted(message)}.`)
    return result.approval
  }

  async function ask(place: Place, pulls: PullRequest[], approval: Approval): Promise<void> {
    const { forge, source, name } = place
    const [last] = pulls
    const open = last?.state === 'open' ? last : undefined
    const earlier = pulls.find((pull) => pull.state !== 'open')
    const rounds = open ? pulls.length : pulls.length + 1
    if (rounds > ROUNDS) {
      await forge.say(
        last!,
        'no-more',
        'The question is still open, but is not asked here again. Other ways remain: `sluice approve`, or Slack.',
      )
      return
    }
    const branch = branches.of(source)
    const fetched = await branch.refresh(source.credentials)
    if (!fetched.ok) throw new SluiceError(fetched.problem)
    const { spec } = approval
    const move = { digest: spec.digest, step: spec.step, from: spec.from, to: spec.to, round: rounds }
    const { steps, revision } = spec
    const question = { rollout: rolloutOf(approval), name, move, steps, revision, at: approval.createdAt }
    const own = await ensureQuestion(branch, source, identity, question)
    if (!own) return
    const words = questionWords(approval, {
      now: runtime.now(),
      cluster: identity.cluster,
      labels: source.write.pullRequest?.labels ?? [],
      ...(earlier
        ? { earlier: `Asked anew: ${earlier.reference} was ${earlier.state}, and the question is still open.` }
        : {}),
    })
    if (open) await forge.update(open, words)
    const { url, number } = open ?? (await forge.open(name, source.branch, words))
    if (approval.status.pullRequest?.url !== url) await approvals.rememberPullRequest(approval, { url, number })
  }

  /** The question is answered or gone: its pull request is closed with the reason, and its branch removed. */
  async function retire({ forge, source, name }: Place, pulls: PullRequest[], approval: Approval): Promise<void> {
    const { message } = rule(approval, runtime.now())
    for (const pull of pulls) {
      if (pull.state !== 'open') continue
      await forge.say(pull, 'closed', `Closed: ${quoted(approval.deleting ? 'the question is gone' : message)}.`)
      await forge.close(pull, closedBody(pull))
    }
    const branch = branches.of(source)
    if (branch.tip === undefined) await branch.refresh(source.credentials)
    if (branch.tip === undefined || (await headOf({ forge, source, name })) === undefined) return
    const own = await readOwnBranch(branch, source, rolloutOf(approval), name)
    if (own && !own.foreign) await branch.repository.replace(name, own.head, undefined, source.credentials)
  }

  async function headOf({ source, name }: Place): Promise<string | undefined> {
    return (await headsOf(branches.of(source), source, name)).get(name)
  }

  function forget(uid: string, approval: Approval): void {
    if (asked.get(uid) !== approval) return
    asked.delete(uid)
    places.delete(uid)
  }

  function placeOf({ uid, namespace, spec }: Approval): SourceRef | undefined {
    const source = sourceOf(namespace, spec.rollout) ?? places.get(uid)
    if (source) places.set(uid, source)
    return source
  }

  function soon(approval: Approval): void {
    const source = placeOf(approval)
    if (source) lane(source).soon(approval.uid)
  }

  return {
    show(object) {
      const approval = readApproval(object)
      if (!approval || stopping.signal.aborted) return
      const before = asked.get(approval.uid)
      if (!isLive(approval) && before === undefined && approval.status.pullRequest === undefined) return
      asked.set(approval.uid, approval)
      soon(approval)
    },
    look(source) {
      for (const approval of asked.values()) {
        const own = placeOf(approval)
        if (own && branchKey(own) === branchKey(source)) soon(approval)
      }
    },
    async stop() {
      stopping.abort(new Error('stopped'))
      await Promise.all([...lanes.values()].map((rounds) => rounds.idle()))
    },
  }
}

interface Place {
  forge: Forge
  source: SourceRef
  name: string
}

function rolloutOf({ namespace, spec }: Approval) {
  return { namespace, name: spec.rollout }
}
