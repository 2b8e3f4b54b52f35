import { celEnvironment, compile, firstLine, type Program, toCel } from './cel.ts'
import { jsonType } from './decode.ts'
import { itemsByElement, shapeOf } from './field-shape.ts'
import { isObject, type Json } from './json.ts'
import type { Schema, ValidationRule } from './schema.ts'
import { type Cause, shown } from './status.ts'

/** Checks an object, given the one it replaces. */
export type RuleCheck = (object: Json, old: Json | undefined) => Cause[]

interface CompiledRule {
  rule: ValidationRule
  program: Program
  message: Program | undefined
  transition: boolean
}

/** A schema node whose rules are compiled, with the children that have rules somewhere below. */
interface Node {
  schema: Schema
  rules: CompiledRule[]
  properties: Map<string, Node>
  additional: Node | undefined
  items: Node | undefined
}

/** Of a schema without rules. */
export const noRules: RuleCheck = () => []
const env = celEnvironment(['self', 'oldSelf'])

/** A rule that is no CEL, and where it stands. */
export class UncompilableRule extends Error {
  readonly field: string
  readonly rule: ValidationRule
  constructor(field: string, rule: ValidationRule, cause: unknown) {
    super(`compilation failed: ${cause instanceof Error ? firstLine(cause.message) : String(cause)}`, { cause })
    this.name = 'UncompilableRule'
    this.field = field
    this.rule = rule
  }
}

/**
 * Compiles every `x-kubernetes-validations` rule of a schema, once. Throws an UncompilableRule for the first one that
 * does not compile.
 * @param path where the schema stands, for that error
 */
export function compileRules(schema: Schema, path = 'openAPIV3Schema'): RuleCheck {
  const root = compileNode(schema, path)
  if (!root) return noRules
  return (object, old) => {
    const causes: Cause[] = []
    run(root, object, old, '', causes)
    return causes
  }
}

function compileNode(schema: Schema, path: string): Node | undefined {
  const node: Node = { schema, rules: [], properties: new Map(), additional: undefined, items: undefined }
  for (const [index, rule] of (schema['x-kubernetes-validations'] ?? []).entries()) {
    node.rules.push(compileRule(rule, `${path}.x-kubernetes-validations[${index}]`))
  }
  for (const [name, field] of Object.entries(schema.properties ?? {})) {
    const child = compileNode(field, `${path}.properties[${name}]`)
    if (child) node.properties.set(name, child)
  }
  if (isObject(schema.additionalProperties)) {
    node.additional = compileNode(schema.additionalProperties as Schema, `${path}.additionalProperties`)
  }
  if (schema.items) node.items = compileNode(schema.items, `${path}.items`)
  const used = node.rules.length > 0 || node.properties.size > 0 || node.additional || node.items
  return used ? node : undefined
}

function compileRule(rule: ValidationRule, path: string): CompiledRule {
  try {
    return {
      rule,
      program: compile(env, rule.rule),
      message: rule.messageExpression ? compile(env, rule.messageExpression) : undefined,
      transition: /\boldSelf\b/.test(rule.rule),
    }
  } catch (error) {
    throw new UncompilableRule(`${path}.rule`, rule, error)
  }
}

function run(node: Node, value: unknown, old: unknown, path: string, causes: Cause[]): void {
  if (value === undefined || value === null) return
  if (node.rules.length > 0) runRules(node, value, old, path, causes)
  if (isObject(value)) {
    const before = isObject(old) ? old : {}
    for (const [name, field] of Object.entries(value)) {
      const child = node.properties.get(name) ?? (node.schema.properties?.[name] ? undefined : node.additional)
      if (child) run(child, field, before[name], path ? `${path}.${name}` : name, causes)
    }
  } else if (Array.isArray(value) && node.items) {
    const shape = shapeOf(value, node.schema)
    const olds = shape === 'keyed' && Array.isArray(old) ? itemsByElement(old, node.schema, shape) : undefined
    const elements = olds
      ? new Map([...itemsByElement(value, node.schema, shape)].map(([key, item]) => [item, key]))
      : undefined
    for (const [index, item] of value.entries()) {
      run(node.items, item, olds?.get(elements?.get(item) ?? ''), `${path}[${index}]`, causes)
    }
  }
}

function runRules(node: Node, value: unknown, old: unknown, path: string, causes: Cause[]): void {
  const self = toCel(value, node.schema)
  const oldSelf = old === undefined ? undefined : toCel(old, node.schema)
  for (const { rule, program, message, transition } of node.rules) {
    if (transition && oldSelf === undefined && !rule.optionalOldSelf) continue
    const field = rule.fieldPath ? `${path}${rule.fieldPath}` : path
    const type = node.schema.type ?? jsonType(value)
    // As upstream: a scalar is shown, a map or a list is not.
    const shownValue = type === 'object' || type === 'array' ? '' : `${shown(value)}: `
    const variables = { self, oldSelf: oldSelf ?? null }
    try {
      if (program(variables) === true) continue
      causes.push({
        reason: rule.reason ?? 'FieldValueInvalid',
        message: `Invalid value: ${shownValue}${failureMessage(rule, message, variables)}`,
        field,
      })
    } catch (error) {
      const why = error instanceof Error ? firstLine(error.message) : String(error)
      causes.push({
        reason: 'FieldValueInvalid',
        message: `Invalid value: ${JSON.stringify(type)}: ${why} evaluating rule: ${rule.message ?? rule.rule}`,
        field,
      })
    }
  }
}

function failureMessage(rule: ValidationRule, message: Program | undefined, variables: Json): string {
  const fallback = rule.message ?? `failed rule: ${rule.rule}`
  if (!message) return fallback
  try {
    const text = message(variables)
    return typeof text === 'string' && text.trim() !== '' ? text : fallback
  } catch {
    return fallback // as upstream: a message that cannot be computed never hides the failure
  }
}
