import { createHmac, timingSafeEqual } from 'node:crypto'

/** Older or younger requests are refused; what Slack recommends. */
const windowMs = 5 * 60_000

/**
 * Signs a request as Slack does: `v0=` and the hex HMAC-SHA256 of `v0:<timestamp>:<raw body>`
 * (docs.slack.dev, "Verifying requests from Slack"). For tests and scripted approvers.
 * @param timestamp seconds since the epoch.
 */
export function signSlackRequest(secret: string, body: string | Buffer, timestamp: number | string): string {
  return `v0=${createHmac('sha256', secret).update(`v0:${timestamp}:`).update(body).digest('hex')}`
}

export type SignatureCheck =
  /** `seal` identifies this very request, whichever secret signed it. */
  { ok: true; seal: string } | { ok: false; why: 'missing' | 'old' | 'wrong' }

export interface SignedRequest {
  body: Buffer
  /** Header x-slack-request-timestamp. */
  timestamp: string | undefined
  /** Header x-slack-signature. */
  signature: string | undefined
}

/**
 * Checks a request against each of `secrets` (several while one is being rotated), over the bytes that arrived, in a time
 * that does not depend on where a signature differs. `now` is epoch ms.
 */
export function verifySlackRequest(secrets: readonly string[], request: SignedRequest, now: number): SignatureCheck {
  const { body, timestamp, signature } = request
  if (!timestamp || !signature || !/^\d{1,12}$/.test(timestamp)) return { ok: false, why: 'missing' }
  if (!(Math.abs(now - Number(timestamp) * 1000) <= windowMs)) return { ok: false, why: 'old' }
  const given = Buffer.from(signature)
  let matches = false
  for (const secret of secrets) {
    if (secret === '') continue
    const expected = Buffer.from(signSlackRequest(secret, body, timestamp))
    const equal = given.length === expected.length && timingSafeEqual(given, expected)
    matches = equal || matches
  }
  return matches ? { ok: true, seal: signature } : { ok: false, why: 'wrong' }
}

/** Remembers requests that were let in, for as long as their timestamp would be accepted again. */
export interface ReplayGuard {
  /** True the first time a seal is seen. */
  admit(seal: string, now: number): boolean
}

/**
 * A guard with room for `capacity` requests; the oldest makes way. Only signed requests get here, and a decision also
 * carries an id that every replica honours, so that a request which slips through still counts once.
 */
export function createReplayGuard(capacity = 10_000): ReplayGuard {
  const seen = new Map<string, number>()
  return {
    admit(seal, now) {
      for (const [old, at] of seen) {
        if (now - at <= 2 * windowMs && seen.size < capacity) break
        seen.delete(old)
      }
      if (seen.has(seal)) return false
      seen.set(seal, now)
      return true
    },
  }
}
