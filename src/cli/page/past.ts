import type { KubeObject } from '../../kube/object.ts'
import { since } from '../age.ts'
import { resultPaint } from '../paint.ts'
import { pad } from '../width.ts'
import { paragraph, type SectionOf } from './section.ts'

const AGE = 5

/** Revisions that are not tried again. */
export const knownBad: SectionOf = ({ rollout: { status }, now, width, colours }) => {
  const marks = (status.knownBad ?? []).slice(-5).reverse()
  if (marks.length === 0) return undefined
  const lines = marks.flatMap(({ revision, reason, message, at }) =>
    aged(at, now, `${revision}: ${message ?? reason}`, width, colours.faint),
  )
  return { label: 'Known bad', lines }
}

/** What came of the last rollouts. */
export const outcomes: SectionOf = ({ rollout: { status }, now, width, colours }) => {
  const past = (status.history ?? (status.lastOutcome ? [status.lastOutcome] : [])).slice(0, 5)
  if (past.length === 0) return undefined
  const lines = past.flatMap(({ result, revision, message, at }) => {
    const [first = '', ...rest] = aged(at, now, `${result} ${revision}: ${message}`, width, colours.faint)
    return [first.replace(result, () => resultPaint(colours, result)(result)), ...rest]
  })
  return { label: 'Outcomes', lines }
}

/** What a person asked for last, and what came of it. */
export const request: SectionOf = ({ rollout: { status }, now, width, colours }) => {
  const { lastRequest: last } = status
  if (!last) return undefined
  const by = last.by ? ` by ${last.by}` : ''
  return {
    label: 'Request',
    lines: aged(last.at, now, `${last.verb}${by}: ${last.result}, ${last.message}`, width, colours.faint),
  }
}

/** The newest Kubernetes Events. */
export const events: SectionOf = ({ events: list, now, width, colours }) => {
  if (typeof list === 'string') return { label: 'Events', lines: paragraph(list, width, { paint: colours.faint }) }
  if (list.length === 0) return undefined
  return {
    label: 'Events',
    lines: list.slice(0, 6).flatMap((event) => {
      const times = typeof event.count === 'number' && event.count > 1 ? ` (${event.count} times)` : ''
      const text = `${String(event.reason ?? '')}: ${String(event.message ?? '')}${times}`
      return aged(eventTime(event), now, text, width, colours.faint)
    }),
  }
}

/** When an Event happened last, in whichever of its fields says so. */
export function eventTime(event: KubeObject): string | undefined {
  const times: unknown[] = [event.lastTimestamp, event.eventTime, event.metadata.creationTimestamp]
  return times.find((time): time is string => typeof time === 'string' && time !== '')
}

function aged(at: string | undefined, now: number, text: string, width: number, faint: (text: string) => string) {
  return paragraph(text, width - AGE).map(
    (line, i) => (i === 0 ? faint(pad(since(at, now), AGE)) : ' '.repeat(AGE)) + line,
  )
}
