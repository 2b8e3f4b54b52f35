import type { ValueType } from './ast.ts'

/** What a function takes and gives. `optional` counts trailing arguments that may be left out; -1 means any number more. */
export interface Signature {
  args: readonly ValueType[]
  optional: number
  returns: ValueType
}

const of = (args: readonly ValueType[], returns: ValueType = 'vector', optional = 0): Signature => ({
  args,
  returns,
  optional,
})
const perSample = of(['vector'])
const overRange = of(['matrix'])
const datePart = of(['vector'], 'vector', 1)

/** The functions of Prometheus 2.42 that are answered here. */
export const signatures: Readonly<Record<string, Signature>> = {
  abs: perSample,
  absent: perSample,
  absent_over_time: overRange,
  acos: perSample,
  acosh: perSample,
  asin: perSample,
  asinh: perSample,
  atan: perSample,
  atanh: perSample,
  avg_over_time: overRange,
  ceil: perSample,
  changes: overRange,
  clamp: of(['vector', 'scalar', 'scalar']),
  clamp_max: of(['vector', 'scalar']),
  clamp_min: of(['vector', 'scalar']),
  cos: perSample,
  cosh: perSample,
  count_over_time: overRange,
  day_of_month: datePart,
  day_of_week: datePart,
  day_of_year: datePart,
  days_in_month: datePart,
  deg: perSample,
  delta: overRange,
  deriv: overRange,
  exp: perSample,
  floor: perSample,
  histogram_quantile: of(['scalar', 'vector']),
  hour: datePart,
  idelta: overRange,
  increase: overRange,
  irate: overRange,
  label_join: of(['vector', 'string', 'string', 'string'], 'vector', -1),
  label_replace: of(['vector', 'string', 'string', 'string', 'string']),
  last_over_time: overRange,
  ln: perSample,
  log10: perSample,
  log2: perSample,
  max_over_time: overRange,
  min_over_time: overRange,
  minute: datePart,
  month: datePart,
  pi: of([], 'scalar'),
  predict_linear: of(['matrix', 'scalar']),
  present_over_time: overRange,
  quantile_over_time: of(['scalar', 'matrix']),
  rad: perSample,
  rate: overRange,
  resets: overRange,
  round: of(['vector', 'scalar'], 'vector', 1),
  scalar: of(['vector'], 'scalar'),
  sgn: perSample,
  sin: perSample,
  sinh: perSample,
  sort: perSample,
  sort_desc: perSample,
  sqrt: perSample,
  stddev_over_time: overRange,
  stdvar_over_time: overRange,
  sum_over_time: overRange,
  tan: perSample,
  tanh: perSample,
  time: of([], 'scalar'),
  timestamp: perSample,
  vector: of(['scalar']),
  year: datePart,
}
