import type { Logger } from 'pino'
import type { Runtime } from '../runtime.ts'
import type { EndpointAnswer, StreamingEndpoint } from './endpoint.ts'
import { isSameRepository, readHook } from './hooks-push.ts'
import { checkHook } from './hooks-signature.ts'

/** A RolloutSource as a webhook needs it. */
export interface HookedSource {
  url: string
  branch: string
  /** Whether its state goes by pull requests, whose news matter then too. */
  pullRequests?: boolean
}

export interface GitHookConfig {
  /** A source that takes webhooks; undefined when there is none of that name, or it takes none. */
  sourceOf(key: string): HookedSource | undefined
  /** The token of such a source. `newer`: the known one has just failed. Undefined when it cannot be read. */
  tokenOf(key: string, newer: boolean): Promise<string | undefined>
  /** Told of each, for the metrics. */
  onResult?: (result: 'taken' | 'ignored' | 'refused') => void
  /** There is news for this source. */
  arrived(key: string, sender: string): void
  runtime: Pick<Runtime, 'now' | 'monotonic'>
  log: Logger
}

/** What GitHub sends at most. */
const MAX_BODY_BYTES = 25 * 1024 * 1024
/** As much as is kept to be read; the bodies of pushes say in their first lines which branch moved. A longer one counts as news. */
const KEPT_BYTES = 256 * 1024

/** Refusals that are logged one by one. */
const LOGGED_PER_MINUTE = 20

const refusal: EndpointAnswer = {
  status: 401,
  json: {
    error: 'no RolloutSource of this name takes webhooks with this signature; the log of the controller says why',
  },
}

/**
 * POST /hooks/git/NAMESPACE/NAME: a forge tells that a RolloutSource has news. The signature is checked over the bytes as they pass, of
 * which only the first are kept. Whoever cannot sign learns nothing, not even which sources there are; a replayed one has a branch looked
 * at once more.
 */
export function gitHookEndpoint(config: GitHookConfig): StreamingEndpoint {
  const { sourceOf, tokenOf, arrived, runtime, log, onResult } = config
  const refused = createRefusals(config)
  return {
    path: '/hooks/git/:namespace/:name',
    maxBodyBytes: MAX_BODY_BYTES,

    async receive({ params, header, chunks }) {
      const key = `${params.namespace}/${params.name}`
      const source = sourceOf(key)
      const token = source && (await tokenOf(key, false))
      const check = checkHook(token, header, runtime.now())
      const kept: Uint8Array[] = []
      let size = 0
      for await (const chunk of chunks) {
        check.update(chunk)
        if (size < KEPT_BYTES) kept.push(chunk)
        size += chunk.byteLength
      }
      const sender = check.sender()
      if (!source || sender === undefined) {
        onResult?.('refused')
        const why = !source ? 'unknown source' : token === undefined ? 'no token' : 'wrong signature'
        refused({ source: key.slice(0, 320), why, bytes: size })
        // A token that was changed is read anew, so that the forge's next delivery is let in.
        if (source) await tokenOf(key, true)
        return refusal
      }
      const news = readHook(header, size > KEPT_BYTES ? undefined : Buffer.concat(kept).toString('utf8'))
      const unheard = unheardOf(source, news)
      log.info(
        { source: key, sender, news: news.kind, branches: news.branches?.slice(0, 10), ignored: unheard },
        'webhook',
      )
      onResult?.(news.kind === 'ping' || unheard !== undefined ? 'ignored' : 'taken')
      if (news.kind === 'ping') return { status: 200, json: { message: `pong: ${key} reads ${source.branch}` } }
      if (unheard !== undefined) return { status: 202, json: { message: `ignored: ${unheard}` } }
      arrived(key, sender)
      return { status: 202, json: { message: `looking at ${source.branch}` } }
    },
  }
}

/** Logs what was refused: each of a few in a minute, and how many there were besides. Strangers must not fill the log. */
function createRefusals({ runtime, log }: Pick<GitHookConfig, 'runtime' | 'log'>) {
  let since = Number.NEGATIVE_INFINITY
  let count = 0
  return (what: Record<string, unknown>): void => {
    const now = runtime.monotonic()
    if (now - since >= 60_000) {
      if (count > LOGGED_PER_MINUTE) log.warn({ more: count - LOGGED_PER_MINUTE }, 'webhooks refused')
      since = now
      count = 0
    }
    count += 1
    if (count <= LOGGED_PER_MINUTE) log.warn(what, 'webhook refused')
  }
}

/** Why a webhook is no news for this source. */
function unheardOf(
  source: HookedSource,
  { kind, branches, repositories }: ReturnType<typeof readHook>,
): string | undefined {
  if (kind === 'other') return 'only pushes matter here'
  if (kind === 'pullRequest' && !source.pullRequests) return 'pull requests do not matter here'
  if (!isSameRepository(source.url, repositories)) return 'this source reads another repository'
  if (kind === 'push' && branches && !branches.includes(source.branch)) return `this source reads ${source.branch}`
  return undefined
}
