import { type Aggregate, type Call, type Expr, unwrap } from './ast.ts'

/**
 * Expressions that Prometheus 2.42 evaluates, in range queries, in a way later releases call a bug: it takes parts with
 * `@` for constant that are not, or for moving that are fixed. Each function answers why an expression is one of them.
 */

/**
 * `@` on the range of a function whose result also depends on the step: the fixed time moves along with the steps.
 * And `timestamp`, which forgets the offset of a selector with `@`.
 */
export function unsettledCall(call: Call): string | undefined {
  if (call.name === 'timestamp') {
    const operand = unwrap(call.args[0]!)
    const both = operand.kind === 'vector' && operand.at !== undefined && operand.offsetMs !== undefined
    return both ? 'timestamp() of a selector with both @ and offset is not supported here' : undefined
  }
  if (call.name !== 'predict_linear' && call.name !== 'quantile_over_time') return undefined
  const [range, parameter] = call.name === 'predict_linear' ? call.args : call.args.toReversed()
  const inner = unwrap(range!)
  const selector = inner.kind === 'matrix' ? inner.vector : inner
  const fixed = 'at' in selector && selector.at !== undefined
  const constant = call.name === 'quantile_over_time' && unwrap(parameter!).kind === 'number'
  return fixed && !constant ? `@ inside ${call.name} is not supported here` : undefined
}

/** `@` in the parameter of an aggregation, or a varying parameter over an operand that does not vary. */
export function unsettledAggregate({ op, expr }: Aggregate, parameter: Expr): string | undefined {
  if (usesAt(parameter)) return `@ inside the parameter of ${op} is not supported here`
  if (!variesByStep(parameter) || variesByStep(expr)) return undefined
  return `a varying parameter of ${op} over an operand that is fixed by @ is not supported here`
}

/** Whether `@` occurs anywhere in an expression. */
export function usesAt(expr: Expr): boolean {
  if (expr.kind === 'vector') return expr.at !== undefined
  if (expr.kind === 'matrix') return usesAt(expr.vector)
  if (expr.kind === 'subquery' && expr.at !== undefined) return true
  return children(expr).some(usesAt)
}

/** Whether an expression may differ from one step of a range query to the next. */
export function variesByStep(expr: Expr): boolean {
  if (expr.kind === 'vector') return expr.at === undefined
  if (expr.kind === 'matrix') return variesByStep(expr.vector)
  if (expr.kind === 'subquery') return expr.at === undefined
  // Without arguments only pi() is a constant; the others read the clock.
  if (expr.kind === 'call' && expr.args.length === 0) return expr.name !== 'pi'
  return children(expr).some(variesByStep)
}

function children(expr: Expr): Expr[] {
  switch (expr.kind) {
    case 'number':
    case 'string':
    case 'vector':
    case 'matrix':
      return []
    case 'subquery':
    case 'unary':
    case 'paren':
      return [expr.expr]
    case 'call':
      return expr.args
    case 'aggregate':
      return expr.param ? [expr.param, expr.expr] : [expr.expr]
    case 'binary':
      return [expr.lhs, expr.rhs]
  }
}
