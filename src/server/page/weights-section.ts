import type { Course } from '../../controller/chronicle.ts'
import type { Happening } from '../../controller/happenings.ts'
import { chart } from './chart.ts'
import { html, type Markup, moment, nothing, percent } from './markup.ts'
import { absent, section } from './parts.ts'
import type { RolloutView } from './view.ts'

const tones: Readonly<Record<Happening['kind'], string>> = {
  Start: 'calm',
  Weight: 'busy',
  Asked: 'ask',
  Answered: 'good',
  Paused: 'ask',
  Resumed: 'busy',
  Closed: 'ask',
  Breach: 'bad',
  Request: 'ask',
  Outcome: 'calm',
}

/** The canary's weight over time, with what happened. */
export function weights({ course, steps, about, history }: RolloutView): Markup {
  if (!course) return absent('weights')
  const failed = course.endedAt !== undefined && history[0] !== undefined && history[0].result !== 'Promoted'
  const told = course.happenings.map((happening, i) => ({
    ...happening,
    number: i + 1,
    tone: happening.kind === 'Outcome' ? (failed ? 'bad' : 'good') : tones[happening.kind],
  }))
  const drawing = chart({
    id: 'weights-chart',
    title: `The canary’s share of the traffic over time: ${words(course)}`,
    lines: [
      {
        label: 'weight',
        tone: 'canary',
        points: course.weights.map(({ at, weight }) => [at, weight] as const),
        stepped: true,
        filled: true,
      },
    ],
    from: course.weights[0]?.at ?? course.startedAt,
    to: endOf(course),
    max: 100,
    rules: [{ value: 0, label: '' }, ...steps.map(({ weight }) => ({ value: weight, label: percent(weight) }))],
    marks: apart(told, course),
    height: 230,
  })
  const list = html`<ol class="told">${told
    .toReversed()
    .map(
      ({ at, text, number, tone }) =>
        html`<li><span class="n ${tone}" aria-hidden="true">${number}</span><span>${text}</span>${moment(at, 'clock')}</li>`,
    )}</ol>`
  const late = course.seenSince - course.startedAt > 60_000
  return section(
    'weights',
    about ? `The last rollout: ${about}` : 'Canary weight over time',
    html`${drawing}${late ? html`<p class="facts">Followed since ${moment(course.seenSince, 'clock')}, when this process began; what was before is in the Git log.</p>` : nothing}${list}`,
    'wide',
  )
}

/** A little after what ended, so that its end can be seen. */
function endOf({ startedAt, lastAt, endedAt }: Course): number {
  const to = Math.max(lastAt, startedAt + 10_000)
  return endedAt === undefined ? to : to + (to - startedAt) / 20
}

/** Marks that would lie on each other are left out of the drawing; the list has them all. */
function apart<T extends { at: number; number: number; tone: string; kind: Happening['kind'] }>(
  told: readonly T[],
  { startedAt, lastAt }: Course,
): T[] {
  const nearest = Math.max(10_000, lastAt - startedAt) / 18
  const shown: T[] = []
  // The beginning is where the drawing begins.
  const moments = told.filter(({ kind }) => kind !== 'Start')
  for (const each of moments.toSorted((a, b) => worth(b.kind) - worth(a.kind))) {
    if (shown.every(({ at }) => Math.abs(at - each.at) >= nearest)) shown.push(each)
  }
  return shown
}

function worth(kind: Happening['kind']): number {
  return ['Closed', 'Asked', 'Resumed', 'Request', 'Answered', 'Weight', 'Paused', 'Outcome', 'Breach'].indexOf(kind)
}

function words({ weights: all }: Course): string {
  return all.map(({ weight }) => percent(weight)).join(', then ')
}
