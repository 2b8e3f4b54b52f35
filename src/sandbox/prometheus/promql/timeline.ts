import type { TimeModifiers } from './ast.ts'

/** Evenly spaced instants, in milliseconds, at which an expression is evaluated; an instant query has one. */
export interface Timeline {
  readonly startMs: number
  readonly stepMs: number
  readonly count: number
}

/** What holds for a whole query, however deeply an expression is nested in it. */
export interface QueryBounds {
  readonly startMs: number
  readonly endMs: number
  /** How far back an instant selector looks for a sample. */
  readonly lookbackMs: number
  /** The step of subqueries that name none. */
  readonly defaultStepMs: number
}

export function timelineOf(startMs: number, endMs: number, stepMs: number): Timeline {
  return { startMs, stepMs, count: Math.max(0, Math.floor((endMs - startMs) / stepMs) + 1) }
}

export function instantAt(timeline: Timeline, step: number): number {
  return timeline.startMs + step * timeline.stepMs
}

/** The instant a selector with these modifiers reads at when the expression is evaluated at `timeMs`. */
export function referenceTime(modifiers: TimeModifiers, timeMs: number, bounds: QueryBounds): number {
  const { at, offsetMs = 0 } = modifiers
  const base = at === undefined ? timeMs : at === 'start' ? bounds.startMs : at === 'end' ? bounds.endMs : at
  return base - offsetMs
}
