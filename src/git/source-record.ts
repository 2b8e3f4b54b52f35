import { isDeepStrictEqual } from 'node:util'
import { type RolloutSourceStatus, rolloutSourceStatus } from '../api/rolloutsource.ts'
import type { KubeClient } from '../kube/client.ts'
import { asKubeError } from '../kube/kube-error.ts'
import type { KubeObject } from '../kube/object.ts'
import { resources } from '../kube/resources.ts'
import { fieldManager } from './apply.ts'

/** The status of one RolloutSource as the cluster has it, as far as this process knows. */
export interface SourceRecord {
  readonly status: RolloutSourceStatus
  /** A watch has shown the object. */
  seen(object: KubeObject): void
  /**
   * Writes the next status upon the one it was made from. False: somebody else has written meanwhile, another controller most likely;
   * `status` is theirs now, and what was found has to be thought over.
   * @throws {KubeError} when the API server cannot be reached or refuses.
   */
  write(next: RolloutSourceStatus): Promise<boolean>
}

const ATTEMPTS = 5

export function createSourceRecord(client: Pick<KubeClient, 'list' | 'patch'>, first: KubeObject): SourceRecord {
  const { namespace, name } = first.metadata
  const key = { namespace, name }
  let status = statusOf(first)
  let version = first.metadata.resourceVersion

  function adopt(object: KubeObject): void {
    status = { ...status, lastWebhook: statusOf(object).lastWebhook }
    version = object.metadata.resourceVersion
  }

  return {
    get status() {
      return status
    },
    seen(object) {
      if (isNewer(object.metadata.resourceVersion, version) && isSame(statusOf(object), status)) adopt(object)
    },
    async write(next) {
      for (let attempt = 1; ; attempt++) {
        const { lastWebhook, ...rest } = next
        // Replicas that do not lead write this one; theirs stays unless there is a newer one.
        const hook = (lastWebhook?.at ?? '') > (status.lastWebhook?.at ?? '') ? { lastWebhook } : {}
        const body = { metadata: { resourceVersion: version }, status: { ...withNulls(status, rest), ...hook } }
        try {
          const patch = { type: 'merge', body } as const
          const answer = await client.patch(resources.rolloutSources, key, patch, {
            subresource: 'status',
            fieldManager,
          })
          version = answer.metadata.resourceVersion
          status = next
          return true
        } catch (error) {
          if (!asKubeError(error)?.isConflict || attempt >= ATTEMPTS) throw error
        }
        // Listing them is allowed for the watch; nothing more is asked of the role for this.
        const fieldSelector = `metadata.name=${name}`
        const [live] = (await client.list(resources.rolloutSources, { namespace, fieldSelector })).items
        if (!live || live.metadata.uid !== first.metadata.uid) return false
        const theirs = !isSame(statusOf(live), status)
        if (theirs) status = statusOf(live)
        adopt(live)
        if (theirs) return false
      }
    },
  }
}

function statusOf(object: KubeObject): RolloutSourceStatus {
  return rolloutSourceStatus.safeParse(object.status ?? {}).data ?? {}
}

function isSame(a: RolloutSourceStatus, b: RolloutSourceStatus): boolean {
  return isDeepStrictEqual(plain({ ...a, lastWebhook: undefined }), plain({ ...b, lastWebhook: undefined }))
}

/** Without fields that are undefined. */
export function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value))
}

/** A merge patch keeps what it does not name: fields that are gone must be null. */
function withNulls(
  before: RolloutSourceStatus,
  next: Omit<RolloutSourceStatus, 'lastWebhook'>,
): Record<string, unknown> {
  const { lastWebhook: _, ...known } = before
  const gone = Object.fromEntries(Object.keys(known).map((key) => [key, null]))
  return { ...gone, ...Object.fromEntries(Object.entries(next).map(([key, value]) => [key, value ?? null])) }
}

function isNewer(a: string | undefined, b: string | undefined): boolean {
  return a !== undefined && b !== undefined && /^\d+$/.test(a) && /^\d+$/.test(b) && BigInt(a) > BigInt(b)
}
