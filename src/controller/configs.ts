import type { KubeClient } from '../kube/client.ts'
import { createReflector, type KubeLog, type Reflector } from '../kube/reflector.ts'
import { resources } from '../kube/resources.ts'
import type { Runtime } from '../runtime.ts'
import { type ConfigLook, type ConfigObjects, keptDigest, slimConfig } from '../workload/deployment/config.ts'

/** Follows just the ConfigMaps and Secrets that Rollouts with `trackConfig` refer to, each by a watch of its own, and keeps hashes only. */
export interface Configs extends ConfigObjects {
  /** What a Rollout looks at from now on, as `ConfigMap/name`; what nobody looks at any more is not followed. */
  interest(rollout: string, namespace: string, names: readonly string[]): void
  stop(): Promise<void>
}

interface Follower {
  reflector: Reflector
  key: string
  rollouts: Set<string>
}

/**
 * One list and watch per object, by name: permission for just that name suffices, and nothing of the rest of a namespace is ever read.
 *
 * @param options.onChange told the Rollouts that refer to what has been read, or has changed
 */
export function createConfigs(options: {
  client: Pick<KubeClient, 'list' | 'watch'>
  runtime: Runtime
  log: KubeLog
  onChange(rollout: string): void
}): Configs {
  const { client, runtime, log, onChange } = options
  const followers = new Map<string, Follower>()
  const byRollout = new Map<string, Set<string>>()
  const ending = new Set<Promise<void>>()

  function follow(id: string, namespace: string, kind: string, name: string): Follower {
    const rollouts = new Set<string>()
    const wake = () => {
      for (const rollout of rollouts) onChange(rollout)
    }
    const reflector = createReflector({
      client,
      runtime,
      log,
      resource: kind === 'Secret' ? resources.secrets : resources.configMaps,
      namespaces: [namespace],
      fieldSelector: `metadata.name=${name}`,
      transform: slimConfig,
      onChange: wake,
    })
    const follower = { reflector, key: `${namespace}/${name}`, rollouts }
    followers.set(id, follower)
    reflector.start()
    // That there is none is news too.
    reflector.synced.then(wake, () => undefined)
    return follower
  }

  function leave(rollout: string, id: string): void {
    const follower = followers.get(id)
    follower?.rollouts.delete(rollout)
    if (!follower || follower.rollouts.size > 0) return
    followers.delete(id)
    const ended = follower.reflector.stop().finally(() => ending.delete(ended))
    ending.add(ended)
  }

  return {
    look(namespace, { kind, name }): ConfigLook {
      const follower = followers.get(`${namespace}/${kind}/${name}`)
      if (!follower) return { state: 'Unread' }
      const { reflector, key } = follower
      const refusal = reflector.refusal()
      if (refusal !== undefined) return { state: 'Refused', message: refusal }
      if (!reflector.hasSynced()) return { state: 'Unread' }
      const object = reflector.get(key)
      return object ? { state: 'There', digest: keptDigest(object) } : { state: 'Absent' }
    },
    interest(rollout, namespace, names) {
      const wanted = new Set(names.map((name) => `${namespace}/${name}`))
      const before = byRollout.get(rollout)
      for (const id of before ?? []) if (!wanted.has(id)) leave(rollout, id)
      for (const id of wanted) {
        const [, kind = '', name = ''] = id.split('/')
        const follower = followers.get(id) ?? follow(id, namespace, kind, name)
        follower.rollouts.add(rollout)
      }
      if (wanted.size > 0) byRollout.set(rollout, wanted)
      else byRollout.delete(rollout)
    },
    async stop() {
      for (const rollout of [...byRollout.keys()]) this.interest(rollout, '', [])
      await Promise.all(ending)
    },
  }
}
