import { Labels } from '../labels.ts'
import { arithmetic, compare, dropsMetricName } from './arithmetic.ts'
import type { BinaryOp, Matching, SetOp } from './ast.ts'
import { isComparison, isSetOp } from './ast.ts'
import { executionError } from './error.ts'
import type { Sample, Vector } from './value.ts'

/** What an operator makes of two numbers; `undefined` when a comparison filters the element out. */
function combine(op: BinaryOp, lhs: number, rhs: number, bool: boolean): number | undefined {
  if (dropsMetricName(op)) return arithmetic(op, lhs, rhs)
  if (!isComparison(op)) throw new Error(`${op} does not combine numbers`)
  const holds = compare(op, lhs, rhs)
  return bool ? Number(holds) : holds ? lhs : undefined
}

/** An operator between two scalars; comparisons are 0 or 1. */
export function scalarBinary(op: BinaryOp, lhs: number, rhs: number): number {
  return combine(op, lhs, rhs, true)!
}

/** An operator between a vector and a scalar. A filtering comparison keeps the vector's value on whichever side it is. */
export function vectorScalarBinary(
  op: BinaryOp,
  vector: Vector,
  scalar: number,
  scalarIsLeft: boolean,
  bool: boolean,
): Vector {
  const result: Vector = []
  for (const sample of vector) {
    const value = scalarIsLeft ? combine(op, scalar, sample.value, bool) : combine(op, sample.value, scalar, bool)
    if (value === undefined) continue
    const kept = isComparison(op) && !bool
    result.push(kept ? sample : { labels: sample.labels.nameless, value })
  }
  return result
}

/** An operator between two vectors, matched by label; throws where Prometheus finds the match ambiguous. */
export function vectorBinary(op: BinaryOp, lhs: Vector, rhs: Vector, matching: Matching, bool: boolean): Vector {
  if (isSetOp(op)) return setOperation(op, lhs, rhs, matching)
  if (lhs.length === 0 || rhs.length === 0) return []
  const oneIsLeft = matching.group === 'right'
  const many = oneIsLeft ? rhs : lhs
  const one = indexOneSide(oneIsLeft ? lhs : rhs, matching, oneIsLeft ? 'left' : 'right')
  const matched = new Map<string, Set<string>>()
  const result: Vector = []
  for (const sample of many) {
    const signature = signatureOf(sample.labels, matching)
    const other = one.get(signature)
    if (!other) continue
    const value = oneIsLeft
      ? combine(op, other.value, sample.value, bool)
      : combine(op, sample.value, other.value, bool)
    if (value === undefined) continue
    const labels = resultLabels(sample.labels, other.labels, dropsMetricName(op) || bool, matching)
    const earlier = matched.get(signature)
    if (!earlier) matched.set(signature, new Set([labels.key]))
    else if (!matching.group) {
      throw executionError(
        'multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)',
      )
    } else if (earlier.has(labels.key)) {
      throw executionError('multiple matches for labels: grouping labels must ensure unique matches')
    } else earlier.add(labels.key)
    result.push({ labels, value })
  }
  return result
}

function indexOneSide(vector: Vector, matching: Matching, side: 'left' | 'right'): Map<string, Sample> {
  const one = new Map<string, Sample>()
  for (const sample of vector) {
    const signature = signatureOf(sample.labels, matching)
    const earlier = one.get(signature)
    if (earlier) {
      const group = matching.on
        ? sample.labels.filter((name) => matching.labels.includes(name))
        : sample.labels.nameless.filter((name) => !matching.labels.includes(name))
      throw executionError(
        `found duplicate series for the match group ${group} on the ${side} hand-side of the operation: ` +
          `[${sample.labels}, ${earlier.labels}];many-to-many matching not allowed: matching labels must be unique on one side`,
      )
    }
    one.set(signature, sample)
  }
  return one
}

function setOperation(op: SetOp, lhs: Vector, rhs: Vector, matching: Matching): Vector {
  const signatures = (vector: Vector) => new Set(vector.map((sample) => signatureOf(sample.labels, matching)))
  if (op === 'or') {
    const left = signatures(lhs)
    return [...lhs, ...rhs.filter((sample) => !left.has(signatureOf(sample.labels, matching)))]
  }
  const right = signatures(rhs)
  return lhs.filter((sample) => right.has(signatureOf(sample.labels, matching)) === (op === 'and'))
}

function signatureOf(labels: Labels, { on, labels: names }: Matching): string {
  if (!on && names.length === 0) return labels.nameless.key
  if (on) return names.map((name) => labels.get(name)).join('\u0002')
  let signature = ''
  for (let i = 0; i < labels.names.length; i++) {
    const name = labels.names[i]!
    if (name !== '__name__' && !names.includes(name)) signature += `${name}\u0001${labels.values[i]}\u0002`
  }
  return signature
}

function resultLabels(many: Labels, one: Labels, dropName: boolean, matching: Matching): Labels {
  let labels = dropName ? many.nameless : many
  if (!matching.group) {
    if (matching.on || matching.labels.length > 0) {
      labels = labels.filter((name) => matching.labels.includes(name) === matching.on)
    }
    return labels
  }
  if (matching.include.length === 0) return labels
  return Labels.from([...labels.entries(), ...matching.include.map((name) => [name, one.get(name)] as const)])
}
