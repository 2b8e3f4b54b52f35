import { CronTime } from 'cron'
import { parseDuration } from '../api/duration.ts'
import type { RolloutSpec } from '../api/rollout.ts'

type Window = RolloutSpec['windows'][number]

/**
 * Whether forward moves may happen at an instant, or why not. It stays so until `until` (epoch ms) at least; without one, for good.
 */
export type WindowState = { open: true; until?: number } | { open: false; reason: string; until?: number }

/** How many closed stretches in a row are looked through for the next opening: a year of deny windows that follow each other. */
const STRETCHES = 50

/** When forward moves may happen again at the earliest, epoch ms; undefined when that is too far away to tell. */
export function nextOpening(windows: readonly Window[], now: number): number | undefined {
  let at = now
  for (let i = 0; i < STRETCHES; i++) {
    const state = windowState(windows, at)
    if (state.open) return at
    if (state.until === undefined || state.until <= at) return undefined
    at = state.until
  }
  return undefined
}

/**
 * Forward moves may happen while at least one allow window is open (or there is none) and no deny window is.
 * Cron lines are only ever asked for their next date (cron's own timers skip late ticks); time zones and their changes of clock are luxon's.
 * Each question costs milliseconds: keep the answer until `until`.
 * @throws Error when a cron line or time zone cannot be read; `checkWindows` says so before.
 */
export function windowState(windows: readonly Window[], now: number): WindowState {
  const all = windows.map((window) => openingOf(window, now))
  const denied = all.find((w) => w.denies && w.start <= now)
  if (denied) return { open: false, reason: `a deny window (${denied.text}) is open`, until: denied.end }
  const denies = all.filter((w) => w.denies).map((w) => w.start)
  const allows = all.filter((w) => !w.denies)
  if (allows.length === 0) return denies.length === 0 ? { open: true } : { open: true, until: Math.min(...denies) }
  const open = allows.filter((w) => w.start <= now)
  if (open.length > 0) return { open: true, until: Math.min(...denies, Math.max(...open.map((w) => w.end))) }
  const reason = `no allow window (${allows.map((w) => w.text).join('; ')}) is open`
  return { open: false, reason, until: Math.min(...allows.map((w) => w.start)) }
}

/** The window that is open at `now`, or the next one. Its start is at most `now` exactly when it is open. */
function openingOf(window: Window, now: number): { denies: boolean; text: string; start: number; end: number } {
  const line = window.deny ?? window.allow ?? ''
  const length = parseDuration(window.for)
  // The first start after `now - for`.
  const start = nextStart(window, line, now - length)
  return {
    denies: window.deny !== undefined,
    text: `${line} for ${window.for}, ${window.timezone}`,
    start,
    end: start + length,
  }
}

/** The first window that cannot be read, in one sentence; undefined when all can. */
export function checkWindows(windows: readonly Window[]): { field: string; message: string } | undefined {
  for (const [i, w] of windows.entries()) {
    const line = w.allow ?? w.deny ?? ''
    try {
      if (line.trim().split(/\s+/).length !== 5)
        throw new Error('a cron line has five fields: minute hour day month weekday')
      nextStart(w, line, 0)
    } catch (error) {
      return {
        field: `spec.windows[${i}]`,
        message: `"${line}" in ${w.timezone} cannot be read: ${error instanceof Error ? error.message : String(error)}`,
      }
    }
  }
  return undefined
}

function nextStart(window: Window, line: string, after: number): number {
  return new CronTime(line, window.timezone).getNextDateFrom(new Date(after), window.timezone).toMillis()
}
