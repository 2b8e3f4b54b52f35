import type { SyntaxNode } from '@lezer/common'
import { parser } from '@prometheus-io/lezer-promql'
import type {
  Aggregate,
  AggregateOp,
  Binary,
  BinaryOp,
  Call,
  Expr,
  Matching,
  Subquery,
  TimeModifiers,
  Unary,
} from './ast.ts'
import { aggregateOps, isSetOp, unwrap } from './ast.ts'
import { checkTypes } from './check.ts'
import { QueryError } from './error.ts'
import { parseDuration, parseNumber } from './literals.ts'
import { convertSelector, labelsOf, positiveDuration, stringOf } from './parse-selector.ts'
import { signatures } from './signatures.ts'
import { failAt, syntaxError } from './syntax-error.ts'

/** Parses and type-checks PromQL; throws `QueryError` (bad_data) that says where and what is wrong or unsupported. */
export function parsePromql(text: string): Expr {
  const query = blankComments(text)
  const tree = parser.parse(query)
  tree.iterate({
    enter: (node) => {
      if (node.type.isError) throw syntaxError(query, node.node)
      if (node.name.startsWith('NumberDuration') && /[\w.]/.test(query[node.to] ?? '')) {
        throw failAt(query, node.from, `bad number or duration syntax: "${query.slice(node.from, node.to + 1)}"`)
      }
    },
  })
  const root = tree.topNode.firstChild
  if (!root) throw new QueryError('bad_data', 'unknown position: parse error: no expression found in input')
  const expr = convert(root, query)
  checkTypes(expr)
  return expr
}

/** Comments turned into spaces, so that positions stay as written. */
function blankComments(text: string): string {
  const stringOrComment = /"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`|#[^\n]*/gs
  return text.replace(stringOrComment, (part) => (part.startsWith('#') ? ' '.repeat(part.length) : part))
}

function convert(node: SyntaxNode, query: string): Expr {
  const text = (of: SyntaxNode) => query.slice(of.from, of.to)
  const fail = (message: string) => failAt(query, node.from, message)
  switch (node.name) {
    case 'ParenExpr':
      return { kind: 'paren', expr: convert(node.firstChild!, query) }
    case 'NumberDurationLiteral': {
      const value = parseNumber(text(node))
      if (value === undefined) throw fail(`bad number or duration syntax: "${text(node)}"`)
      return { kind: 'number', value }
    }
    case 'StringLiteral':
      return { kind: 'string', value: stringOf(node, query) }
    case 'VectorSelector':
      return convertSelector(node, query)
    case 'MatrixSelector': {
      const inner = convert(node.firstChild!, query)
      if (inner.kind !== 'vector') throw fail('ranges only allowed for vector selectors')
      if (inner.offsetMs !== undefined) throw fail('no offset modifiers allowed before range')
      if (inner.at !== undefined) throw fail('no @ modifiers allowed before range')
      return { kind: 'matrix', vector: inner, rangeMs: positiveDuration(node.getChild('DurationExpr')!, query) }
    }
    case 'SubqueryExpr': {
      const [range, step] = node.getChildren('DurationExpr')
      const subquery: Subquery = {
        kind: 'subquery',
        expr: convert(node.firstChild!, query),
        rangeMs: positiveDuration(range!, query),
      }
      if (step) subquery.stepMs = positiveDuration(step, query)
      return subquery
    }
    case 'OffsetExpr':
      return withOffset(node, query)
    case 'StepInvariantExpr':
      return withAt(node, query)
    case 'UnaryExpr': {
      const op = text(node.firstChild!) === '-' ? '-' : '+'
      return { kind: 'unary', op, expr: convert(node.lastChild!, query) }
    }
    case 'FunctionCall':
      return convertCall(node, query)
    case 'AggregateExpr':
      return convertAggregate(node, query)
    case 'BinaryExpr':
      return convertBinary(node, query)
    default:
      throw fail(`${node.name} is not supported here`)
  }
}

/** The selector or subquery that an `offset` or `@` modifier belongs to. */
function modified(expr: Expr): TimeModifiers | undefined {
  if (expr.kind === 'vector' || expr.kind === 'subquery') return expr
  return expr.kind === 'matrix' ? expr.vector : undefined
}

function withOffset(node: SyntaxNode, query: string): Expr {
  const expr = convert(node.firstChild!, query)
  const target = modified(expr)
  if (!target)
    throw failAt(
      query,
      node.from,
      'offset modifier must be preceded by an instant vector selector or range vector selector or a subquery',
    )
  if (target.offsetMs !== undefined) throw failAt(query, node.from, 'offset may not be set multiple times')
  const written = node.lastChild!
  const match = /^(-?)\s*(.*)$/s.exec(query.slice(written.from, written.to))!
  const ms = parseDuration(match[2]!)
  if (ms === undefined) throw failAt(query, written.from, `not a valid duration string: "${match[0]}"`)
  target.offsetMs = match[1] === '-' ? -ms : ms
  return expr
}

function withAt(node: SyntaxNode, query: string): Expr {
  const expr = convert(node.firstChild!, query)
  const target = modified(expr)
  if (!target)
    throw failAt(
      query,
      node.from,
      '@ modifier must be preceded by an instant vector selector or range vector selector or a subquery',
    )
  if (target.at !== undefined) throw failAt(query, node.from, '@ <timestamp> may not be set multiple times')
  const edge = node.getChild('AtModifierPreprocessors')
  const literal = node.getChild('NumberDurationLiteral')
  if (edge) target.at = query.slice(edge.from, edge.to).startsWith('start') ? 'start' : 'end'
  else {
    const seconds = parseNumber(query.slice(literal!.from, literal!.to))
    if (seconds === undefined || !Number.isFinite(seconds)) {
      throw failAt(query, literal!.from, 'timestamp out of bounds for @ modifier')
    }
    target.at = Math.round(seconds * 1000)
  }
  return expr
}

function argumentsOf(node: SyntaxNode, query: string): Expr[] {
  const args: Expr[] = []
  for (let arg = node.getChild('FunctionCallBody')!.firstChild; arg; arg = arg.nextSibling)
    args.push(convert(arg, query))
  return args
}

function convertCall(node: SyntaxNode, query: string): Call {
  const identifier = node.getChild('FunctionIdentifier')!
  const name = query.slice(identifier.from, identifier.to)
  if (!Object.hasOwn(signatures, name)) throw failAt(query, node.from, `function "${name}" is not supported here`)
  return { kind: 'call', name, args: argumentsOf(node, query) }
}

function convertAggregate(node: SyntaxNode, query: string): Aggregate {
  const written = node.getChild('AggregateOp')!
  const name = query.slice(written.from, written.to).toLowerCase()
  const op = aggregateOps.find((known): known is AggregateOp => known === name)
  if (!op) throw failAt(query, node.from, `aggregation "${name}" is not supported here`)
  const args = argumentsOf(node, query)
  const wanted = ['topk', 'bottomk', 'quantile', 'count_values'].includes(op) ? 2 : 1
  if (args.length === 0) throw failAt(query, node.from, 'no arguments for aggregate expression provided')
  if (args.length !== wanted) {
    throw failAt(
      query,
      node.from,
      `wrong number of arguments for aggregate expression provided, expected ${wanted}, got ${args.length}`,
    )
  }
  const modifier = node.getChild('AggregateModifier')
  const aggregate: Aggregate = {
    kind: 'aggregate',
    op,
    expr: args[wanted - 1]!,
    grouping: modifier ? labelsOf(modifier.getChild('GroupingLabels')!, query) : [],
    without: modifier?.getChild('Without') != null,
  }
  if (wanted === 2) aggregate.param = unwrap(args[0]!)
  return aggregate
}

function convertBinary(node: SyntaxNode, query: string): Binary | Unary {
  const operator = node.firstChild!.nextSibling!
  const op = query.slice(operator.from, operator.to).toLowerCase() as BinaryOp
  if (node.getChild('FillModifier')) throw failAt(query, node.from, 'fill modifiers are not supported here')
  // Releases of Prometheus disagree on whether atan2 keeps the metric name.
  if (['</', '>/', 'atan2'].includes(op)) throw failAt(query, operator.from, `operator "${op}" is not supported here`)
  const clause = node.getChild('MatchingModifierClause')
  const groups = clause?.getChildren('GroupingLabels') ?? []
  const matching: Matching = {
    on: clause?.getChild('On') != null,
    labels: groups[0] ? labelsOf(groups[0], query) : [],
    group: clause?.getChild('GroupLeft') ? 'left' : clause?.getChild('GroupRight') ? 'right' : undefined,
    include: groups[1] ? labelsOf(groups[1], query) : [],
  }
  const first = node.firstChild!
  // The grammar reads a sign into a number, but in PromQL `^` binds tighter: -2 ^ 2 is -(2 ^ 2).
  const negated = op === '^' && first.name === 'NumberDurationLiteral' && query[first.from] === '-'
  const lhs = convert(first, query)
  const binary: Binary = {
    kind: 'binary',
    op,
    lhs: negated && lhs.kind === 'number' ? { ...lhs, value: -lhs.value } : lhs,
    rhs: convert(node.lastChild!, query),
    bool: node.getChild('BoolModifier') != null,
    matching,
  }
  if (isSetOp(op) && binary.bool)
    throw failAt(query, node.from, 'bool modifier can only be used on comparison operators')
  return negated ? { kind: 'unary', op: '-', expr: binary } : binary
}
