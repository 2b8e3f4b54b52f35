import { Environment } from '@marcbachmann/cel-js'
import { isObject, type Json } from './json.ts'
import { quantityValue } from './quantity.ts'
import type { Schema } from './schema.ts'

/** Runs one compiled expression; throws what the expression's evaluation throws. */
export type Program = (variables: Json) => unknown

/** A Kubernetes quantity inside CEL. */
class Quantity {
  readonly value: number
  constructor(value: number) {
    this.value = value
  }
}

/**
 * A CEL environment with the functions Kubernetes adds (lists, regular expressions, strings, quantities).
 * https://kubernetes.io/docs/reference/using-api/cel/
 */
export function celEnvironment(variables: readonly string[]): Environment {
  const env = new Environment({
    unlistedVariablesAreDyn: false,
    homogeneousAggregateLiterals: false,
    enableOptionalTypes: true,
  })
  for (const name of variables) env.registerVariable(name, 'dyn')
  env.registerFunction('list.sum(): dyn', (list: unknown[]) => sum(list))
  env.registerFunction('list.min(): dyn', (list: unknown[]) => pick(list, (a, b) => order(a, b) < 0))
  env.registerFunction('list.max(): dyn', (list: unknown[]) => pick(list, (a, b) => order(a, b) > 0))
  env.registerFunction('list.isSorted(): bool', (list: unknown[]) =>
    list.every((item, index) => index === 0 || order(list[index - 1], item) <= 0),
  )
  env.registerFunction('list.indexOf(dyn): int', (list: unknown[], item: unknown) => BigInt(list.indexOf(item)))
  env.registerFunction('list.lastIndexOf(dyn): int', (list: unknown[], item: unknown) => BigInt(list.lastIndexOf(item)))
  env.registerFunction('string.find(string): string', (text: string, pattern: string) =>
    String(new RegExp(pattern, 'u').exec(text)?.[0] ?? ''),
  )
  env.registerFunction('string.findAll(string): list<string>', (text: string, pattern: string) => [
    ...(text.match(new RegExp(pattern, 'gu')) ?? []),
  ])
  env.registerFunction('string.replace(string, string): string', (text: string, from: string, to: string) =>
    text.replaceAll(from, to),
  )
  env.registerFunction('isURL(string): bool', (text: string) => URL.canParse(text))
  env.registerType('kubernetes.Quantity', Quantity)
  env.registerFunction('quantity(string): kubernetes.Quantity', (text: string) => new Quantity(quantityValue(text)))
  env.registerFunction('isQuantity(string): bool', (text: string) => !Number.isNaN(quantityValue(text)))
  env.registerFunction('kubernetes.Quantity.isGreaterThan(kubernetes.Quantity): bool', (a: Quantity, b: Quantity) => {
    return a.value > b.value
  })
  env.registerFunction('kubernetes.Quantity.isLessThan(kubernetes.Quantity): bool', (a: Quantity, b: Quantity) => {
    return a.value < b.value
  })
  env.registerFunction('escapeJsonPointer(string): string', (text: string) =>
    text.replaceAll('~', '~0').replaceAll('/', '~1'),
  )
  return env
}

/** Compiles an expression; throws an Error whose message is the parser's or checker's first line. */
export function compile(env: Environment, expression: string): Program {
  const program = env.parse(expression)
  const checked = program.check()
  if (!checked.valid) throw new Error(firstLine(checked.error?.message ?? 'invalid expression'))
  return (variables) => program(variables)
}

/** The first line of what the CEL library says, in the words of Kubernetes where they are known. */
export function firstLine(text: string): string {
  return (text.split('\n')[0] ?? text).replace(/^No such key/, 'no such key')
}

/** JSON as CEL sees it: whole numbers are ints, except where the schema says `number`. */
export function toCel(value: unknown, schema?: Schema): unknown {
  if (typeof value === 'number') {
    return schema?.type === 'number' || !Number.isInteger(value) ? value : BigInt(value)
  }
  if (typeof value === 'string' && schema?.format === 'date-time') return new Date(value)
  if (Array.isArray(value)) return value.map((item) => toCel(item, schema?.items))
  if (!isObject(value)) return value
  const additional = isObject(schema?.additionalProperties) ? (schema.additionalProperties as Schema) : undefined
  const result: Json = {}
  for (const [name, field] of Object.entries(value)) {
    const own = schema?.properties?.[name]
    result[own ? escapedName(name) : name] = toCel(field, own ?? additional)
  }
  return result
}

const keywords = new Set(
  'as break const continue else false for function if import in let loop namespace null package return true var void while'.split(
    ' ',
  ),
)

/**
 * The name under which a rule reaches a declared property: CEL's keywords and special characters are escaped.
 * https://kubernetes.io/docs/reference/using-api/cel/#escaping
 */
function escapedName(name: string): string {
  if (keywords.has(name)) return `__${name}__`
  return name
    .replaceAll('__', '__underscores__')
    .replaceAll('.', '__dot__')
    .replaceAll('-', '__dash__')
    .replaceAll('/', '__slash__')
}

/** A CEL value as JSON again. */
export function fromCel(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value)
  if (value instanceof Map) return Object.fromEntries([...value].map(([name, field]) => [String(name), fromCel(field)]))
  if (Array.isArray(value)) return value.map(fromCel)
  if (isObject(value)) return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, fromCel(field)]))
  return value
}

function order(a: unknown, b: unknown): number {
  if (typeof a === 'string' && typeof b === 'string') return a < b ? -1 : a > b ? 1 : 0
  return Number(a) - Number(b)
}

function sum(list: unknown[]): unknown {
  if (list.every((item) => typeof item === 'bigint'))
    return list.reduce((total: bigint, item) => total + BigInt(item), 0n)
  return list.reduce((total: number, item) => total + Number(item), 0)
}

function pick(list: unknown[], better: (a: unknown, b: unknown) => boolean): unknown {
  if (list.length === 0) throw new Error('min or max called on empty list')
  return list.reduce((best, item) => (better(item, best) ? item : best))
}
