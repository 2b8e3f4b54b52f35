import fc from 'fast-check'

const arithmetic = ['+', '-', '*', '/', '%']
const comparisons = ['==', '!=', '<', '>', '<=', '>=']
const sets = ['and', 'or', 'unless']
const rangeFunctions = [
  'rate',
  'irate',
  'increase',
  'delta',
  'idelta',
  'resets',
  'changes',
  'avg_over_time',
  'sum_over_time',
  'min_over_time',
  'max_over_time',
  'count_over_time',
  'last_over_time',
  'present_over_time',
  'stddev_over_time',
  'deriv',
  'absent_over_time',
]

/**
 * Random well-typed PromQL over the test data. Left out is what no two evaluations need agree on: the choice among
 * equal values in topk, sums whose terms cancel (any order of summation is right), and functions refused on purpose.
 */
export const expression: fc.Arbitrary<string> = fc.letrec<{ vector: string; range: string; scalar: string }>((tie) => ({
  vector: fc.oneof(
    { maxDepth: 3, depthIdentifier: 'promql' },
    selector(),
    call(['abs', 'ceil', 'floor', 'round', 'sgn', 'sort', 'timestamp', 'absent', '-', '+'], tie('vector')),
    fc.tuple(fc.constantFrom(...rangeFunctions), tie('range')).map(([name, range]) => `${name}(${range})`),
    fc.tuple(tie('scalar'), tie('range')).map(([q, range]) => `quantile_over_time(${q}, ${range})`),
    fc.tuple(tie('scalar'), tie('vector')).map(([q, vector]) => `histogram_quantile(${q}, ${vector})`),
    fc
      .tuple(fc.constantFrom('min', 'max', 'count', 'group'), modifier(), tie('vector'))
      .map(([op, by, vector]) => `${op}${by}(${vector})`),
    fc.tuple(tie('scalar'), modifier(), tie('vector')).map(([q, by, vector]) => `quantile${by}(${q}, ${vector})`),
    fc.tuple(modifier(), tie('vector')).map(([by, vector]) => `count_values${by}("value", ${vector})`),
    fc
      .tuple(tie('vector'), fc.constantFrom(...arithmetic, ...comparisons, ...sets), matching(), tie('vector'))
      .map(([lhs, op, how, rhs]) => `(${lhs}) ${op} ${sets.includes(op) ? how.replace(/ group.*/, '') : how} (${rhs})`),
    fc
      .tuple(tie('vector'), fc.constantFrom(...arithmetic, ...comparisons), fc.boolean(), tie('scalar'), fc.boolean())
      .map(([vector, op, bool, scalar, swap]) => {
        const operator = bool && comparisons.includes(op) ? `${op} bool` : op
        return swap ? `(${scalar}) ${operator} (${vector})` : `(${vector}) ${operator} (${scalar})`
      }),
    fc.tuple(tie('vector'), tie('scalar')).map(([vector, scalar]) => `clamp_max(${vector}, ${scalar})`),
    tie('vector').map((vector) => `label_replace(${vector}, "pod", "x$1", "zone", "(.*)")`),
    tie('vector').map((vector) => `label_join(${vector}, "joined", "/", "pod", "room", "kind")`),
  ),
  range: fc.oneof(
    { maxDepth: 3, depthIdentifier: 'promql' },
    fc.tuple(selectorBody(), duration(), offset()).map(([body, range, by]) => `${body}[${range}]${by}`),
    fc
      .tuple(tie('vector'), duration(), fc.constantFrom('', '30s', '45s', '2m'), offset())
      .map(([vector, range, step, by]) => `(${vector})[${range}:${step}]${by}`),
  ),
  scalar: fc.oneof(
    { maxDepth: 2, depthIdentifier: 'promql' },
    fc.constantFrom('0', '1', '0.5', '0.9', '-1', '7', 'NaN', 'Inf', '-Inf', 'time()', 'scalar(flat{zone="e"})'),
    fc.tuple(tie('scalar'), fc.constantFrom(...arithmetic), tie('scalar')).map(([a, op, b]) => `(${a}) ${op} (${b})`),
    tie('vector').map((vector) => `scalar(${vector})`),
  ),
})).vector

function selectorBody() {
  return fc.constantFrom(
    'req_total',
    'req_total{code="500"}',
    'req_total{pod=~"a|c"}',
    '{job="web"}',
    'pod_info',
    'latency_bucket',
    'latency_bucket{le!="0.1"}',
    'temperature',
    'odd{kind!="mixed"}',
    'odd{kind="mixed"}',
    'flat',
    'single',
    'nosuch{a="b"}',
    '{__name__=~"flat|single"}',
    'tiny_wins',
  )
}

function selector() {
  return fc.tuple(selectorBody(), offset()).map(([body, by]) => `${body}${by}`)
}

function offset() {
  return fc.constantFrom('', '', '', ' offset 1m', ' offset -37s', ' @ 1700000900', ' @ start()', ' @ end() offset 90s')
}

function duration() {
  return fc.constantFrom('15s', '31s', '1m', '2m30s', '5m', '20m')
}

function modifier() {
  return fc.constantFrom('', ' by (pod)', ' by (code, zone)', ' without (pod)', ' without (le, kind)', ' by ()')
}

function matching() {
  return fc.constantFrom(
    '',
    'on (pod)',
    'on ()',
    'ignoring (code)',
    'on (pod) group_left (version)',
    'on (pod) group_right ()',
    'ignoring (code, version, node) group_left (node)',
    'on (job) group_right (room)',
  )
}

function call(names: string[], vector: fc.Arbitrary<string>) {
  return fc.tuple(fc.constantFrom(...names), vector).map(([name, operand]) => `${name}(${operand})`)
}

/** Random regular expressions, valid and not, from the tokens in which RE2 and JavaScript differ. */
export const pattern: fc.Arbitrary<string> = fc
  .array(
    fc.constantFrom(
      ...['a', 'b', 'B', '1', 'a-c', 'ü', '𝒳', '_', '/', '#', '"', ',', ' ', ':', '--', '&&', '~'],
      ...['.', '*', '+', '?', '|', '(', ')', '(?:', '[', '[^', ']', '-', '^', '$', '*?', '??', '+?'],
      ...['{2}', '{1,}', '{,2}', '{', '}', '[]', '[^]', '[a-'],
      ...['\\d', '\\w', '\\s', '\\S', '\\D', '\\W', '\\b', '\\.', '\\-', '\\/', '\\[', '\\\\', '\\_', '\\:', '\\t'],
      ...['\\x41', '\\x{61}', '\\Q', '\\E', '\\pL', '\\z', '\\A', '(?i)', '(?i:', '(?s)', '(?P<x>', '(?<x>'],
    ),
    { minLength: 1, maxLength: 6 },
  )
  .map((tokens) => tokens.join(''))
