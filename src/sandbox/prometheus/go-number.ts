/** Numbers as Go reads and prints them, because Prometheus's formats are defined by Go's strconv. */

const decimal = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/
const hexFloat = /^([+-]?)0[xX]([0-9a-fA-F]*)\.?([0-9a-fA-F]*)[pP]([+-]?\d+)$/

/** Parses a float as `strconv.ParseFloat(s, 64)` does; `undefined` when it is not one (or out of range). */
export function parseGoFloat(text: string): number | undefined {
  if (decimal.test(text)) {
    const value = Number(text)
    return Number.isFinite(value) ? value : undefined
  }
  switch (text.toLowerCase()) {
    case 'nan':
      return Number.NaN
    case 'inf':
    case '+inf':
    case 'infinity':
    case '+infinity':
      return Number.POSITIVE_INFINITY
    case '-inf':
    case '-infinity':
      return Number.NEGATIVE_INFINITY
  }
  const hex = hexFloat.exec(text)
  if (!hex || hex[2]! + hex[3]! === '') return undefined
  const mantissa = Number.parseInt(hex[2]! + hex[3]!, 16)
  const value = mantissa * 2 ** (Number(hex[4]) - 4 * hex[3]!.length)
  return hex[1] === '-' ? -value : value
}

/** Prints a sample of a vector or matrix as Prometheus's HTTP API does (scalars are plain decimals): shortest form, exponent below 1e-6 and from 1e21. */
export function formatSampleValue(value: number): string {
  if (!Number.isFinite(value)) return formatSpecial(value)
  if (Object.is(value, -0)) return '-0'
  // JavaScript switches to exponents at the same bounds, but Go writes at least two exponent digits.
  return String(value).replace(/e([+-])(\d)$/, 'e$10$2')
}

/** Prints a value without exponent and with the fewest digits that identify it: `FormatFloat(v, 'f', -1, 64)`. */
export function formatPlainDecimal(value: number): string {
  if (!Number.isFinite(value)) return formatSpecial(value)
  if (Object.is(value, -0)) return '-0'
  const text = String(value)
  const match = /^(-?)(\d+)(?:\.(\d+))?e([+-]\d+)$/.exec(text)
  if (!match) return text
  const [, sign, whole, fraction = '', exponent] = match
  const digits = whole! + fraction
  const point = whole!.length + Number(exponent)
  if (point <= 0) return `${sign}0.${'0'.repeat(-point)}${digits}`
  if (point >= digits.length) return `${sign}${digits}${'0'.repeat(point - digits.length)}`
  return `${sign}${digits.slice(0, point)}.${digits.slice(point)}`
}

function formatSpecial(value: number): string {
  return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf'
}
