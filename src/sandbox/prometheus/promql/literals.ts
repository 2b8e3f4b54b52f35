/** The literals of PromQL as Prometheus 2 reads them. Each parser answers `undefined` for what is not such a literal. */

const unitMs = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000, y: 31_536_000_000 } as const
const duration = /^(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?$/

/** Parses a duration such as `1h30m` to milliseconds. A year has 365 days. */
export function parseDuration(text: string): number | undefined {
  const match = text === '' ? null : duration.exec(text)
  if (!match) return undefined
  const [, y, w, d, h, m, s, ms] = match.map(Number)
  const parts = [
    [y, unitMs.y],
    [w, unitMs.w],
    [d, unitMs.d],
    [h, unitMs.h],
    [m, unitMs.m],
    [s, unitMs.s],
    [ms, unitMs.ms],
  ] as const
  return parts.reduce((sum, [count, unit]) => sum + (count ? count * unit : 0), 0)
}

/** Parses a number: decimal, `0x` hexadecimal, or, as Go's base detection has it, octal after a leading zero. */
export function parseNumber(text: string): number | undefined {
  const match = /^([+-]?)\s*(.*)$/s.exec(text)!
  const magnitude = parseMagnitude(match[2]!)
  return magnitude === undefined ? undefined : match[1] === '-' ? -magnitude : magnitude
}

function parseMagnitude(text: string): number | undefined {
  if (/^inf$/i.test(text)) return Number.POSITIVE_INFINITY
  if (/^nan$/i.test(text)) return Number.NaN
  if (/^0x[0-9a-f]+$/i.test(text)) return Number.parseInt(text.slice(2), 16)
  if (/^0[0-7]+$/.test(text)) return Number.parseInt(text, 8)
  if (/^(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)) {
    const value = Number(text)
    return Number.isFinite(value) ? value : undefined
  }
  return undefined
}

const simpleEscapes: Readonly<Record<string, string>> = {
  a: '\u0007',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
  "'": "'",
  '"': '"',
}

/** Unquotes a string literal in double, single or back quotes, with Go's escapes. */
export function parseString(text: string): string | undefined {
  const quote = text[0]
  if (text.length < 2 || text.at(-1) !== quote) return undefined
  const body = text.slice(1, -1)
  if (quote === '`') return body.replaceAll('\r', '')
  let out = ''
  for (let i = 0; i < body.length; i++) {
    const c = body[i]!
    if (c === quote || c === '\n') return undefined
    if (c !== '\\') {
      out += c
      continue
    }
    const numeric = /^\\(?:x([0-7][0-9a-fA-F])|([01][0-7]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))/.exec(body.slice(i))
    const simple = simpleEscapes[body[i + 1] ?? '']
    if (numeric) {
      const point = numeric[2]
        ? Number.parseInt(numeric[2], 8)
        : Number.parseInt(numeric[1] ?? numeric[3] ?? numeric[4]!, 16)
      if (point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) return undefined
      out += String.fromCodePoint(point)
      i += numeric[0].length - 1
    } else if (simple !== undefined && !((body[i + 1] === "'" || body[i + 1] === '"') && body[i + 1] !== quote)) {
      out += simple
      i++
    } else {
      return undefined
    }
  }
  return out
}

/** Prints milliseconds as Prometheus prints a duration in its answers, e.g. `1m30s`. */
export function formatDuration(durationMs: number): string {
  if (durationMs === 0) return '0s'
  let rest = Math.round(durationMs)
  let text = ''
  for (const unit of ['d', 'h', 'm', 's', 'ms'] as const) {
    const count = Math.floor(rest / unitMs[unit])
    if (count > 0) text += `${count}${unit}`
    rest -= count * unitMs[unit]
  }
  return text
}
