const units = [
  [86_400_000 * 365, 'y', 2],
  [86_400_000, 'd', 2],
  [3_600_000, 'h', 2],
  [60_000, 'm', 2],
  [1_000, 's', 0],
] as const

/** A length of time in milliseconds as one number, as kubectl shows ages: `45s`, `90m`, `3d`. */
export function age(ms: number): string {
  const unit = units.find(([length, , from]) => ms >= length * from) ?? units[4]
  return `${Math.max(0, Math.floor(ms / unit[0]))}${unit[1]}`
}

/** How long ago a recorded time is; empty for one that cannot be read. */
export function since(time: string | undefined, now: number): string {
  const at = Date.parse(time ?? '')
  return Number.isNaN(at) ? '' : age(now - at)
}
