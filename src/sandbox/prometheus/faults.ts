/** What can be wrong with a Prometheus, all at once or one by one; `noFaults` is a healthy one. */
export interface FaultState {
  /** Nobody listens on the port, or connections are reset as soon as a request arrives. */
  outage: 'refused' | 'reset' | undefined
  /** Every API answer is this late. */
  latencyMs: number
  /** Every API request is answered with this HTTP status: Prometheus's own error body for 400, 422, 500 and 503. */
  status: number | undefined
  /** Every API request is answered 200 with an HTML page, as a login proxy does. */
  html: boolean
  /** Every API request is answered 200 with JSON that breaks off in the middle. */
  garbage: boolean
  /** The answer starts and never ends. */
  stalled: boolean
  /** What queries answer instead of the truth. */
  answers: 'nan' | 'inf' | 'empty' | undefined
  /** No more scrapes: samples grow old, no series is marked stale, queries still work. */
  stale: boolean
  /** Warnings added to every answer. */
  warnings: readonly string[]
}

export const noFaults: FaultState = {
  outage: undefined,
  latencyMs: 0,
  status: undefined,
  html: false,
  garbage: false,
  stalled: false,
  answers: undefined,
  stale: false,
  warnings: [],
}

/** Fault switches of a running sandbox Prometheus. */
export interface PrometheusFaults {
  readonly current: Readonly<FaultState>
  /** Sets the named faults and leaves the others; resolves once they hold for the next request. */
  set(faults: Partial<FaultState>): Promise<void>
  /** Makes Prometheus healthy again; stalled answers are cut off. */
  clear(): Promise<void>
}
