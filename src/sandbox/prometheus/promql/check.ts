import type { Aggregate, Binary, Call, Expr, ValueType } from './ast.ts'
import { isComparison, isSetOp } from './ast.ts'
import { QueryError } from './error.ts'
import { signatures } from './signatures.ts'
import { unsettledAggregate, unsettledCall } from './unsettled.ts'

const typeNames = {
  scalar: 'scalar',
  vector: 'instant vector',
  matrix: 'range vector',
  string: 'string',
} as const satisfies Record<ValueType, string>

/** The type an expression evaluates to; the expression must have passed `checkTypes`. */
export function typeOf(expr: Expr): ValueType {
  switch (expr.kind) {
    case 'number':
      return 'scalar'
    case 'string':
      return 'string'
    case 'vector':
    case 'aggregate':
      return 'vector'
    case 'matrix':
    case 'subquery':
      return 'matrix'
    case 'call':
      return signatures[expr.name]!.returns
    case 'binary':
      return typeOf(expr.lhs) === 'scalar' && typeOf(expr.rhs) === 'scalar' ? 'scalar' : 'vector'
    case 'unary':
    case 'paren':
      return typeOf(expr.expr)
  }
}

/** Throws `QueryError` (bad_data) when an operator or function gets an operand of a type it does not take. */
export function checkTypes(expr: Expr): void {
  switch (expr.kind) {
    case 'number':
    case 'string':
    case 'vector':
    case 'matrix':
      return
    case 'paren':
      checkTypes(expr.expr)
      return
    case 'subquery':
      checkTypes(expr.expr)
      if (typeOf(expr.expr) !== 'vector') {
        fail(`subquery is only allowed on instant vector, got ${typeNames[typeOf(expr.expr)]} instead`)
      }
      return
    case 'unary':
      checkTypes(expr.expr)
      if (typeOf(expr.expr) !== 'scalar' && typeOf(expr.expr) !== 'vector') {
        fail(
          `unary expression only allowed on expressions of type scalar or instant vector, got "${typeNames[typeOf(expr.expr)]}"`,
        )
      }
      return
    case 'call':
      checkCall(expr)
      return
    case 'aggregate':
      checkAggregate(expr)
      return
    case 'binary':
      checkBinary(expr)
      return
  }
}

function checkCall(call: Call): void {
  const { args, optional } = signatures[call.name]!
  const count = call.args.length
  if (optional === 0 && count !== args.length) {
    fail(`expected ${args.length} argument(s) in call to "${call.name}", got ${count}`)
  }
  const least = optional < 0 ? args.length - 1 : args.length - optional
  if (count < least) fail(`expected at least ${least} argument(s) in call to "${call.name}", got ${count}`)
  if (optional > 0 && count > args.length) {
    fail(`expected at most ${args.length} argument(s) in call to "${call.name}", got ${count}`)
  }
  call.args.forEach((arg, i) => {
    expectType(arg, args[Math.min(i, args.length - 1)]!, `call to function "${call.name}"`)
  })
  const unsettled = unsettledCall(call)
  if (unsettled) fail(unsettled)
}

function checkAggregate(aggregate: Aggregate): void {
  expectType(aggregate.expr, 'vector', 'aggregation expression')
  if (!aggregate.param) return
  expectType(aggregate.param, aggregate.op === 'count_values' ? 'string' : 'scalar', 'aggregation parameter')
  const unsettled = unsettledAggregate(aggregate, aggregate.param)
  if (unsettled) fail(unsettled)
}

function checkBinary(binary: Binary): void {
  checkTypes(binary.lhs)
  checkTypes(binary.rhs)
  const { op, matching } = binary
  const sides = [typeOf(binary.lhs), typeOf(binary.rhs)]
  if (binary.bool && !isComparison(op)) fail('bool modifier can only be used on comparison operators')
  if (isComparison(op) && !binary.bool && sides.every((type) => type === 'scalar')) {
    fail('comparisons between scalars must use BOOL modifier')
  }
  for (const label of matching.include) {
    if (matching.on && matching.labels.includes(label)) {
      fail(`label "${label}" must not occur in ON and GROUP clause at once`)
    }
  }
  if (sides.some((type) => type !== 'scalar' && type !== 'vector')) {
    fail('binary expression must contain only scalar and instant vector types')
  }
  if (sides.includes('scalar')) {
    if (matching.labels.length > 0) fail('vector matching only allowed between instant vectors')
    if (isSetOp(op)) fail(`set operator "${op}" not allowed in binary scalar expression`)
  }
  if (isSetOp(op) && matching.group) fail(`no grouping allowed for "${op}" operation`)
}

function expectType(expr: Expr, want: ValueType, where: string): void {
  checkTypes(expr)
  const got = typeOf(expr)
  if (got !== want) fail(`expected type ${typeNames[want]} in ${where}, got ${typeNames[got]}`)
}

function fail(message: string): never {
  throw new QueryError('bad_data', `parse error: ${message}`)
}
