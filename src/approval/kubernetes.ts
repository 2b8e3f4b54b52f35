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
  answer: { verdict: Decision['verdict']; reason?: string; id: string; at: number },
): Decision {
  const { verdict, reason, id, at } = answer
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
    id,
  }
}
