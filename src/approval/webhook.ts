import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Logger } from 'pino'
import { z } from 'zod'
import type { Decision } from '../api/approval.ts'
import { asKubeError } from '../kube/kube-error.ts'
import type { KubeObject } from '../kube/object.ts'
import type { Runtime } from '../runtime.ts'
import type { Endpoint, EndpointAnswer, EndpointRequest } from '../server/endpoint.ts'
import type { Approvals, DecisionResult } from './approvals.ts'
import { readApproval, rule } from './object.ts'

/** The keys of one name: the present one, and the one before while it is being rotated. */
export type WebhookKeys = { ok: true; keys: readonly string[] } | { ok: false; message: string }

export interface ApprovalWebhookConfig {
  /** The Approval of a key (`namespace/name`) as the cache knows it: strangers' requests ask nothing of the API server. */
  approval(key: string): KubeObject | undefined
  approvals: Pick<Approvals, 'add'>
  /** The keys of `webhook:<name>` in a namespace. `newer`: the known ones have just failed. */
  keysOf(namespace: string, name: string, newer: boolean): Promise<WebhookKeys>
  runtime: Pick<Runtime, 'now'>
  log: Logger
  /** Told about every decision of a key holder, for metrics. */
  onResult?: (result: DecisionResult['kind']) => void
}

/** How far the clock of a sender may be off, ms. */
const WINDOW_MS = 5 * 60_000
/** A key can be guessed when it is shorter. */
const SHORTEST_KEY = 16
const MAX_BODY_BYTES = 64 * 1024

const said = z.strictObject({
  verdict: z.enum(['Approve', 'Reject']),
  digest: z.string().min(1).max(128),
  id: z.string().min(1).max(128),
  reason: z.string().max(1000).optional(),
})

const unknown: EndpointAnswer = {
  status: 401,
  json: {
    error:
      'no open question of this name is asked of a key that made this signature; the log of the controller says why',
  },
}

/**
 * The signature of a decision, as Sluice also signs what it sends: `v1=` and the hex HMAC-SHA256 of `v1:<timestamp>:<raw body>`.
 * @param timestamp seconds since the epoch.
 */
export function signApproval(key: string, timestamp: number | string, body: string | Buffer): string {
  return `v1=${createHmac('sha256', key).update(`v1:${timestamp}:`).update(body).digest('hex')}`
}

/**
 * POST /hooks/approvals/NAMESPACE/APPROVAL: the holder of a key that stands in `approval.from` as `webhook:<name>` decides, in that name.
 * The signature is over the bytes that arrived and the time, compared in constant time; the digest in the body binds it to one move, and
 * the id lets it count once, whichever replica hears it. Whoever cannot sign learns nothing, not even what is asked.
 */
export function approvalWebhook(config: ApprovalWebhookConfig): Endpoint {
  const { approvals, runtime, log, onResult } = config
  return {
    path: '/hooks/approvals/:namespace/:name',
    maxBodyBytes: MAX_BODY_BYTES,

    async handle(request) {
      const { namespace = '', name = '' } = request.params
      const key = `${namespace}/${name}`
      const object = config.approval(key)
      const approval = object && readApproval(object)
      const entries = (approval?.spec.allowed ?? []).filter((entry) => entry.startsWith('webhook:'))
      const names = entries.map((entry) => entry.slice('webhook:'.length))
      const signer = await signerOf(config, namespace, names, request)
      if (approval === undefined || 'why' in signer) {
        const why = approval === undefined ? 'unknown question' : 'why' in signer ? signer.why : ''
        log.warn({ approval: key.slice(0, 320), why }, 'approval webhook refused')
        return unknown
      }

      const by = `webhook:${signer.name}`
      const parsed = said.safeParse(jsonOf(request.body))
      if (!parsed.success) {
        const message = z.prettifyError(parsed.error).split('\n')[0]?.replace(/^✖ /, '') ?? 'malformed'
        log.warn({ approval: key, by, why: message }, 'approval webhook refused')
        return { status: 400, json: { error: `the body cannot be understood: ${message}` } }
      }
      const { id, ...answer } = parsed.data
      const at = new Date(runtime.now()).toISOString()
      const decision: Decision = { ...answer, by, via: 'webhook', at, id: `${by}/${id}` }
      const result = await approvals.add({ namespace, name, uid: approval.uid }, decision).catch((error: unknown) => {
        const failure = asKubeError(error)
        if (failure === undefined) throw error
        log.warn({ err: failure, approval: key, by }, 'approval webhook not recorded')
        return undefined
      })
      if (result === undefined) return { status: 503, json: { error: 'the API server did not take it; try again' } }
      onResult?.(result.kind)
      const facts = { approval: key, by, verdict: answer.verdict, result: result.kind, message: result.message }
      if (result.kind === 'Recorded') log.info(facts, 'approval webhook recorded')
      else log.warn(facts, 'approval webhook changed nothing')
      return answerTo(result, runtime.now())
    },
  }
}

function answerTo(result: DecisionResult, now: number): EndpointAnswer {
  const { kind, message } = result
  const ruling = result.approval && rule(result.approval, now)
  const json = { result: kind, message, ...(ruling ? { state: ruling.closed ?? ruling.state } : {}) }
  switch (kind) {
    case 'Recorded':
    case 'Duplicate':
      return { status: 200, json }
    case 'Closed':
      return { status: 409, json: { ...json, error: message } }
    case 'NotAllowed':
      return { status: 403, json: { ...json, error: message } }
  }
}

/** Whose key made the signature. Keys that were changed are read anew before anybody is turned away. */
async function signerOf(
  { keysOf, runtime }: ApprovalWebhookConfig,
  namespace: string,
  names: readonly string[],
  { header, body }: EndpointRequest,
): Promise<{ name: string } | { why: string }> {
  const timestamp = header('x-sluice-timestamp')
  const given = header('x-sluice-signature')
  if (!timestamp || !given || !/^\d{1,12}$/.test(timestamp)) return { why: 'no signature' }
  if (!(Math.abs(runtime.now() - Number(timestamp) * 1000) <= WINDOW_MS)) return { why: 'old or future timestamp' }
  if (names.length === 0) return { why: 'no key is asked' }
  let why = 'wrong signature'
  for (const newer of [false, true]) {
    for (const name of names) {
      const found = await keysOf(namespace, name, newer)
      if (!found.ok) {
        why = found.message
        continue
      }
      const long = found.keys.filter((key) => key.length >= SHORTEST_KEY)
      if (long.length < found.keys.length) why = `a key of ${name} has fewer than ${SHORTEST_KEY} characters`
      if (matches(long, timestamp, body, given)) return { name }
    }
  }
  return { why }
}

function matches(keys: readonly string[], timestamp: string, body: Buffer, given: string): boolean {
  const presented = Buffer.from(given)
  let right = false
  for (const key of keys) {
    const expected = Buffer.from(signApproval(key, timestamp, body))
    const same = presented.length === expected.length && timingSafeEqual(presented, expected)
    right = same || right
  }
  return right
}

function jsonOf(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'))
  } catch {
    return undefined
  }
}
