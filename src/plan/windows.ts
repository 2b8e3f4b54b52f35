import { CronTime } from 'cron'
import { parseDuration } from '../api/duration.ts'
import type { RolloutSpec } from '../api/rollout.ts'

type Window = RolloutSpec['windows'][number]

/** Whether forward moves may happen at an instant, or why not and when that changes at the earliest. */
export type WindowState = { open: true } | { open: false; reason: string; until?: number }

/**
 * Forward moves may happen while at least one allow window is open (or there is none) and no deny window is.
 * Cron lines are only ever asked for their next date (cron's own timers skip late ticks); time zones and their changes of clock are luxon's.
 * @throws Error when a cron line or time zone cannot be read; `checkWindows` says so before.
 */
export function windowState(windows: readonly Window[], now: number): WindowState {
  const denied = windows.find((w) => w.deny !== undefined && inside(w, w.deny, now))
  if (denied?.deny) {
    const start = begin(denied, denied.deny, now)
    return {
      open: false,
      reason: `a deny window (${denied.deny} for ${denied.for}, ${denied.timezone}) is open`,
      until: start + parseDuration(denied.for),
    }
  }
  const allows = windows.filter((w) => w.allow !== undefined)
  if (allows.length === 0 || allows.some((w) => inside(w, w.allow ?? '', now))) return { open: true }
  const next = Math.min(...allows.map((w) => nextStart(w, w.allow ?? '', now)))
  return { open: false, reason: `no allow window is open before ${new Date(next).toISOString()}`, until: next }
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

function inside(window: Window, line: string, now: number): boolean {
  return begin(window, line, now) <= now
}

/** The first start after `now - for`: at most `now` exactly when the window is open. */
function begin(window: Window, line: string, now: number): number {
  return nextStart(window, line, now - parseDuration(window.for))
}

function nextStart(window: Window, line: string, after: number): number {
  return new CronTime(line, window.timezone).getNextDateFrom(new Date(after), window.timezone).toMillis()
}
