import type { Logger } from 'pino'
import { DeliveryFailed } from './delivery-failed.ts'
import type { SlackPlace } from './slack-api.ts'

/** One start of a Rollout's rollout, whose story is one thread in every channel that is told. */
export interface Story {
  /** `namespace/name`. */
  rollout: string
  attempt: number
}

/** Where the first message of each story is, kept beyond this process. */
export interface ThreadMemory {
  load(story: Story, channel: string): string | undefined
  save(story: Story, threads: Readonly<Record<string, string>>): Promise<void>
}

/** Keeps messages of one story in one thread a channel. */
export interface SlackThreads {
  /**
   * Sends a message into the thread of a story; where there is none yet, the message begins it. Two at once do not begin two.
   * `send` gets the `ts` of the thread, or undefined, and is called a second time when somebody has deleted the thread.
   */
  send(story: Story, channel: string, send: (thread: string | undefined) => Promise<SlackPlace>): Promise<SlackPlace>
}

/** Stories whose threads are remembered without a look at `memory`. */
const CAPACITY = 1_000

const gone: ReadonlySet<string | undefined> = new Set(['thread_not_found', 'message_not_found'])

interface Open {
  /** By channel, the ts of the message that began it. */
  threads: Record<string, string>
  /** By channel, the message that is about to begin it. */
  beginning: Map<string, Promise<void>>
}

export function createSlackThreads({ memory, log }: { memory?: ThreadMemory; log: Logger }): SlackThreads {
  const stories = new Map<string, Open>()

  function open(story: Story): Open {
    const key = `${story.rollout} ${story.attempt}`
    const known = stories.get(key)
    if (known) return known
    const [oldest] = stories.keys()
    if (stories.size >= CAPACITY && oldest !== undefined) stories.delete(oldest)
    const fresh: Open = { threads: {}, beginning: new Map() }
    stories.set(key, fresh)
    return fresh
  }

  return {
    async send(story, channel, send) {
      const { threads, beginning } = open(story)
      while (beginning.has(channel)) await beginning.get(channel)
      const thread = threads[channel] ?? memory?.load(story, channel)
      if (thread !== undefined) {
        threads[channel] = thread
        try {
          return await send(thread)
        } catch (error) {
          if (!(error instanceof DeliveryFailed) || !gone.has(error.code)) throw error
          delete threads[channel]
        }
      }
      const first = send(undefined)
      const begun = first.then(
        (place) => {
          threads[channel] = place.ts
          memory
            ?.save(story, { ...threads })
            .catch((err: unknown) => log.warn({ err, rollout: story.rollout }, 'could not record where the thread is'))
        },
        () => undefined,
      )
      beginning.set(channel, begun)
      await begun
      if (beginning.get(channel) === begun) beginning.delete(channel)
      return first
    },
  }
}
