import type { Matcher } from '../matcher.ts'

/** The four types of a PromQL expression. */
export type ValueType = 'scalar' | 'vector' | 'matrix' | 'string'

export type Expr =
  | NumberLiteral
  | StringLiteral
  | VectorSelector
  | MatrixSelector
  | Subquery
  | Call
  | Aggregate
  | Binary
  | Unary
  | Paren

interface NumberLiteral {
  kind: 'number'
  value: number
}

interface StringLiteral {
  kind: 'string'
  value: string
}

/** The `offset` and `@` modifiers; `at` is milliseconds since the epoch, or the start or end of the whole query. */
export interface TimeModifiers {
  offsetMs?: number
  at?: number | 'start' | 'end'
}

export interface VectorSelector extends TimeModifiers {
  kind: 'vector'
  name: string
  matchers: Matcher[]
}

export interface MatrixSelector {
  kind: 'matrix'
  vector: VectorSelector
  rangeMs: number
}

export interface Subquery extends TimeModifiers {
  kind: 'subquery'
  expr: Expr
  rangeMs: number
  /** Absent means the default evaluation interval. */
  stepMs?: number
}

export interface Call {
  kind: 'call'
  name: string
  args: Expr[]
}

export interface Aggregate {
  kind: 'aggregate'
  op: AggregateOp
  expr: Expr
  param?: Expr
  grouping: string[]
  without: boolean
}

export interface Binary {
  kind: 'binary'
  op: BinaryOp
  lhs: Expr
  rhs: Expr
  bool: boolean
  matching: Matching
}

export interface Matching {
  on: boolean
  labels: string[]
  group: 'left' | 'right' | undefined
  include: string[]
}

export interface Unary {
  kind: 'unary'
  op: '+' | '-'
  expr: Expr
}

interface Paren {
  kind: 'paren'
  expr: Expr
}

export const aggregateOps = [
  'avg',
  'bottomk',
  'count',
  'count_values',
  'group',
  'max',
  'min',
  'quantile',
  'stddev',
  'stdvar',
  'sum',
  'topk',
] as const
export type AggregateOp = (typeof aggregateOps)[number]

const arithmeticOps = ['+', '-', '*', '/', '%', '^'] as const
const comparisonOps = ['==', '!=', '>', '<', '>=', '<='] as const
const setOps = ['and', 'or', 'unless'] as const
export type ArithmeticOp = (typeof arithmeticOps)[number]
export type ComparisonOp = (typeof comparisonOps)[number]
export type SetOp = (typeof setOps)[number]
export type BinaryOp = ArithmeticOp | ComparisonOp | SetOp

export function isComparison(op: BinaryOp): op is ComparisonOp {
  return (comparisonOps as readonly string[]).includes(op)
}

export function isSetOp(op: BinaryOp): op is SetOp {
  return (setOps as readonly string[]).includes(op)
}

/** The expression inside any number of parentheses. */
export function unwrap(expr: Expr): Expr {
  let inner = expr
  while (inner.kind === 'paren') inner = inner.expr
  return inner
}
