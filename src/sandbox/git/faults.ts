/** Ways in which a Git remote fails, switched on and off while it runs. */
export interface GitFaults {
  /** Connections are dropped at once, as by a machine that is gone. */
  down: boolean
  /** Every request waits this long first, in milliseconds; Infinity never answers. */
  delayMs: number
  /** Pushes are declined by the pre-receive hook, which prints this. */
  rejectPush: string | undefined
  /** Every request is answered with this HTTP status. */
  status: number | undefined
  /** The next this many pushes are carried out, but the connection breaks before the answer. */
  loseAnswers: number
  /** Back to a remote without faults. */
  clear(): void
}

export function createFaults(): GitFaults {
  const none = { down: false, delayMs: 0, rejectPush: undefined, status: undefined, loseAnswers: 0 }
  const faults: GitFaults = { ...none, clear: () => void Object.assign(faults, none) }
  return faults
}
