import type { Operation } from '../git/history.ts'
import type { KubeObject } from '../kube/object.ts'
import type { Runtime } from '../runtime.ts'

/** The commits about Rollouts that somebody looks at, read beside the looking: asking never waits for git. */
export interface GitLog {
  /** What is known, oldest first; undefined while nothing is. Reads anew when `commit` is another than at the last reading. */
  of(rollout: KubeObject, commit: string | undefined): readonly Operation[] | undefined
}

export interface GitLogOptions {
  /** Undefined: there is nothing to read. May throw. */
  read(rollout: KubeObject): Promise<Operation[] | undefined>
  runtime: Pick<Runtime, 'monotonic'>
  /** There is more to show. */
  onRead(key: string): void
  onError(error: unknown): void
  /** Rollouts whose commits are kept; those asked for longest ago are dropped. Default 50. */
  most?: number
  /** Milliseconds after which it is read anew when it is asked for. Default 30 s. */
  freshMs?: number
}

interface Kept {
  commit: string | undefined
  readAt: number
  reading: boolean
  operations?: readonly Operation[]
}

/** Commits that are kept of one Rollout; the page shows the newest. */
const MOST_OPERATIONS = 50

export function createGitLog(options: GitLogOptions): GitLog {
  const { read, runtime, onRead, onError, most = 50, freshMs = 30_000 } = options
  const kept = new Map<string, Kept>()

  async function refresh(key: string, entry: Kept, rollout: KubeObject): Promise<void> {
    entry.reading = true
    try {
      const operations = (await read(rollout))?.slice(-MOST_OPERATIONS)
      const news = JSON.stringify(operations) !== JSON.stringify(entry.operations)
      entry.operations = operations
      if (news && kept.get(key) === entry) onRead(key)
    } catch (error) {
      onError(error)
    } finally {
      entry.reading = false
      entry.readAt = runtime.monotonic()
    }
  }

  return {
    of(rollout, commit) {
      const key = `${rollout.metadata.namespace ?? ''}/${rollout.metadata.name}`
      const entry: Kept = kept.get(key) ?? { commit, readAt: Number.NEGATIVE_INFINITY, reading: false }
      kept.delete(key)
      kept.set(key, entry)
      for (const oldest of kept.keys()) {
        if (kept.size <= most) break
        kept.delete(oldest)
      }
      const stale = runtime.monotonic() - entry.readAt >= freshMs
      if (!entry.reading && (stale || entry.commit !== commit)) {
        entry.commit = commit
        void refresh(key, entry, rollout)
      }
      return entry.operations
    },
  }
}
