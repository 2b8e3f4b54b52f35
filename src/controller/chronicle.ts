import type { RolloutStatus } from '../api/status.ts'
import type { SliObservation } from '../plan/observation.ts'
import { type Happening, happenings } from './happenings.ts'
import { Series, type SliPoint } from './series.ts'

/** What the newest attempt of one Rollout has been through, as far as this process saw it. */
export interface Course {
  attempt: number
  /** Epoch ms: when the attempt began, and since when this process has followed it. */
  startedAt: number
  seenSince: number
  /** Epoch ms of the newest entry. */
  lastAt: number
  /** When it ended, epoch ms. */
  endedAt?: number
  /** The canary's weight in percent from `at` on, oldest first. */
  weights: readonly { at: number; weight: number }[]
  /** What happened, oldest first. */
  happenings: readonly Happening[]
  /** By the name of the SLI. */
  slis: ReadonlyMap<string, readonly SliPoint[]>
}

/** One finished reconcile. */
export interface Moment {
  before: RolloutStatus
  after: RolloutStatus
  slis: readonly SliObservation[]
  /** Epoch ms. */
  now: number
}

/**
 * What rollouts have been through lately, for people who look. Kept in memory only and bounded: nothing for a Rollout at rest, a few
 * kilobytes for one in flight. After a restart it goes on from what the status says.
 */
export interface Chronicle {
  note(key: string, moment: Moment): void
  of(key: string): Course | undefined
  /** The Rollout is gone. */
  forget(key: string): void
  /** How many are kept. */
  size(): number
}

/** An attempt that has ended, or that nobody has looked at for as long, is not kept longer. */
const KEEP_MS = 3_600_000
const SWEEP_MS = 60_000
const MOST_WEIGHTS = 200
const MOST_HAPPENINGS = 60

interface Kept {
  attempt: number
  startedAt: number
  seenSince: number
  lastAt: number
  endedAt?: number
  weights: { at: number; weight: number }[]
  happenings: Happening[]
  slis: Map<string, Series>
}

/** @param onNote told after every note about a Rollout that is in flight, or has just ended. */
export function createChronicle(onNote?: (key: string) => void): Chronicle {
  const kept = new Map<string, Kept>()
  let sweptAt = 0

  function sweep(now: number): void {
    if (now - sweptAt < SWEEP_MS && now >= sweptAt) return
    sweptAt = now
    for (const [key, { lastAt }] of kept) if (now - lastAt > KEEP_MS) kept.delete(key)
  }

  return {
    note(key, moment) {
      const { before, after, slis, now } = moment
      sweep(now)
      const attempt = after.attempt ?? 0
      let course = kept.get(key)
      if (after.canary && course?.attempt !== attempt) {
        course = begin(after, now)
        kept.set(key, course)
      }
      if (!course || (course.endedAt !== undefined && !after.canary)) return
      course.lastAt = now
      if (after.canary) takeWeight(course, after.step?.weight ?? 0, now)
      else {
        course.endedAt = now
        if (after.lastOutcome?.result !== 'Promoted') takeWeight(course, 0, now)
      }
      for (const sli of slis) {
        if (sli.kind === 'query') continue
        const series = course.slis.get(sli.name) ?? new Series(course.startedAt)
        course.slis.set(sli.name, series)
        series.add({
          at: now,
          good: sli.good,
          bad: sli.bad,
          stableGood: sli.stable?.good ?? Number.NaN,
          stableBad: sli.stable?.bad ?? Number.NaN,
          evidence: sli.evidence ?? Number.NaN,
        })
      }
      course.happenings.push(...happenings(before, after, now))
      // The beginning says what it is about; what goes is the oldest after it.
      if (course.happenings.length > MOST_HAPPENINGS) {
        course.happenings.splice(1, course.happenings.length - MOST_HAPPENINGS)
      }
      onNote?.(key)
    },
    of(key) {
      const course = kept.get(key)
      if (!course) return undefined
      return { ...course, slis: new Map([...course.slis].map(([name, series]) => [name, series.points()])) }
    },
    forget: (key) => void kept.delete(key),
    size: () => kept.size,
  }
}

/** A new attempt; or, after a restart, one that is under way: its weight and its counts are those of the status. */
function begin(status: RolloutStatus, now: number): Kept {
  const startedAt = epoch(status.startedAt) ?? now
  const since = epoch(status.step?.since) ?? now
  const weight = status.step?.weight ?? 0
  const course: Kept = {
    attempt: status.attempt ?? 0,
    startedAt,
    seenSince: now,
    lastAt: now,
    weights: [
      { at: Math.min(startedAt, since), weight: 0 },
      ...(weight > 0 ? [{ at: Math.max(startedAt, since), weight }] : []),
    ],
    happenings: [],
    slis: new Map(),
  }
  for (const { name, good, bad, evidence } of status.analysis ?? []) {
    if (good === undefined || bad === undefined) continue
    const series = new Series(startedAt)
    series.add({ at: now, good, bad, stableGood: Number.NaN, stableBad: Number.NaN, evidence: evidence ?? Number.NaN })
    course.slis.set(name, series)
  }
  return course
}

function takeWeight(course: Kept, weight: number, now: number): void {
  if (course.weights.at(-1)?.weight === weight) return
  course.weights.push({ at: now, weight })
  if (course.weights.length > MOST_WEIGHTS) course.weights.splice(1, 1)
}

function epoch(time: string | undefined): number | undefined {
  const at = Date.parse(time ?? '')
  return Number.isNaN(at) ? undefined : at
}
