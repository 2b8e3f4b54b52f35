import type { Problem } from '../errors.ts'
import { type KubeObject, keyOf } from '../kube/object.ts'
import { type Hook, runSource, type SourceLoop, type SourceOptions } from './source.ts'
import type { SourceRef } from './source-ref.ts'

export type SourceLookup =
  | { state: 'ready'; source: SourceRef }
  /** It exists, but has not been looked at yet. */
  | { state: 'unknown' }
  | { state: 'problem'; problem: Problem }

/** All RolloutSources of the cluster, each with its own loop. */
export interface Sources {
  /** A RolloutSource was added or changed. */
  set(object: KubeObject): void
  /** `namespace/name` is gone. What it applied stays. */
  remove(key: string): void
  /** What the recorder needs to commit for a Rollout that names this source. */
  lookup(key: string): SourceLookup
  /** Looks at once, as `namespace/name` may have news; `hook`: who said so, for its status. */
  poke(key: string, hook?: Hook): void
  /** Tells a source's status about our own push. */
  pushed(source: SourceRef, commit: string, at: number): void
  /** Ends all of them. What is set from then on is not followed: objects change while the rest of the controller ends. */
  stop(): Promise<void>
}

export function createSources(options: SourceOptions): Sources {
  const loops = new Map<string, SourceLoop>()
  const ending = new Set<Promise<void>>()
  let stopped = false
  return {
    set(object) {
      if (stopped) return
      const key = keyOf(object)
      const known = loops.get(key)
      if (known) known.update(object)
      else loops.set(key, runSource(options, object))
    },
    remove(key) {
      const loop = loops.get(key)
      if (!loop) return
      loops.delete(key)
      const end = loop.stop().finally(() => ending.delete(end))
      ending.add(end)
    },
    lookup(key) {
      const loop = loops.get(key)
      if (!loop)
        return { state: 'problem', problem: { reason: 'SourceMissing', message: `there is no RolloutSource ${key}` } }
      if (loop.ref) return { state: 'ready', source: loop.ref }
      return loop.problem ? { state: 'problem', problem: loop.problem } : { state: 'unknown' }
    },
    poke: (key, hook) => loops.get(key)?.poke(hook),
    pushed: (source, commit, at) => loops.get(`${source.namespace}/${source.name}`)?.pushed(commit, at),
    async stop() {
      stopped = true
      await Promise.allSettled([...[...loops.values()].map((loop) => loop.stop()), ...ending])
      loops.clear()
    },
  }
}
