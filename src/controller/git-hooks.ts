import type { Logger } from 'pino'
import { rolloutSourceSpec } from '../api/rolloutsource.ts'
import type { KubeClient } from '../kube/client.ts'
import { textAt } from '../kube/field.ts'
import type { KubeObject } from '../kube/object.ts'
import { resources } from '../kube/resources.ts'
import type { Runtime } from '../runtime.ts'
import type { StreamingEndpoint } from '../server/endpoint.ts'
import { gitHookEndpoint } from '../server/hooks-git.ts'
import type { Metrics } from '../server/metrics.ts'
import type { NamedSecrets } from './secrets.ts'

export interface GitHooksOptions {
  client: Pick<KubeClient, 'patch'>
  /** A RolloutSource as this replica knows it. */
  source(key: string): KubeObject | undefined
  secrets: NamedSecrets
  isLeader(): boolean
  /** On the leader: look at once. */
  poke(key: string, hook: { at: string; from: string }): void
  metrics: Pick<Metrics, 'webhook'>
  runtime: Runtime
  log: Logger
}

/** A replica that does not lead writes into the status of one source at most this often, ms. */
const TELL_EVERY_MS = 1_000
/** A token that was just read and is wrong is read again after this, ms: strangers must not make us ask the API server. */
const TOKEN_AGE_MS = 5_000

/**
 * Webhooks of forges, on every replica: the Service sends them to any. The leader looks at once; another replica writes the time into
 * `status.lastWebhook` of the RolloutSource, which the leader sees on its watch. No more may be written for that than status.
 */
export function gitHooks(options: GitHooksOptions): StreamingEndpoint {
  const { client, source, secrets, isLeader, poke, metrics, runtime, log } = options
  const telling = new Map<string, { again: boolean }>()

  function hooked(key: string) {
    const spec = rolloutSourceSpec.safeParse(source(key)?.spec)
    return spec.success && spec.data.webhook && !spec.data.suspend ? spec.data : undefined
  }

  /** One write, and one more for all that arrived meanwhile. */
  async function tell(key: string, from: string): Promise<void> {
    const busy = telling.get(key)
    if (busy) {
      busy.again = true
      return
    }
    const mine = { again: true }
    telling.set(key, mine)
    try {
      while (mine.again) {
        mine.again = false
        const [namespace, name = ''] = key.split('/')
        const body = { status: { lastWebhook: { at: new Date(runtime.now()).toISOString(), from } } }
        const write = { subresource: 'status', fieldManager: 'sluice' } as const
        await client.patch(resources.rolloutSources, { namespace, name }, { type: 'merge', body }, write)
        await runtime.sleep(TELL_EVERY_MS)
      }
    } catch (error) {
      log.warn({ source: key, err: error }, 'webhook not passed on; the source is looked at when its interval is over')
    } finally {
      telling.delete(key)
    }
  }

  return gitHookEndpoint({
    runtime,
    log,
    onResult: (result) => metrics.webhook(result),
    sourceOf(key) {
      const spec = hooked(key)
      return spec && { url: spec.url, branch: spec.branch, pullRequests: spec.write.mode === 'PullRequest' }
    },
    async tokenOf(key, newer) {
      const [namespace = ''] = key.split('/')
      const name = textAt(source(key), 'spec', 'webhook', 'secretRef', 'name') ?? ''
      const secret = await secrets.read(namespace, name, newer ? TOKEN_AGE_MS : undefined)
      if (secret.ok) return secret.text('token') || undefined
      log.warn({ source: key, why: secret.message }, 'token of a webhook not read')
      return undefined
    },
    arrived(key, from) {
      if (isLeader()) poke(key, { at: new Date(runtime.now()).toISOString(), from })
      else void tell(key, from)
    },
  })
}
