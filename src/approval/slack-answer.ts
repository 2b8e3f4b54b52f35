import type { Runtime } from '../runtime.ts'
import type { SlackInteractions, SlackOutcome } from './slack-interactions.ts'

/**
 * Has an interaction handled, and gives Slack its answer within `ms`, whether or not the work is over; Slack wants it within three seconds.
 * Work that takes longer goes on after it, and knows that nobody listens any more.
 */
export function answerInTime(
  interactions: SlackInteractions,
  payload: unknown,
  runtime: Pick<Runtime, 'sleep'>,
  ms: number,
): { answer: Promise<object | undefined>; work: Promise<SlackOutcome> } {
  const late = new AbortController()
  const done = new AbortController()
  const work = interactions.handle(payload, late.signal)
  const deadline = runtime.sleep(ms, done.signal).then(
    () => {
      late.abort()
      return undefined
    },
    () => undefined,
  )
  const answer = Promise.race([work.then((outcome) => outcome.answer), deadline]).finally(() => done.abort())
  return { answer, work }
}
