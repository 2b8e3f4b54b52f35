import { formatPlainDecimal } from '../go-number.ts'
import type { Labels } from '../labels.ts'
import { nanFirst, quantile } from './arithmetic.ts'
import type { AggregateOp } from './ast.ts'
import { executionError } from './error.ts'
import { isLabelName } from './label-functions.ts'
import type { Sample, Vector } from './value.ts'

/** How an aggregation forms its groups. */
export interface Grouping {
  labels: readonly string[]
  without: boolean
}

interface Group {
  labels: Labels
  members: Sample[]
}

/** Aggregates a vector; `parameter` is the k of topk, the q of quantile or the label of count_values. */
export function aggregate(op: AggregateOp, vector: Vector, grouping: Grouping, parameter: number | string): Vector {
  switch (op) {
    case 'topk':
    case 'bottomk': {
      const k = integer(parameter)
      if (k < 1) return []
      return groups(vector, grouping).flatMap((group) => extremes(group.members, k, op === 'topk'))
    }
    case 'count_values':
      return countValues(vector, grouping, String(parameter))
    case 'quantile':
      return groups(vector, grouping).map(({ labels, members }) => ({
        labels,
        value: quantile(
          Number(parameter),
          members.map((member) => member.value),
        ),
      }))
    default:
      return groups(vector, grouping).map(({ labels, members }) => ({ labels, value: reductions[op](members) }))
  }
}

function groups(vector: Vector, { labels: by, without }: Grouping): Group[] {
  const found = new Map<string, Group>()
  const names = new Set(by)
  if (without) names.add('__name__')
  const keep = (name: string) => names.has(name) !== without
  // By label, the values alone identify the group; without labels, the names that are left do too.
  const keyOf = without
    ? (labels: Labels) => labels.filter(keep).key
    : (labels: Labels) => by.map((name) => labels.get(name)).join('\u0001')
  for (const sample of vector) {
    const key = keyOf(sample.labels)
    const group = found.get(key)
    if (group) group.members.push(sample)
    else found.set(key, { labels: sample.labels.filter(keep), members: [sample] })
  }
  return [...found.values()]
}

const reductions = {
  sum: (members: Sample[]) => members.reduce((sum, { value }) => sum + value, -0),
  count: (members: Sample[]) => members.length,
  group: () => 1,
  min: (members: Sample[]) => members.reduce((min, { value }) => (min > value || Number.isNaN(min) ? value : min), NaN),
  max: (members: Sample[]) => members.reduce((max, { value }) => (max < value || Number.isNaN(max) ? value : max), NaN),
  avg: average,
  stdvar: variance,
  stddev: (members: Sample[]) => Math.sqrt(variance(members)),
}

/** A running mean that does not overflow and keeps an infinity of one sign. */
function average(members: Sample[]): number {
  let mean = members[0]!.value
  for (let i = 1; i < members.length; i++) {
    const { value } = members[i]!
    if (mean === Number.POSITIVE_INFINITY || mean === Number.NEGATIVE_INFINITY) {
      if (value === mean || Number.isFinite(value)) continue
    }
    mean += value / (i + 1) - mean / (i + 1)
  }
  return mean
}

/** Welford's population variance. */
function variance(members: Sample[]): number {
  let mean = members[0]!.value
  let squares = 0
  for (let i = 1; i < members.length; i++) {
    const delta = members[i]!.value - mean
    mean += delta / (i + 1)
    squares += delta * (members[i]!.value - mean)
  }
  return squares / members.length
}

function integer(parameter: number | string): number {
  const k = Number(parameter)
  if (!(Math.abs(k) <= 9223372036854775000)) throw executionError(`Scalar value ${goNumber(k)} overflows int64`)
  return Math.trunc(k)
}

function goNumber(value: number): string {
  return Number.isFinite(value) ? String(value) : formatPlainDecimal(value)
}

/** The k greatest (or smallest) members with their own labels; NaN is only kept for want of others. */
function extremes(members: Sample[], k: number, greatest: boolean): Sample[] {
  return members
    .toSorted((a, b) => {
      if (Number.isNaN(a.value) || Number.isNaN(b.value)) return nanFirst(b.value, a.value)
      return greatest ? b.value - a.value || 0 : a.value - b.value || 0
    })
    .slice(0, k)
}

function countValues(vector: Vector, grouping: Grouping, label: string): Vector {
  if (!isLabelName(label)) throw executionError(`invalid label name "${label}"`)
  const labelled = vector.map(({ labels, value }) => ({ labels: labels.with(label, formatPlainDecimal(value)), value }))
  const by = grouping.without ? grouping.labels : [...grouping.labels, label]
  return groups(labelled, { labels: by, without: grouping.without }).map(({ labels, members }) => ({
    labels,
    value: members.length,
  }))
}
