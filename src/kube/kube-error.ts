/** What the API server adds to a refusal: the object concerned and one cause per field. */
export interface KubeErrorDetails {
  name?: string
  group?: string
  kind?: string
  retryAfterSeconds?: number
  causes?: KubeErrorCause[]
}

export interface KubeErrorCause {
  /** Machine-readable, for example `FieldValueInvalid` or `FieldManagerConflict`. */
  reason?: string
  message?: string
  field?: string
}

export interface KubeErrorInit {
  status: number
  reason: string
  retryAfterMs?: number
  details?: KubeErrorDetails
  /** True when a write may have taken effect although no answer arrived. */
  ambiguous?: boolean
  cause?: unknown
}

const transientStatuses: ReadonlySet<number> = new Set([408, 429, 500, 502, 503, 504])

/**
 * Any failed request to the API server. `status` is the HTTP status, or 0 when no answer arrived
 * (`reason` is then `Unreachable`, `Untrusted` (TLS), `ConnectionLost`, `Timeout`, `BadResponse` or `Credentials`).
 * Messages and fields never hold request headers, tokens or bodies.
 */
export class KubeError extends Error {
  override readonly name = 'KubeError'
  readonly status: number
  readonly reason: string
  /** How long the server asked to be left alone, in milliseconds. */
  readonly retryAfterMs: number | undefined
  readonly details: KubeErrorDetails | undefined
  /** True when a write may have taken effect although no answer arrived: read before you repeat it. */
  readonly ambiguous: boolean

  constructor(message: string, init: KubeErrorInit) {
    super(message, init.cause === undefined ? undefined : { cause: init.cause })
    this.status = init.status
    this.reason = init.reason
    this.retryAfterMs = init.retryAfterMs
    this.details = init.details
    this.ambiguous = init.ambiguous ?? false
  }

  /** No such object, or no such resource (its CRD is not installed). */
  get isNotFound(): boolean {
    return this.status === 404
  }

  /** Someone else wrote first, or another field manager owns the field: read again, then decide. */
  get isConflict(): boolean {
    return this.status === 409 && this.reason !== 'AlreadyExists'
  }

  get isAlreadyExists(): boolean {
    return this.status === 409 && this.reason === 'AlreadyExists'
  }

  /** The resourceVersion or continue token is too old: list again. */
  get isGone(): boolean {
    return this.status === 410 || this.reason === 'Expired'
  }

  /** The object was refused: validation, an admission policy, or a failed JSON patch `test`. */
  get isInvalid(): boolean {
    return this.status === 422
  }

  get isForbidden(): boolean {
    return this.status === 401 || this.status === 403
  }

  /** Worth trying again later, unchanged. */
  get isTransient(): boolean {
    return this.status === 0 || transientStatuses.has(this.status)
  }
}

/** The KubeError in `error`, or undefined when it is something else. */
export function asKubeError(error: unknown): KubeError | undefined {
  return error instanceof KubeError ? error : undefined
}
