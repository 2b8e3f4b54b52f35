import type { Logger } from 'pino'
import { type RolloutStatus, rolloutStatus } from '../api/status.ts'
import type { KubeClient } from '../kube/client.ts'
import { asKubeError } from '../kube/kube-error.ts'
import { type KubeObject, keyOf } from '../kube/object.ts'
import { resources } from '../kube/resources.ts'
import { canonicalJson } from '../plan/revision.ts'
import type { Runtime } from '../runtime.ts'

/** The one place that writes status. */
export interface Recorder {
  /** The status to go on from: what this process wrote last, or what the cluster has when it wrote nothing yet. */
  statusOf(rollout: KubeObject): RolloutStatus
  /**
   * Writes the status when it says something new, and numbers of the analysis at most once per checkpoint interval.
   * `Written` and `Unchanged`: the status is recorded, what it announces may be done. `Lost`: somebody else wrote it; start over.
   * @throws {KubeError} when the API server cannot be reached or refuses.
   */
  record(rollout: KubeObject, status: RolloutStatus): Promise<'Written' | 'Unchanged' | 'Lost' | 'Gone'>
  forget(key: string): void
  /** Forgets everything, so that a new term as leader starts from what the cluster has. */
  reset(): void
}

interface Kept {
  uid: string
  /** What plan goes on from; may be ahead of what was written by numbers of the analysis. */
  status: RolloutStatus
  written: RolloutStatus
  resourceVersion: string
  writtenAt: number
}

const ATTEMPTS = 4

export function createRecorder(options: {
  client: Pick<KubeClient, 'replace' | 'get'>
  runtime: Runtime
  log: Logger
  /** Numbers of the analysis are written at most this often. */
  checkpointMs: number
}): Recorder {
  const { client, runtime, log, checkpointMs } = options
  const kept = new Map<string, Kept>()

  /**
   * What this process remembers of the object, unless the cluster has a newer status that is not ours as far as we know: another
   * controller's, or one of our own whose answer was lost. From there it goes on, and from nothing older.
   */
  function remembered(rollout: KubeObject): Kept | undefined {
    const mine = kept.get(keyOf(rollout))
    if (!mine || mine.uid !== rollout.metadata.uid) return undefined
    const { resourceVersion = '' } = rollout.metadata
    if (!isNewer(resourceVersion, mine.resourceVersion)) return mine
    return canonicalJson(readStatus(rollout, log)) === canonicalJson(mine.written) ? mine : undefined
  }

  const statusOf = (rollout: KubeObject) => remembered(rollout)?.status ?? readStatus(rollout, log)

  return {
    statusOf,
    async record(rollout, status) {
      const key = keyOf(rollout)
      const uid = rollout.metadata.uid ?? ''
      const known = remembered(rollout)
      const written = known?.written ?? readStatus(rollout, log)
      const news = significant(status) !== significant(written)
      const due = runtime.monotonic() - (known?.writtenAt ?? Number.NEGATIVE_INFINITY) >= checkpointMs
      if (!news && (!due || canonicalJson(status) === canonicalJson(written))) {
        if (known) known.status = status
        else
          kept.set(key, {
            uid,
            status,
            written,
            resourceVersion: rollout.metadata.resourceVersion ?? '',
            writtenAt: runtime.monotonic(),
          })
        return 'Unchanged'
      }
      let base = newer(rollout, known?.resourceVersion)
      for (let attempt = 1; ; attempt++) {
        try {
          const answer = await client.replace(
            resources.rollouts,
            { ...base, status },
            { subresource: 'status', fieldManager: 'sluice' },
          )
          kept.set(key, {
            uid,
            status,
            written: status,
            resourceVersion: answer.metadata.resourceVersion ?? '',
            writtenAt: runtime.monotonic(),
          })
          return 'Written'
        } catch (error) {
          const failure = asKubeError(error)
          if (failure?.isNotFound) {
            kept.delete(key)
            return 'Gone'
          }
          if (!failure?.isConflict || attempt >= ATTEMPTS) throw error
          const live = await client.get(resources.rollouts, {
            namespace: rollout.metadata.namespace,
            name: rollout.metadata.name,
          })
          if (!live || live.metadata.uid !== uid) {
            kept.delete(key)
            return 'Gone'
          }
          if (canonicalJson(readStatus(live, log)) !== canonicalJson(written)) {
            // Another controller has written: what we planned was planned from the past.
            kept.delete(key)
            return 'Lost'
          }
          base = live
        }
      }
    },
    forget: (key) => void kept.delete(key),
    reset: () => kept.clear(),
  }
}

/** The object to write upon: the cache's, or its resourceVersion replaced by the one our last write answered, when that is newer. */
function newer(rollout: KubeObject, resourceVersion: string | undefined): KubeObject {
  const cached = rollout.metadata.resourceVersion ?? ''
  if (resourceVersion === undefined || !isNewer(resourceVersion, cached)) return rollout
  return { ...rollout, metadata: { ...rollout.metadata, resourceVersion } }
}

function isNewer(a: string, b: string): boolean {
  return /^\d+$/.test(a) && /^\d+$/.test(b) ? BigInt(a) > BigInt(b) : false
}

/** Status as the cluster has it. One that another version wrote and that cannot be read is started anew, and said so. */
function readStatus(rollout: KubeObject, log: Logger): RolloutStatus {
  if (rollout.status === undefined) return {}
  const parsed = rolloutStatus.safeParse(rollout.status)
  if (parsed.success) return parsed.data
  log.error(
    { rollout: keyOf(rollout), issue: parsed.error.issues[0] },
    'status cannot be read; starting from what the cluster shows',
  )
  return {}
}

/** The part of a status whose change is written at once: everything but the running numbers of the analysis. */
function significant(status: RolloutStatus): string {
  const { analysis, conditions, ...rest } = status
  return canonicalJson({
    ...rest,
    conditions: conditions?.map(({ type, status: truth, reason, message }) => ({ type, truth, reason, message })),
    analysis: analysis?.map(({ name, verdict, message }) => ({ name, verdict, message })),
  })
}
