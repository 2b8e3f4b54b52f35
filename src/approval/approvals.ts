import type { Logger } from 'pino'
import type { ApprovalStatus, Decision } from '../api/approval.ts'
import type { JsonPatchOperation, KubeClient, Patch } from '../kube/client.ts'
import { asKubeError } from '../kube/kube-error.ts'
import type { KubeObject } from '../kube/object.ts'
import { resources } from '../kube/resources.ts'
import type { ApprovalQuestion } from '../plan/effects.ts'
import type { Runtime } from '../runtime.ts'
import { isOverride, overrideProblem } from './decide.ts'
import { rolloutLabel, rolloutLabelValue } from './name.ts'
import { type Approval, buildApproval, isOpen, type Owner, readApproval, rule, statusToRecord } from './object.ts'
import { displayName, isAllowed } from './person.ts'

/** Names one asked question. `uid`, where it is known, tells a question from an earlier one of the same name. */
export interface ApprovalKey {
  namespace: string
  name: string
  uid?: string
}

/** What became of one person's decision. Only `Recorded` has changed anything. */
export type DecisionResult =
  | { kind: 'Recorded'; approval: Approval; message: string }
  /** The same click, or the same word of the same person, was recorded before. */
  | { kind: 'Duplicate'; approval: Approval; message: string }
  /** The question is answered, expired, void, spent, replaced or gone. */
  | { kind: 'Closed'; approval?: Approval; message: string }
  /** This person may not decide. */
  | { kind: 'NotAllowed'; approval: Approval; message: string }

export interface Approvals {
  /**
   * Asks a question, once: when the very question is there already, it is returned as it stands.
   * One that was closed before (void, spent, or expired where expiry holds) is replaced by one without its decisions;
   * an answer that was given, a rejection above all, is never asked away.
   * @throws {KubeError}; {Error} when another object has the name.
   */
  ask(owner: Owner, question: ApprovalQuestion): Promise<Approval>
  /** Reads the newest version from the API server. */
  get(key: ApprovalKey): Promise<Approval | undefined>
  /**
   * Adds one decision. Two at once are both added, once each; a repeated `id` is added once, also by another replica.
   * @throws {KubeError} when the API server cannot be reached or refuses.
   */
  add(key: ApprovalKey, decision: Decision): Promise<DecisionResult>
  /** Writes what the decisions amount to into the status, when that has changed. Never reopens a closed question. */
  record(object: KubeObject): Promise<void>
  /** Closes a question for good: `Consumed` when its move was made, `Void` when it does not apply any more. */
  close(key: ApprovalKey, state: 'Void' | 'Consumed', message: string): Promise<void>
  /** Remembers the Slack message that asks, and a hash of what it says. */
  rememberMessage(key: ApprovalKey, message: NonNullable<ApprovalStatus['slack']>): Promise<void>
  /** Remembers the pull request that asks. */
  rememberPullRequest(key: ApprovalKey, pullRequest: NonNullable<ApprovalStatus['pullRequest']>): Promise<void>
  /** Notes what became of the rollout that asked; the first word stands. */
  recordOutcome(key: ApprovalKey, outcome: NonNullable<ApprovalStatus['outcome']>): Promise<void>
  /** Deletes all but the newest ten closed questions of a Rollout. Open ones stay. */
  prune(owner: Owner): Promise<void>
}

export interface ApprovalsConfig {
  client: KubeClient
  runtime: Runtime
  log: Logger
}

const fieldManager = 'sluice'
const attempts = 12
const keep = 10
/** Decisions that one person may make about one question; deploy/policies/approval-decisions.yaml says the same. */
const mostOfOne = 10

export function createApprovals({ client, runtime, log }: ApprovalsConfig): Approvals {
  const resource = resources.approvals

  async function get(key: ApprovalKey): Promise<Approval | undefined> {
    const object = await client.get(resource, { namespace: key.namespace, name: key.name })
    const approval = object === undefined ? undefined : readApproval(object)
    return approval === undefined || (key.uid !== undefined && key.uid !== approval.uid) ? undefined : approval
  }

  /** Patches exactly the version that was read. False when somebody else wrote in between. */
  async function patch(
    approval: Approval,
    ops: JsonPatchOperation[],
    subresource?: 'status',
  ): Promise<KubeObject | false> {
    const guard: JsonPatchOperation[] = [
      { op: 'test', path: '/metadata/uid', value: approval.uid },
      { op: 'test', path: '/metadata/resourceVersion', value: approval.resourceVersion },
    ]
    try {
      const { namespace, name } = approval
      const body: Patch = { type: 'json', ops: [...guard, ...ops] }
      return await client.patch(resource, { namespace, name }, body, { fieldManager, subresource })
    } catch (error) {
      const refusal = asKubeError(error)
      if (refusal === undefined || refusal.isNotFound) throw error
      if (refusal.isConflict || refusal.ambiguous) return false
      // A failed test and a refused object are both 422: only a newer version tells that it was the test.
      if (refusal.isInvalid && (await get(approval))?.resourceVersion !== approval.resourceVersion) return false
      throw error
    }
  }

  /** Reads, computes and patches until nobody else has written in between. */
  async function update<T>(key: ApprovalKey, change: (approval: Approval | undefined) => Change<T>): Promise<T> {
    for (let attempt = 0; ; attempt++) {
      const approval = await get(key)
      const step = change(approval)
      if (approval === undefined || step.ops === undefined) return step.result(approval)
      const written = await patch(approval, step.ops, step.subresource)
      if (written !== false) return step.result(readApproval(written) ?? approval)
      if (attempt >= attempts)
        throw new Error(`Approval ${key.namespace}/${key.name} is written by others all the time`)
      await runtime.sleep(runtime.random() * Math.min(200, 5 * 2 ** attempt))
    }
  }

  function writeStatus(approval: Approval, next: ApprovalStatus): JsonPatchOperation[] {
    return [{ op: 'add', path: '/status', value: { ...approval.status, ...next } }]
  }

  return {
    get,

    async ask(owner, question) {
      const object = buildApproval(owner, question)
      for (let attempt = 0; attempt < 3; attempt++) {
        try {
          const created = readApproval(await client.create(resource, object, { fieldManager }))
          if (created === undefined)
            throw new Error(`the API server changed Approval ${question.name} beyond recognition`)
          log.info({ rollout: `${owner.namespace}/${owner.name}`, approval: created.name }, 'asked for approval')
          return created
        } catch (error) {
          if (!asKubeError(error)?.isAlreadyExists) throw error
        }
        const key = { namespace: owner.namespace, name: question.name }
        const present = await client.get(resource, key)
        if (present === undefined) continue
        const approval = readApproval(present)
        const ownUid = present.metadata.ownerReferences?.some((reference) => reference.uid === owner.uid)
        const same = approval?.spec.digest === question.digest && approval.spec.rollout === owner.name && ownUid
        if (approval !== undefined && same && stands(approval, runtime.now())) return approval
        // Deleted by uid, so that a question which somebody asked anew meanwhile stays.
        await client.delete(resource, key, { preconditions: { uid: present.metadata.uid } })
        log.info({ rollout: `${owner.namespace}/${owner.name}`, approval: key.name }, 'asks a closed question anew')
      }
      throw new Error(`Approval ${owner.namespace}/${question.name} exists already and does not go away`)
    },

    add(key, decision) {
      return update<DecisionResult>(key, (approval) => {
        if (approval === undefined) return { result: () => ({ kind: 'Closed', message: 'This question is closed' }) }
        const why = reasonNotToAdd(approval, decision, runtime.now())
        if (why !== undefined) return { result: () => why }
        return {
          ops: [{ op: 'add', path: '/spec/decisions', value: [...approval.spec.decisions, decision] }],
          result: (now) => ({
            kind: 'Recorded',
            approval: now ?? approval,
            message: rule(now ?? approval, runtime.now()).message,
          }),
        }
      })
    },

    async record(object) {
      const approval = readApproval(object)
      if (approval === undefined || approval.deleting || statusToRecord(approval, runtime.now()) === undefined) return
      await update<void>(approval, (current) => {
        const next = current && statusToRecord(current, runtime.now())
        return current && next
          ? { ops: writeStatus(current, next), subresource: 'status', result: done }
          : { result: done }
      })
    },

    async close(key, state, message) {
      await update<void>(key, (approval) => {
        const closed = approval === undefined || rule(approval, runtime.now()).closed !== undefined
        if (closed) return { result: done }
        const { by } = rule(approval, runtime.now())
        return { ops: writeStatus(approval, { state, message, by }), subresource: 'status', result: done }
      })
    },

    async rememberMessage(key, slack) {
      await update<void>(key, (approval) => {
        const { channel, ts, shown } = approval?.status.slack ?? {}
        const known = channel === slack.channel && ts === slack.ts && shown === slack.shown
        return approval === undefined || known
          ? { result: done }
          : { ops: writeStatus(approval, { slack }), subresource: 'status', result: done }
      })
    },

    async rememberPullRequest(key, pullRequest) {
      await update<void>(key, (approval) =>
        approval === undefined || approval.status.pullRequest?.url === pullRequest.url
          ? { result: done }
          : { ops: writeStatus(approval, { pullRequest }), subresource: 'status', result: done },
      )
    },

    async recordOutcome(key, outcome) {
      await update<void>(key, (approval) =>
        approval === undefined || approval.status.outcome !== undefined
          ? { result: done }
          : { ops: writeStatus(approval, { outcome }), subresource: 'status', result: done },
      )
    },

    async prune(owner) {
      const labelSelector = `${rolloutLabel}=${rolloutLabelValue(owner.name)}`
      const { items } = await client.list(resource, { namespace: owner.namespace, labelSelector })
      const closed = items
        .map(readApproval)
        .filter((approval) => approval !== undefined)
        .filter((approval) => approval.spec.rollout === owner.name && !isOpen(approval, runtime.now()))
        .sort((a, b) => b.createdAt - a.createdAt || (a.name < b.name ? -1 : 1))
      for (const { namespace, name, uid } of closed.slice(keep)) {
        await client.delete(resource, { namespace, name }, { preconditions: { uid } })
      }
    },
  }
}

/** Whether a question of the same move is the one to go on with: it is open, or it has an answer that has to be heard. */
function stands(approval: Approval, now: number): boolean {
  const ruling = rule(approval, now)
  if (approval.deleting || ruling.closed !== undefined) return false
  return ruling.state !== 'Expired' || approval.spec.onExpiry === 'Reject'
}

interface Change<T> {
  /** What to write; left out when there is nothing to write. */
  ops?: JsonPatchOperation[]
  subresource?: 'status'
  result(approval: Approval | undefined): T
}

function done(): void {}

function reasonNotToAdd(approval: Approval, decision: Decision, now: number): DecisionResult | undefined {
  const { decisions, digest, allowed } = approval.spec
  // Of the same person: an id is free text for whoever writes through the API, and must not be able to stand for another's click.
  const isSame = ({ id, via, by }: Decision) => id === decision.id && via === decision.via && by === decision.by
  if (decision.id !== undefined && decisions.some(isSame)) {
    return { kind: 'Duplicate', approval, message: 'This decision was counted already' }
  }
  const ruling = rule(approval, now)
  if (!isOpen(approval, now)) return { kind: 'Closed', approval, message: `This question is closed. ${ruling.message}` }
  if (decision.digest !== digest) {
    return { kind: 'Closed', approval, message: 'This question is closed: it was asked for another move' }
  }
  const problem = isOverride(decision) ? overrideProblem(decision) : undefined
  if (problem !== undefined) return { kind: 'NotAllowed', approval, message: `This does not count: ${problem}` }
  if (!isOverride(decision) && !isAllowed(allowed, decision)) {
    return { kind: 'NotAllowed', approval, message: `${displayName(decision)} is not named in approval.from` }
  }
  const said = decisions.findLast(
    (earlier) =>
      earlier.via === decision.via &&
      earlier.by === decision.by &&
      earlier.verdict === decision.verdict &&
      isOverride(earlier) === isOverride(decision) &&
      earlier.digest === digest &&
      (isOverride(earlier) || isAllowed(allowed, earlier)) &&
      earlier.email === decision.email,
  )
  // Who approved for one time may approve for another.
  if (said !== undefined && said.notBefore === decision.notBefore)
    return { kind: 'Duplicate', approval, message: `${displayName(decision)} said so already. ${ruling.message}` }
  // A question holds a hundred: one person is not to leave no room for the others' no.
  if (decisions.filter(({ via, by }) => via === decision.via && by === decision.by).length >= mostOfOne) {
    return { kind: 'Closed', approval, message: `${displayName(decision)} has decided ${mostOfOne} times already` }
  }
  if (decisions.length >= 100) {
    return { kind: 'Closed', approval, message: 'This question is closed: it holds as many decisions as it can' }
  }
  return undefined
}
