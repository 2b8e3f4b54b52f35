import type { Runtime } from '../../runtime.ts'

/** What a fault can be aimed at. */
export interface FaultTarget {
  verb: string
  group: string
  resource: string
  subresource: string | undefined
  namespace: string | undefined
  name: string | undefined
  user: string
  userAgent: string
  path: string
}

/** One disturbance. Without `match` it meets every request; without `probability` always; without `count` for ever. */
export interface Fault {
  match?: (target: FaultTarget) => boolean
  /** Only requests of this user. */
  user?: string
  /** Only requests whose User-Agent starts with this. */
  userAgent?: string
  probability?: number
  /** How many requests it meets before it is spent. */
  count?: number
  /** Answer with this status instead of serving. */
  error?: number
  /** Seconds, sent with the error. */
  retryAfter?: number
  /** Wait before serving (or before the error). */
  latencyMs?: number
  /** Cut the connection without an answer. */
  reset?: boolean
  /** Do the work, then cut the connection: the client cannot know. */
  resetAfter?: boolean
  /** Never answer. */
  stall?: boolean
}

/** Switches by which tests disturb the server; with a seed, the same requests meet the same faults. */
export interface Faults {
  /** Replaces all faults. */
  set(...faults: Fault[]): void
  add(fault: Fault): () => void
  clear(): void
  /** Ends the watches that are open now (of whom `match` names); their connections are cut. */
  dropWatches(match?: (target: FaultTarget) => boolean): void
  /** While on, watches stay open and say nothing: neither events nor bookmarks. Events are not sent later either. */
  silenceWatches(on: boolean, match?: (target: FaultTarget) => boolean): void
}

export interface FaultDecision {
  delayMs: number
  effect: 'none' | 'error' | 'reset' | 'resetAfter' | 'stall'
  error: number
  retryAfter: number | undefined
}

export interface FaultMachine extends Faults {
  decide(target: FaultTarget): FaultDecision
  isSilent(target: FaultTarget): boolean
}

/** @param watches the open watches, by target, to be cut */
export function createFaults(
  random: Runtime['random'],
  watches: () => Iterable<{ target: FaultTarget; drop(): void }>,
): FaultMachine {
  let faults: Fault[] = []
  let silenced: ((target: FaultTarget) => boolean) | undefined

  function meets(fault: Fault, target: FaultTarget): boolean {
    if (fault.count !== undefined && fault.count <= 0) return false
    if (fault.user !== undefined && fault.user !== target.user) return false
    if (fault.userAgent !== undefined && !target.userAgent.startsWith(fault.userAgent)) return false
    if (fault.match && !fault.match(target)) return false
    return fault.probability === undefined || random() < fault.probability
  }

  return {
    set(...next) {
      faults = next.map((fault) => ({ ...fault }))
    },
    add(fault) {
      const own = { ...fault }
      faults.push(own)
      return () => {
        faults = faults.filter((each) => each !== own)
      }
    },
    clear() {
      faults = []
      silenced = undefined
    },
    dropWatches(match = () => true) {
      for (const watch of [...watches()]) if (match(watch.target)) watch.drop()
    },
    silenceWatches(on, match = () => true) {
      silenced = on ? match : undefined
    },
    isSilent: (target) => silenced?.(target) ?? false,
    decide(target) {
      const decision: FaultDecision = { delayMs: 0, effect: 'none', error: 0, retryAfter: undefined }
      for (const fault of faults) {
        if (!meets(fault, target)) continue
        if (fault.count !== undefined) fault.count--
        decision.delayMs += fault.latencyMs ?? 0
        if (decision.effect !== 'none') continue
        if (fault.reset) decision.effect = 'reset'
        else if (fault.resetAfter) decision.effect = 'resetAfter'
        else if (fault.stall) decision.effect = 'stall'
        else if (fault.error !== undefined) {
          decision.effect = 'error'
          decision.error = fault.error
          decision.retryAfter = fault.retryAfter
        }
      }
      return decision
    },
  }
}
