import { Agent, request as httpRequest } from 'node:http'
import type { Runtime } from '../../runtime.ts'
import { type ClientWorkload, SOURCE_HEADER, sourceHeader } from './peer.ts'
import { randomStream } from './random.ts'
import { createTally, type Tally, type TallyCounts } from './tally.ts'

interface LoadOptions {
  /** Where the mesh (or anything else that speaks HTTP) listens. */
  url: string
  /** The Host header: which Service is meant. */
  host: string
  path?: string
  method?: string
  headers?: Record<string, string>
  ratePerSecond: number
  /** Even spacing, or a Poisson process. */
  spacing?: 'even' | 'poisson'
  /** Ends by itself after this long; 10 minutes unless told, and never later. */
  durationMs?: number
  /** Ends by itself after this many requests. */
  maxRequests?: number
  /** Requests that may be under way at once; what is due beyond that is not sent, and counted. */
  maxInFlight?: number
  /** A client gives up after this long, and counts an error. */
  timeoutMs?: number
  /** The workload in whose name the requests are sent; without it they come from outside, through the ingress. */
  source?: ClientWorkload
  runtime: Runtime
  seed?: number
}

/** What clients saw, in all and by act. */
interface LoadCounts extends TallyCounts {
  /** By the label of the act in which a request was sent; requests before the first mark are not in here. */
  acts: Record<string, TallyCounts>
}

/** A running load generator. */
export interface Load {
  counts(): LoadCounts
  /** Begins an act: requests sent from now on are also counted under this label. */
  mark(label: string): void
  /** Resolves when the last answer is in. */
  readonly done: Promise<void>
  /** Sends nothing more, and waits for what is under way. */
  stop(): Promise<void>
}

/** However it is asked for, a load ends after this long. */
const LONGEST_LOAD_MS = 600_000

/**
 * Sends requests at a rate that does not depend on how fast they are answered (open loop), and counts what comes back.
 * Always ends by itself.
 */
export function startLoad(options: LoadOptions): Load {
  const { runtime, ratePerSecond, path = '/', method = 'GET', maxInFlight = 512, timeoutMs = 30_000 } = options
  const durationMs = Math.min(LONGEST_LOAD_MS, options.durationMs ?? LONGEST_LOAD_MS)
  const maxRequests = options.maxRequests ?? Number.POSITIVE_INFINITY
  const random = randomStream(options.seed ?? 1, 'load')
  const agent = new Agent({ keepAlive: true, maxSockets: maxInFlight })
  const target = new URL(options.url)
  const headers = {
    host: options.host,
    ...options.headers,
    ...(options.source ? { [SOURCE_HEADER]: sourceHeader(options.source) } : {}),
  }
  const total = createTally()
  const acts = new Map<string, Tally>()
  const stopped = new AbortController()
  const underWay = new Set<Promise<void>>()
  let act: Tally | undefined

  function gapMs(): number {
    const mean = 1000 / ratePerSecond
    return options.spacing === 'poisson' ? -Math.log(1 - random()) * mean : mean
  }

  async function run(): Promise<void> {
    const startedMs = runtime.monotonic()
    let due = ratePerSecond > 0 ? 0 : Number.POSITIVE_INFINITY
    for (let sent = 0; sent < maxRequests && !stopped.signal.aborted; sent++) {
      if (due >= durationMs) break
      const waitMs = startedMs + due - runtime.monotonic()
      if (waitMs >= 1) await runtime.sleep(waitMs, stopped.signal)
      launch()
      due += gapMs()
    }
  }

  function launch(): void {
    const tallies = act ? [total, act] : [total]
    if (underWay.size >= maxInFlight) {
      for (const tally of tallies) tally.unsent()
      return
    }
    for (const tally of tallies) tally.sent()
    const sent = send(tallies).finally(() => underWay.delete(sent))
    underWay.add(sent)
  }

  function send(tallies: readonly Tally[]): Promise<void> {
    const startedMs = runtime.monotonic()
    return new Promise((resolve) => {
      const finish = (status: number | undefined, version: string | undefined) => {
        for (const tally of tallies) tally.answered(status, version, runtime.monotonic() - startedMs)
        resolve()
      }
      const { hostname, port } = target
      const outgoing = httpRequest({ hostname, port, agent, method, path, headers, setHost: false })
      let finished = false
      const once = (status: number | undefined, version?: string) => {
        if (finished) return
        finished = true
        clearTimeout(timer)
        finish(status, version)
      }
      const timer = setTimeout(() => {
        once(undefined)
        outgoing.destroy()
      }, timeoutMs)
      outgoing.on('error', () => once(undefined))
      outgoing.on('response', (response) => {
        const version = response.headers['x-version']
        response.on('end', () => once(response.statusCode, typeof version === 'string' ? version : undefined))
        response.on('error', () => once(undefined))
        response.resume()
      })
      outgoing.end()
    })
  }

  async function drain(): Promise<void> {
    // The caller may mark the first act before the first request leaves.
    await Promise.resolve()
    await run().catch((error: unknown) => {
      if (!stopped.signal.aborted) throw error
    })
    await Promise.all(underWay)
    agent.destroy()
  }

  const done = drain()
  return {
    done,
    counts: () => ({
      ...total.counts(),
      acts: Object.fromEntries([...acts].map(([label, tally]) => [label, tally.counts()])),
    }),
    mark(label) {
      act = acts.get(label) ?? createTally()
      acts.set(label, act)
    },
    async stop() {
      stopped.abort()
      await done
    },
  }
}
