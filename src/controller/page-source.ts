import { parseRolloutSpec } from '../api/parse.ts'
import { readApproval } from '../approval/object.ts'
import { textAt } from '../kube/field.ts'
import { keyOf } from '../kube/object.ts'
import { resources } from '../kube/resources.ts'
import type { DeadLetter } from '../notify/dead-letters.ts'
import type { PageSource } from '../server/page/server.ts'
import type { Caches } from './caches.ts'
import type { Chronicle } from './chronicle.ts'
import type { GitLog } from './git-log.ts'
import { effectiveSpec } from './observe.ts'
import type { Recorder } from './record.ts'

/** What the web page reads: the caches of the controller, and what its leader remembers. No request is made for it. */
export function createPageSource(parts: {
  caches: Caches
  recorder: Pick<Recorder, 'statusOf'>
  chronicle: Pick<Chronicle, 'of'>
  log: GitLog
  undelivered: () => readonly DeadLetter[]
  isLeader: () => boolean
}): PageSource {
  const { caches, recorder, chronicle, log, undelivered, isLeader } = parts
  return {
    rollouts: () => caches.of('rollouts').list(),
    undelivered,
    standsBy: () => !isLeader(),
    rollout(namespace, name) {
      const object = caches.get(resources.rollouts, { namespace, name })
      if (!object) return undefined
      const status = recorder.statusOf(object)
      const parsed = parseRolloutSpec(object.spec)
      const spec = effectiveSpec(object, parsed, status)
      return {
        namespace,
        name,
        status,
        spec,
        outdated: (status.observedGeneration ?? 0) < (object.metadata.generation ?? 0),
        deleting: object.metadata.deletionTimestamp !== undefined,
        course: chronicle.of(keyOf(object)),
        questions: caches
          .list(resources.approvals, namespace)
          .filter((approval) => textAt(approval, 'spec', 'rollout') === name)
          .map((approval) => readApproval(approval))
          .filter((approval) => approval !== undefined),
        dependencies: (spec?.dependsOn ?? []).map((other) => {
          const place = { namespace: other.namespace ?? namespace, name: other.name }
          const phase = textAt(caches.get(resources.rollouts, place)?.status, 'phase')
          return { key: `${place.namespace}/${place.name}`, phase }
        }),
        undelivered: undelivered().filter(({ rollout }) => rollout === keyOf(object)),
        operations: log.of(object, status.git?.lastCommit),
      }
    },
  }
}
