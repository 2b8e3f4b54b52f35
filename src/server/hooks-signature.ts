import { createHash, createHmac, type Hmac, timingSafeEqual } from 'node:crypto'

/** Who sends a webhook, by the header with which it proves itself. */
export type HookSender = 'GitHub' | 'GitLab' | 'Gitea' | 'Bitbucket' | 'Standard Webhooks' | 'Sluice' | 'Other'

/** A proof that arrives with a webhook, to be compared when the whole body has been seen. */
interface Claim {
  sender: HookSender
  hmac?: Hmac
  /** What is right, once the body is known: raw bytes, or the digest of a token. */
  expected(): Buffer
  presented: Buffer
}

/** Checks a body while it passes by, so that nothing of it has to be kept. */
export interface HookCheck {
  update(chunk: Uint8Array): void
  /** Who sent it; undefined when nothing that was presented is right. Called once, after the whole body. */
  sender(): HookSender | undefined
}

/** How far the clock of a sender that signs the time may be off, ms. */
const WINDOW_MS = 5 * 60_000

/**
 * The proofs that forges send: an HMAC-SHA256 of the raw body in hex (GitHub and Bitbucket with `sha256=` before it, Gitea and Forgejo
 * without), GitLab's secret token itself, its signing token (standardwebhooks.com: base64 over `id.timestamp.body`), and what Sluice itself
 * sends (`v1:timestamp:body`). Any one that is right will do; all are compared in constant time. `token` undefined: nothing is right, at
 * the same cost.
 */
export function checkHook(
  token: string | undefined,
  header: (name: string) => string | undefined,
  now: number,
): HookCheck {
  const key = token ?? 'nobody knows this'
  const claims: Claim[] = []
  const signed = (sender: HookSender, presented: Buffer | undefined, prefix = '', secret: string | Buffer = key) => {
    if (!presented || presented.length === 0) return
    const hmac = createHmac('sha256', secret).update(prefix)
    claims.push({ sender, hmac, expected: () => hmac.digest(), presented })
  }
  const fresh = (timestamp: string) => Math.abs(now - Number(timestamp) * 1000) <= WINDOW_MS

  const bare = hex(header('x-forgejo-signature') ?? header('x-gitea-signature'))
  if (bare) signed('Gitea', bare)
  else signed('GitHub', prefixed(header('x-hub-signature-256')))
  // GitHub sends the same header with SHA-1, which is not looked at.
  signed('Bitbucket', prefixed(header('x-hub-signature')))
  signed('Other', prefixed(header('x-signature-256')))

  const gitlab = header('x-gitlab-token')
  if (gitlab) claims.push({ sender: 'GitLab', expected: () => digest(key), presented: digest(gitlab) })

  const [id, at, versions] = ['webhook-id', 'webhook-timestamp', 'webhook-signature'].map(header)
  if (id && at && versions && fresh(at)) {
    const secret = /^whsec_/.test(key) ? Buffer.from(key.slice('whsec_'.length), 'base64') : key
    // Several while the token is being rotated.
    for (const one of versions.split(' ').slice(0, 5)) {
      if (one.startsWith('v1,'))
        signed('Standard Webhooks', Buffer.from(one.slice(3), 'base64'), `${id}.${at}.`, secret)
    }
  }
  const ours = header('x-sluice-timestamp')
  if (ours && fresh(ours))
    signed('Sluice', hex(/^v1=(.*)$/.exec(header('x-sluice-signature') ?? '')?.[1]), `v1:${ours}:`)

  return {
    update(chunk) {
      for (const { hmac } of claims) hmac?.update(chunk)
    },
    sender() {
      const right = claims.filter(({ expected, presented }) => {
        const wanted = expected()
        return presented.length === wanted.length && timingSafeEqual(presented, wanted)
      })
      return token === undefined ? undefined : right[0]?.sender
    },
  }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

function prefixed(value: string | undefined): Buffer | undefined {
  return hex(/^sha256=(.*)$/i.exec(value?.trim() ?? '')?.[1])
}

function hex(value: string | undefined): Buffer | undefined {
  return value !== undefined && /^[0-9a-f]{64}$/i.test(value.trim()) ? Buffer.from(value.trim(), 'hex') : undefined
}
