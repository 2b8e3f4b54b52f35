/**
 * A bar of exactly `width` columns. `share` is from 0 to 1; what is more or less is drawn as the end. A share that is not
 * nothing shows at least a sliver, and one that is not all never looks full.
 */
export function bar(share: number, width: number): string {
  const eighths = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉']
  const bounded = Number.isNaN(share) ? 0 : Math.min(1, Math.max(0, share))
  let units = Math.round(bounded * width * 8)
  if (bounded > 0) units = Math.max(1, units)
  if (bounded < 1) units = Math.min(width * 8 - 1, units)
  const whole = Math.floor(Math.max(0, units) / 8)
  const part = eighths[Math.max(0, units) % 8] ?? ''
  return '█'.repeat(whole) + part + '░'.repeat(Math.max(0, width - whole - (part === '' ? 0 : 1)))
}
