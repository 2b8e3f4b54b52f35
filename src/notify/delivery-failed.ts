/** An attempt to tell somebody something that did not work. Its message holds no URL path, token or body. */
export class DeliveryFailed extends Error {
  override readonly name = 'DeliveryFailed'
  /** Trying again is of no use. */
  readonly permanent: boolean
  /** How long the other side asked to be left alone, in milliseconds. */
  readonly retryAfterMs: number | undefined
  /** What the other side calls the failure, where it says so: Slack's `not_in_channel` and so on. */
  readonly code: string | undefined

  constructor(message: string, init: { permanent: boolean; retryAfterMs?: number; code?: string }) {
    super(message)
    this.permanent = init.permanent
    this.retryAfterMs = init.retryAfterMs
    this.code = init.code
  }
}

/** Reads a Retry-After header: seconds, or an HTTP date against `now` (epoch ms). Milliseconds, at most an hour. */
export function parseRetryAfter(value: string | null | undefined, now: number): number | undefined {
  if (!value) return undefined
  const ms = /^\d+$/.test(value.trim()) ? Number(value) * 1000 : Date.parse(value) - now
  return Number.isFinite(ms) ? Math.min(Math.max(ms, 0), 3_600_000) : undefined
}
