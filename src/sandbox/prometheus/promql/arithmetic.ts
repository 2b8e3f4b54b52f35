import type { ArithmeticOp, BinaryOp, ComparisonOp } from './ast.ts'

/** Go's math.Pow: unlike JavaScript's, 1 to anything is 1, and so is -1 to an infinity. */
function goPow(base: number, exponent: number): number {
  if (base === 1) return 1
  if (base === -1 && (exponent === Number.POSITIVE_INFINITY || exponent === Number.NEGATIVE_INFINITY)) return 1
  return base ** exponent
}

/** Go's math.Max: +Inf wins even over NaN. */
export function goMax(a: number, b: number): number {
  return a === Number.POSITIVE_INFINITY || b === Number.POSITIVE_INFINITY ? Number.POSITIVE_INFINITY : Math.max(a, b)
}

/** Go's math.Min: -Inf wins even over NaN. */
export function goMin(a: number, b: number): number {
  return a === Number.NEGATIVE_INFINITY || b === Number.NEGATIVE_INFINITY ? Number.NEGATIVE_INFINITY : Math.min(a, b)
}

export function arithmetic(op: ArithmeticOp, a: number, b: number): number {
  switch (op) {
    case '+':
      return a + b
    case '-':
      return a - b
    case '*':
      return a * b
    case '/':
      return a / b
    case '%':
      return a % b
    case '^':
      return goPow(a, b)
  }
}

export function compare(op: ComparisonOp, a: number, b: number): boolean {
  switch (op) {
    case '==':
      return a === b
    case '!=':
      return a !== b
    case '>':
      return a > b
    case '<':
      return a < b
    case '>=':
      return a >= b
    case '<=':
      return a <= b
  }
}

/** A compensated sum after Neumaier, as Prometheus 2.42 uses it: an infinite sum leaves the compensation NaN. */
export interface KahanSum {
  sum: number
  compensation: number
}

export function kahanAdd(into: KahanSum, increment: number): void {
  const next = into.sum + increment
  into.compensation +=
    Math.abs(into.sum) >= Math.abs(increment) ? into.sum - next + increment : increment - next + into.sum
  into.sum = next
}

/** Prometheus's quantile of unsorted values: linear between ranks; NaN sorts first. */
export function quantile(q: number, values: readonly number[]): number {
  if (values.length === 0 || Number.isNaN(q)) return Number.NaN
  if (q < 0) return Number.NEGATIVE_INFINITY
  if (q > 1) return Number.POSITIVE_INFINITY
  const sorted = values.toSorted(nanFirst)
  const rank = q * (sorted.length - 1)
  const lower = Math.max(0, Math.floor(rank))
  const upper = Math.min(sorted.length - 1, lower + 1)
  const weight = rank - Math.floor(rank)
  return sorted[lower]! * (1 - weight) + sorted[upper]! * weight
}

export function nanFirst(a: number, b: number): number {
  if (Number.isNaN(a)) return Number.isNaN(b) ? 0 : -1
  if (Number.isNaN(b)) return 1
  return a < b ? -1 : a > b ? 1 : 0
}

/** Whether the result of an operator is another quantity than its operands, so that it loses the metric name. */
export function dropsMetricName(op: BinaryOp): op is ArithmeticOp {
  return ['+', '-', '*', '/', '%', '^'].includes(op)
}
