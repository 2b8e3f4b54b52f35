import { z } from 'zod'
import type { Approval } from '../approval/object.ts'
import type { KubeClient } from '../kube/client.ts'
import { fieldAt, textAt } from '../kube/field.ts'
import type { KubeObject } from '../kube/object.ts'
import { resources } from '../kube/resources.ts'
import type { ThreadMemory } from '../notify/slack-threads.ts'

/** Where Slack's threads about the present attempt are: an annotation, so that a restart goes on with the same ones. */
const THREADS = 'sluice.dev/slack-threads'

const note = z.object({ attempt: z.number(), channels: z.record(z.string(), z.string()) })

export interface ThreadMemoryParts {
  client: Pick<KubeClient, 'patch'>
  /** The present Rollout of a key, from the cache. */
  rollout(key: string): KubeObject | undefined
}

/** Keeps the threads of each Rollout's present attempt on the Rollout itself. */
export function createThreadMemory({ client, rollout }: ThreadMemoryParts): ThreadMemory {
  function read(key: string, attempt: number): Record<string, string> {
    const text = rollout(key)?.metadata.annotations?.[THREADS]
    const parsed = note.safeParse(text === undefined ? undefined : parseJson(text))
    return parsed.success && parsed.data.attempt === attempt ? parsed.data.channels : {}
  }

  return {
    load: ({ rollout: key, attempt }, channel) => read(key, attempt)[channel],
    async save({ rollout: key, attempt }, threads) {
      const [namespace = '', name = ''] = key.split('/')
      const value = JSON.stringify({ attempt, channels: { ...read(key, attempt), ...threads } })
      // What is told of an attempt that is over, late, does not take the place of the present one.
      const present = fieldAt(rollout(key), 'status', 'attempt')
      if (typeof present === 'number' && present > attempt) return
      const body = { metadata: { annotations: { [THREADS]: value } } }
      await client.patch(resources.rollouts, { namespace, name }, { type: 'merge', body }, { fieldManager: 'sluice' })
    },
  }
}

/** The attempt of a rollout that asks, once its status tells of the question. */
export function attemptOf(approval: Approval, rollout: KubeObject | undefined): number | undefined {
  if (textAt(rollout, 'status', 'approval', 'name') !== approval.name) return undefined
  const attempt = fieldAt(rollout, 'status', 'attempt')
  return typeof attempt === 'number' ? attempt : undefined
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
