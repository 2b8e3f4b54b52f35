import { z } from 'zod'

const UNIT_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** One or more numbers with a unit, largest first by custom but not by rule: `500ms`, `1h30m`, `14d`. RE2-safe, so the API server can check it too. */
export const DURATION_PATTERN = '^([0-9]+(\\.[0-9]+)?(ms|s|m|h|d))+$'

/**
 * Milliseconds of a duration such as `90s`, `1h30m` or `500ms`.
 * @throws RangeError when the text is not a duration; schemas refuse such text before it gets here.
 */
export function parseDuration(text: string): number {
  if (!new RegExp(DURATION_PATTERN).test(text)) throw new RangeError(`not a duration: ${JSON.stringify(text)}`)
  let total = 0
  for (const [, amount, unit] of text.matchAll(/([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)/g)) {
    total += Number(amount) * UNIT_MS[unit as keyof typeof UNIT_MS]
  }
  return Math.round(total)
}

/** The shortest exact text for a number of milliseconds, in at most two units: `1h30m`, `45s`, `500ms`. */
export function formatDuration(ms: number): string {
  if (!Number.isFinite(ms)) return String(ms)
  if (ms < 0) return `-${formatDuration(-ms)}`
  if (ms < 1000) return `${Math.round(ms)}ms`
  const total = Math.round(ms / 1000)
  const parts = [
    [Math.floor(total / 86_400), 'd'],
    [Math.floor(total / 3600) % 24, 'h'],
    [Math.floor(total / 60) % 60, 'm'],
    [total % 60, 's'],
  ] as const
  const first = parts.findIndex(([n]) => n > 0)
  return parts
    .slice(first, first + 2)
    .filter(([n]) => n > 0)
    .map(([n, unit]) => `${n}${unit}`)
    .join('')
}

/** A duration field. Bounds are checked here; the API server checks the pattern (CEL has no days, so not the bounds). */
export function duration(description: string, bounds: { min?: string; max?: string } = {}) {
  const { min, max } = bounds
  return z
    .string()
    .max(32)
    .regex(new RegExp(DURATION_PATTERN), 'must be a duration such as 30s, 5m or 1h30m')
    .refine((text) => min === undefined || safe(text) >= parseDuration(min), { error: `must be at least ${min}` })
    .refine((text) => max === undefined || safe(text) <= parseDuration(max), { error: `must be at most ${max}` })
    .meta({ description })
}

function safe(text: string): number {
  try {
    return parseDuration(text)
  } catch {
    return Number.NaN
  }
}
