import type { Logger } from 'pino'
import type { Approvals, DecisionResult } from '../approval/approvals.ts'
import { approvalWebhook } from '../approval/webhook.ts'
import type { KubeObject } from '../kube/object.ts'
import type { Runtime } from '../runtime.ts'
import type { Endpoint } from '../server/endpoint.ts'
import type { NamedSecrets } from './secrets.ts'

export interface ApprovalHooksOptions {
  /** An Approval as this replica knows it. */
  approval(key: string): KubeObject | undefined
  approvals: Pick<Approvals, 'add'>
  secrets: NamedSecrets
  onResult(result: DecisionResult['kind']): void
  runtime: Pick<Runtime, 'now'>
  log: Logger
}

/** A key that was just read and did not fit is read again after this, ms: strangers must not make us ask the API server. */
const KEY_AGE_MS = 5_000

/** A Secret is a key of approvers only where it says so: other Secrets of the namespace are nobody's signature. */
export const webhookLabel = 'sluice.dev/webhook'

/** Decisions by webhook, on every replica: `webhook:<name>` in `approval.from` is whoever holds the key in the Secret `<name>`. */
export function approvalHooks({ secrets, ...options }: ApprovalHooksOptions): Endpoint {
  return approvalWebhook({
    ...options,
    async keysOf(namespace, name, newer) {
      const secret = await secrets.read(namespace, name, newer ? KEY_AGE_MS : undefined)
      if (!secret.ok) return secret
      if (secret.label(webhookLabel) !== 'approver')
        return { ok: false, message: `the Secret ${namespace}/${name} has no label ${webhookLabel}: approver` }
      const keys = ['key', 'previousKey'].flatMap((field) => secret.text(field) || [])
      if (keys.length === 0) return { ok: false, message: `the Secret ${namespace}/${name} has no key` }
      return { ok: true, keys }
    },
  })
}
