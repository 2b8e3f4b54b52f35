const pattern = /^([+-]?)(\d+\.?\d*|\.\d+)(?:[eE]([+-]?\d{1,3})|([numkMGTPE]|[KMGTPE]i)?)$/
const powersOfTen: Readonly<Record<string, number>> = { n: -9, u: -6, m: -3, k: 3, M: 6, G: 9, T: 12, P: 15, E: 18 }
const binary = 'KMGTPE'

/**
 * The number that a Kubernetes quantity stands for, as plain decimal text, so that `1`, `"1000m"` and `1e0` are one: exact, rounded up
 * to `decimals` places as the API server does. What is no quantity is answered as it is.
 * https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
 */
export function plainQuantity(value: unknown, decimals = 9): unknown {
  const match = typeof value === 'string' || typeof value === 'number' ? pattern.exec(String(value)) : null
  if (!match) return value
  const [, sign, number = '', exponent, suffix = ''] = match
  const [whole = '', fraction = ''] = number.split('.')
  const shift = suffix.endsWith('i') ? 10n * BigInt(binary.indexOf(suffix.charAt(0)) + 1) : 0n
  const digits = BigInt(`${whole}${fraction}`) << shift
  const power = decimals - fraction.length + (exponent === undefined ? (powersOfTen[suffix] ?? 0) : Number(exponent))
  const scaled = power >= 0 ? digits * 10n ** BigInt(power) : ceilDivide(digits, 10n ** BigInt(-power))
  const text = String(scaled).padStart(decimals + 1, '0')
  const plain = `${text.slice(0, -decimals)}.${text.slice(-decimals)}`.replace(/\.?0+$/, '')
  return sign === '-' && plain !== '0' ? `-${plain}` : plain
}

function ceilDivide(value: bigint, by: bigint): bigint {
  return (value + by - 1n) / by
}
