import { z } from 'zod'
import type { Decision } from '../api/approval.ts'
import type { KubeClient } from '../kube/client.ts'
import type { Approval } from './object.ts'

/** A person as the API server knows them. */
export interface KubernetesUser {
  name: string
  groups: string[]
}

const review = z.object({
  status: z.object({ userInfo: z.object({ username: z.string().min(1), groups: z.array(z.string()).optional() }) }),
})

/**
 * Asks the API server who the credentials in use belong to (SelfSubjectReview, authentication.k8s.io/v1, Kubernetes ≥ 1.28).
 * @throws {KubeError}; {Error} when the answer has no user.
 */
export async function whoAmI(client: Pick<KubeClient, 'request'>): Promise<KubernetesUser> {
  const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview', metadata: {} }
  const path = '/apis/authentication.k8s.io/v1/selfsubjectreviews'
  const parsed = review.safeParse(await client.request('POST', path, { body }))
  if (!parsed.success) throw new Error('the API server did not say who you are', { cause: parsed.error })
  const { username, groups = [] } = parsed.data.status.userInfo
  return { name: username, groups }
}

/**
 * A decision of a Kubernetes user, to be added with `Approvals.add` under that user's own credentials. An admission policy
 * holds everybody but Sluice to this form: `by` is the user, `groups` are the user's, and no address.
 */
export function kubernetesDecision(
  approval: Approval,
  user: KubernetesUser,
  answer: {
    verdict: Decision['verdict']
    reason?: string
    id: string
    at: number
    /** Approve for later, epoch ms. */
    notBefore?: number
    /** Approve against the rules; takes the verb `override` and a reason. */
    override?: boolean
  },
): Decision {
  const { verdict, reason, id, at, notBefore, override } = answer
  const wanted = new Set(approval.spec.allowed)
  return {
    verdict,
    by: `user:${user.name}`,
    // Only the groups that matter here: a list of hundreds would not fit, and is nobody's business.
    groups: user.groups.filter((group) => wanted.has(`group:${group}`)),
    via: 'kubernetes',
    digest: approval.spec.digest,
    ...(reason === undefined ? {} : { reason }),
    at: new Date(at).toISOString(),
    ...(notBefore === undefined ? {} : { notBefore: new Date(notBefore).toISOString() }),
    ...(override ? { override } : {}),
    id,
  }
}

const access = z.object({ status: z.object({ allowed: z.boolean() }) })

/**
 * Asks the API server whether the credentials in use may override this question (SelfSubjectAccessReview). For a better
 * refusal only: what counts is that an admission policy asks it again.
 * @throws {KubeError}
 */
export async function mayOverride(client: Pick<KubeClient, 'request'>, approval: Approval): Promise<boolean> {
  const { namespace, name } = approval
  const resourceAttributes = { group: 'sluice.dev', resource: 'approvals', verb: 'override', namespace, name }
  const body = {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SelfSubjectAccessReview',
    metadata: {},
    spec: { resourceAttributes },
  }
  const path = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews'
  return access.safeParse(await client.request('POST', path, { body })).data?.status.allowed === true
}
