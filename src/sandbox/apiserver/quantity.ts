const suffixes: Record<string, number> = {
  '': 1,
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
}

const pattern = /^([+-]?)(\d+\.?\d*|\.\d+)(?:[eE]([+-]?\d+)|([numkMGTPE]|[KMGTPE]i)?)$/

/**
 * A quantity as the real server writes it back: without fractions, in the largest suffix of its own kind (powers of two,
 * powers of ten, exponents), rounded up to so many decimal places (what is smaller than a billionth always is). Text that is no
 * quantity is answered as it is.
 * https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
 */
export function canonicalQuantity(text: string, places = 9): string {
  const match = pattern.exec(text)
  if (!match) return text
  const [, sign, number = '', exponent, suffix = ''] = match
  const [whole = '', fraction = ''] = number.split('.')
  const digits = BigInt(`${whole}${fraction}`)
  const minus = sign === '-' && digits !== 0n ? '-' : ''
  if (suffix.endsWith('i')) {
    const scaled = digits << (10n * BigInt('KMGTPE'.indexOf(suffix.charAt(0)) + 1))
    const divisor = 10n ** BigInt(fraction.length)
    const bytes = scaled / divisor
    // As upstream, what is no whole number of bytes is told in powers of ten.
    if (bytes >= 1024n && bytes * divisor === scaled)
      return minus + inPowers(bytes, 1024n, ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'])
  }
  const shift = suffix.endsWith('i') ? 10 * ('KMGTPE'.indexOf(suffix.charAt(0)) + 1) : 0
  const scale = exponent === undefined ? (decimalExponents[suffix] ?? 0) : Number(exponent)
  // In billionths, below which the server rounds up.
  const power = 9 + scale - fraction.length
  const scaled = digits << BigInt(shift)
  const exact = power >= 0 ? scaled * 10n ** BigInt(power) : ceilDivide(scaled, 10n ** BigInt(-power))
  const step = 10n ** BigInt(9 - places)
  const nanos = ceilDivide(exact, step) * step
  if (exponent === undefined) return minus + inPowers(nanos, 1000n, ['n', 'u', 'm', '', 'k', 'M', 'G', 'T', 'P', 'E'])
  return minus + inPowers(nanos, 1000n, ['e-9', 'e-6', 'e-3', '', 'e3', 'e6', 'e9', 'e12', 'e15', 'e18'])
}

const decimalExponents: Record<string, number> = { n: -9, u: -6, m: -3, k: 3, M: 6, G: 9, T: 12, P: 15, E: 18 }

function ceilDivide(value: bigint, by: bigint): bigint {
  return (value + by - 1n) / by
}

function inPowers(value: bigint, base: bigint, suffixes: readonly string[]): string {
  if (value === 0n) return '0'
  let [rest, power] = [value, 0]
  while (rest % base === 0n && power < suffixes.length - 1) {
    rest /= base
    power++
  }
  return `${rest}${suffixes[power]}`
}

/** The number a Kubernetes quantity (`500m`, `1Gi`, `1e3`) stands for; NaN when it is none. */
export function quantityValue(text: string): number {
  const match = /^([+-]?(?:\d+\.?\d*|\.\d+))(?:[eE]([+-]?\d+)|([numkMGTPE]|[KMGTPE]i)?)$/.exec(text)
  if (!match) return Number.NaN
  const scale = match[2] === undefined ? (suffixes[match[3] ?? ''] ?? Number.NaN) : 10 ** Number(match[2])
  return Number(match[1]) * scale
}
