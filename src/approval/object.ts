import { z } from 'zod'
import { type ApprovalSpec, type ApprovalStatus, approvalSpec, approvalStatus } from '../api/approval.ts'
import type { KubeObject } from '../kube/object.ts'
import { apiVersionOf } from '../kube/object.ts'
import { resources } from '../kube/resources.ts'
import type { ApprovalQuestion } from '../plan/effects.ts'
import type { ApprovalObservation } from '../plan/observation.ts'
import { decide, type Ruling } from './decide.ts'
import { rolloutLabel, rolloutLabelValue } from './name.ts'

/** An Approval as read from the cluster. */
export interface Approval {
  namespace: string
  name: string
  uid: string
  resourceVersion: string
  createdAt: number
  deleting: boolean
  spec: ApprovalSpec
  status: ApprovalStatus
}

/** States after which a question is closed for good; nothing that people say later counts. */
const final: ReadonlySet<string> = new Set(['Rejected', 'Expired', 'Void', 'Consumed'])

/** The Rollout that owns an Approval. */
export interface Owner {
  namespace: string
  name: string
  uid: string
}

/** The object that asks `question`, as it is to be created. */
export function buildApproval(owner: Owner, question: ApprovalQuestion): KubeObject {
  const spec: ApprovalSpec = {
    rollout: owner.name,
    revision: question.revision,
    step: question.step,
    steps: question.steps,
    from: question.from,
    to: question.to,
    digest: question.digest,
    required: question.required,
    // Whose word is asked for may give it.
    allowed: [...new Set([...question.allowed, ...(question.requiredFrom ?? [])])],
    ...(question.requiredFrom ? { requiredFrom: question.requiredFrom } : {}),
    ...(question.change ? { change: fitted(question.change) } : {}),
    separationOfDuties: question.separationOfDuties,
    authors: question.authors.flatMap(peopleIn).slice(0, 20),
    expiresAt: new Date(question.expiresAt).toISOString(),
    onExpiry: question.onExpiry,
    evidence: question.evidence.slice(0, 50).map((line) => line.slice(0, 500)),
    decisions: [],
  }
  const apiVersion = apiVersionOf(resources.approvals)
  return {
    apiVersion,
    kind: resources.approvals.kind,
    metadata: {
      namespace: owner.namespace,
      name: question.name,
      labels: { [rolloutLabel]: rolloutLabelValue(owner.name) },
      ownerReferences: [
        { apiVersion, kind: resources.rollouts.kind, name: owner.name, uid: owner.uid, controller: true },
      ],
    },
    spec,
  }
}

/** What Git and registries say has no limit, and the API server takes no object with a longer text: then nobody would be asked. */
function fitted({ from, to, author, compareUrl, commits, ...rest }: NonNullable<ApprovalQuestion['change']>) {
  const cut = (text: string, longest: number) => text.slice(0, longest).toWellFormed()
  const version = (of: { revision: string; image?: string }) => {
    return { ...of, ...(of.image === undefined ? {} : { image: cut(of.image, 1_024) }) }
  }
  return {
    ...rest,
    ...(from ? { from: version(from) } : {}),
    to: version(to),
    ...(author === undefined ? {} : { author: cut(author, 512) }),
    ...(compareUrl === undefined || compareUrl.length > 2_048 ? {} : { compareUrl }),
    ...(commits
      ? {
          commits: commits.slice(0, 20).map(({ sha, subject, author }) => {
            return { sha, subject: cut(subject, 300), author: cut(author, 300) }
          }),
        }
      : {}),
  } satisfies ApprovalSpec['change']
}

/** The people of `Ann <ann@example.com>, Lee <lee@example.com>`, one by one. Who does not fit is not known: an address that is cut is another's. */
function peopleIn(authors: string): string[] {
  return authors.split(/(?<=>), /).map((one) => (one.length <= 253 ? one : 'somebody with a very long name'))
}

const known = z.object({ spec: approvalSpec, status: approvalStatus.optional() })

/** Reads an object; undefined when it is no Approval that Sluice could have asked (fields missing or of a wrong type). */
export function readApproval(object: KubeObject): Approval | undefined {
  const parsed = known.safeParse(object)
  const { namespace, name, uid, resourceVersion, creationTimestamp, deletionTimestamp } = object.metadata
  if (!parsed.success || namespace === undefined || uid === undefined || resourceVersion === undefined) return undefined
  return {
    namespace,
    name,
    uid,
    resourceVersion,
    createdAt: Date.parse(creationTimestamp ?? '') || 0,
    deleting: deletionTimestamp !== undefined,
    spec: parsed.data.spec,
    status: parsed.data.status ?? {},
  }
}

/**
 * What an Approval says at `now`: the ruling on its decisions, except that a recorded end stays the end.
 * So a decision that is dated back, or added after the question was closed, moves nothing.
 */
export function rule(approval: Approval, now: number): Ruling & { closed?: 'Void' | 'Consumed' } {
  const ruling = decide(approval.spec, now)
  const { state, message, by } = approval.status
  if (state === undefined || !final.has(state)) return ruling
  if (state === 'Void' || state === 'Consumed') {
    return { ...ruling, message: message ?? 'This question is closed', closed: state }
  }
  if (state === ruling.state) return ruling
  return {
    ...ruling,
    state: state === 'Rejected' ? 'Rejected' : 'Expired',
    by: by ?? [],
    message: message ?? ruling.message,
    notBefore: undefined,
    override: undefined,
  }
}

/** Whether people can still decide. */
export function isOpen(approval: Approval, now: number): boolean {
  const ruling = rule(approval, now)
  return (
    !approval.deleting && ruling.closed === undefined && (ruling.state === 'Pending' || ruling.state === 'Approved')
  )
}

/**
 * An Approval as `plan` sees it. Undefined when there is nothing to see: the object cannot be read, is being deleted, or
 * the question is void or spent, and so has to be asked again before anything moves.
 */
export function observeApproval(object: KubeObject, now: number): ApprovalObservation | undefined {
  const approval = readApproval(object)
  if (approval === undefined || approval.deleting) return undefined
  const ruling = rule(approval, now)
  if (ruling.closed !== undefined) return undefined
  return {
    name: approval.name,
    digest: approval.spec.digest,
    state: ruling.state,
    by: ruling.by,
    ...(ruling.reason === undefined ? {} : { reason: ruling.reason }),
    ...(ruling.notBefore === undefined ? {} : { notBefore: ruling.notBefore }),
    ...(ruling.override === undefined ? {} : { override: ruling.override }),
  }
}

/** The status that says what an Approval amounts to at `now`, or undefined when it already says so. */
export function statusToRecord(approval: Approval, now: number): ApprovalStatus | undefined {
  const ruling = rule(approval, now)
  if (ruling.closed !== undefined) return undefined
  const { state, message, by, refused } = ruling
  const notBefore = ruling.notBefore === undefined ? undefined : new Date(ruling.notBefore).toISOString()
  const next = { state, message, by, refused, notBefore }
  const recorded = approval.status
  const current = {
    state: recorded.state,
    message: recorded.message,
    by: recorded.by ?? [],
    refused: recorded.refused ?? [],
    notBefore: recorded.notBefore,
  }
  return JSON.stringify(current) === JSON.stringify(next) ? undefined : next
}
