import { parser } from '@prometheus-io/lezer-promql'
import type { Problem } from '../errors.ts'
import { escapeString } from './promql.ts'

/** What the variables of a query stand for. */
export interface QueryVariables {
  namespace: string
  name: string
  canary: { workloads: readonly string[]; revision: string }
  stable: { workloads: readonly string[]; revision: string }
}

/** A query ready to be asked. */
export interface PreparedQuery {
  promql: string
  /**
   * Asks when the series the query reads were scraped last: one sample per selector that has series, in epoch seconds.
   * A selector with an offset is as old as its samples are older than the offset.
   */
  ages: string
}

type Prepared = { ok: true; value: PreparedQuery } | { ok: false; problem: Problem }

const VARIABLES = ['namespace', 'name', 'canary.workload', 'stable.workload', 'canary.revision', 'stable.revision']
const UNITS: Record<string, number> = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86_400, w: 604_800, y: 31_536_000 }
const SELECTOR_LABEL = 'sluice_selector'

/**
 * Replaces the variables of a query SLI and finds its selectors with Prometheus's own grammar.
 * A version with several Deployments gives them separated by `|`, for `=~`.
 * Refused are unknown variables, text that is no PromQL, and a query that reads no series: its answer would be no
 * measurement.
 *
 * @param field dotted path of the query, for the problem
 */
export function prepareQuery(promql: string, variables: QueryVariables, field: string): Prepared {
  const values: Record<string, string> = {
    namespace: variables.namespace,
    name: variables.name,
    'canary.workload': variables.canary.workloads.join('|'),
    'stable.workload': variables.stable.workloads.join('|'),
    'canary.revision': variables.canary.revision,
    'stable.revision': variables.stable.revision,
  }
  const unknown = [...promql.matchAll(/\$\{([^}]*)\}/g)].find(([, name]) => !VARIABLES.includes(name ?? ''))
  if (unknown) {
    const known = VARIABLES.map((name) => `\${${name}}`).join(', ')
    return refused(field, `the query has the variable ${unknown[0]}, which is none of ${known}`)
  }
  const text = promql.replace(/\$\{([^}]*)\}/g, (_, name: string) => escapeString(values[name] ?? ''))
  const selectors = selectorsOf(text)
  if (typeof selectors === 'number') {
    return refused(
      field,
      `the query is not PromQL: it cannot be read from "${text.slice(selectors, selectors + 20)}" on`,
    )
  }
  if (selectors.length === 0) return refused(field, 'the query reads no series, so its answer measures nothing')
  const ages = selectors.map((selector, i) => `label_replace(${ageOf(selector)}, "${SELECTOR_LABEL}", "${i}", "", "")`)
  return { ok: true, value: { promql: text, ages: ages.join(' or ') } }
}

/** What is wrong with a query SLI whatever the variables become; for checks before anything runs. */
export function checkQuery(promql: string, field: string): Problem | undefined {
  const sample = { workloads: ['workload'], revision: 'revision' }
  const prepared = prepareQuery(promql, { namespace: 'ns', name: 'name', canary: sample, stable: sample }, field)
  return prepared.ok ? undefined : prepared.problem
}

interface Selector {
  text: string
  /** Seconds into the past. */
  offset: number
}

/** The vector selectors of a query, each once; or the position of the first error. */
function selectorsOf(promql: string): Selector[] | number {
  const found = new Map<string, Selector>()
  let error: number | undefined
  const tree = parser.parse(promql)
  tree.iterate({
    enter(node) {
      if (node.type.isError) error ??= node.from
      if (node.name !== 'VectorSelector') return
      const text = promql.slice(node.from, node.to)
      let parent = node.node.parent
      while (parent?.name === 'MatrixSelector' || parent?.name === 'StepInvariantExpr') parent = parent.parent
      const duration = parent?.name === 'OffsetExpr' ? parent.getChild('OffsetDurationExpr') : null
      const offset = duration ? seconds(promql.slice(duration.from, duration.to)) : 0
      found.set(`${text} ${offset}`, { text, offset })
    },
  })
  return error ?? [...found.values()]
}

function ageOf({ text, offset }: Selector): string {
  if (offset === 0) return `max(timestamp(${text}))`
  const past = offset > 0 ? `offset ${Math.round(offset * 1000)}ms` : `offset -${Math.round(-offset * 1000)}ms`
  return `max(timestamp(${text} ${past})) + ${offset}`
}

/** A PromQL duration, which may be a plain number of seconds. */
function seconds(duration: string): number {
  const text = duration.replace(/[\s()]/g, '')
  const sign = text.startsWith('-') ? -1 : 1
  const body = text.replace(/^[-+]/, '')
  if (/^[0-9.]+$/.test(body)) return sign * Number(body)
  let total = 0
  for (const [, amount, unit] of body.matchAll(/([0-9]+)(ms|s|m|h|d|w|y)/g))
    total += Number(amount) * UNITS[unit ?? '']!
  return sign * total
}

function refused(field: string, message: string): Prepared {
  return { ok: false, problem: { reason: 'InvalidSpec', field, message } }
}
