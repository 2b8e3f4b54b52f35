import type { Logger } from 'pino'
import { createApprovals } from '../../approval/approvals.ts'
import { readApproval } from '../../approval/object.ts'
import { approveAction, buttonValue } from '../../approval/slack-click.ts'
import { signSlackRequest } from '../../approval/slack-signature.ts'
import type { KubeClient } from '../../kube/client.ts'
import type { KubeObject } from '../../kube/object.ts'
import type { Runtime } from '../../runtime.ts'
import { APPROVER } from './stage.ts'

/** Clicks Approve as Slack would deliver it: a signed request to the controller's endpoint. Answers with the HTTP status. */
export async function clickApprove(
  object: KubeObject,
  controllerUrl: string,
  secret: string,
  now: number,
): Promise<number> {
  const approval = readApproval(object)
  if (!approval) throw new Error('the Approval cannot be read')
  const { namespace: ns, name, uid, spec } = approval
  const payload = {
    type: 'block_actions',
    user: { id: APPROVER },
    actions: [
      {
        action_id: approveAction,
        value: buttonValue({ ns, name, uid, digest: spec.digest }),
        action_ts: String(now / 1000),
      },
    ],
  }
  const body = new URLSearchParams({ payload: JSON.stringify(payload) }).toString()
  const timestamp = Math.floor(now / 1000)
  const response = await fetch(`${controllerUrl}/slack/interactions`, {
    method: 'POST',
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      'x-slack-request-timestamp': String(timestamp),
      'x-slack-signature': signSlackRequest(secret, body, timestamp),
    },
    body,
  })
  return response.status
}

/** Approves as the person at the terminal. */
export async function approveHere(
  object: KubeObject,
  parts: { client: KubeClient; runtime: Runtime; log: Logger },
): Promise<void> {
  const approval = readApproval(object)
  if (!approval) throw new Error('the Approval cannot be read')
  await createApprovals(parts).add(
    { namespace: approval.namespace, name: approval.name, uid: approval.uid },
    {
      verdict: 'Approve',
      by: 'user:kubernetes-admin',
      via: 'kubernetes',
      digest: approval.spec.digest,
      at: new Date(parts.runtime.now()).toISOString(),
    },
  )
}
