import type { Environment } from '@marcbachmann/cel-js'
import type { KubeObject } from '../../kube/object.ts'
import type { AdmissionRequest } from './admission.ts'
import type { Authorizer } from './authorization.ts'
import { celEnvironment, compile, type Program, toCel } from './cel.ts'
import { fieldSchema, shapeOf } from './field-shape.ts'
import { type Json, objects, stringAt } from './json.ts'
import { authorizerValue, registerAuthorizer } from './policy-authorizer.ts'
import { inVersion } from './request-context.ts'
import type { Schema } from './schema.ts'

/** The variables admission expressions see; those that word a message have no authorizer to ask. */
export function policyEnvironment(asks: 'authorizer' | 'no authorizer'): Environment {
  const env = celEnvironment(['object', 'oldObject', 'request', 'namespaceObject', 'params', 'variables'])
  if (asks === 'authorizer') registerAuthorizer(env)
  env.registerFunction('jsonpatchEscapeKey(string): string', (key: string) =>
    key.replaceAll('~', '~0').replaceAll('/', '~1'),
  )
  return env
}

/** Compiles an expression that may build objects (`Object{…}`, `JSONPatch{…}`), which the CEL library knows as maps. */
export function compilePolicy(env: Environment, expression: string): Program {
  return compile(env, withMapLiterals(expression).replaceAll('jsonpatch.escapeKey(', 'jsonpatchEscapeKey('))
}

/** Rewrites `Object.spec{paused: true}` to `{"paused": true}`, leaving strings alone. */
function withMapLiterals(expression: string): string {
  let result = ''
  // For every open brace: whether it is an object literal, whose field names become quoted keys.
  const literals: boolean[] = []
  const token =
    /(?:[rR]|[bB])?(?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|(?:Object(?:\.\w+)*|JSONPatch)\s*\{|[{}]|\b\w+(?=\s*:)|[\s\S]/g
  for (const [part] of expression.matchAll(token)) {
    if (part === '}') {
      literals.pop()
      result += part
    } else if (part === '{') {
      literals.push(false)
      result += part
    } else if (part.endsWith('{')) {
      literals.push(true)
      result += '{'
    } else if (literals.at(-1) && /^\w+$/.test(part) && isFieldPosition(result)) result += JSON.stringify(part)
    else result += part
  }
  return result
}

/** A field name stands right after `{` or `,`. */
function isFieldPosition(before: string): boolean {
  return /[{,]\s*$/.test(before)
}

export interface PolicyScope {
  request: AdmissionRequest
  namespace: KubeObject | undefined
  params: KubeObject | undefined
  authorizer: Authorizer
}

/** The values of the variables for one request; those a policy defines are computed at first use. */
export function policyVariables(
  scope: PolicyScope,
  policy: KubeObject,
  programs: (expression: string) => Program,
): Json {
  const { request, namespace, params, authorizer } = scope
  const shown = (object: KubeObject | undefined) => object && toCel(inVersion(request.type, object, request.version))
  const variables: Json = {}
  const scoped: Json = {
    object: shown(request.object) ?? null,
    oldObject: shown(request.oldObject) ?? null,
    request: requestValue(request),
    namespaceObject: namespace ? toCel(namespace) : null,
    params: params ? toCel(params) : null,
    authorizer: authorizerValue(authorizer, request.user, {
      group: request.type.group,
      resource: request.type.plural,
      ...(request.subresource ? { subresource: request.subresource } : {}),
      ...(request.namespace ? { namespace: request.namespace } : {}),
      name: request.name,
    }),
    variables,
  }
  for (const variable of objects((policy.spec as Json | undefined)?.variables)) {
    const name = stringAt(variable, 'name') ?? ''
    let value: unknown
    let known = false
    Object.defineProperty(variables, name, {
      enumerable: true,
      get() {
        if (!known) value = programs(stringAt(variable, 'expression') ?? '')(scoped)
        known = true
        return value
      },
    })
  }
  return scoped
}

function requestValue(request: AdmissionRequest): Json {
  const { type, version, user } = request
  const kind = { group: type.group, version, kind: type.kind }
  const resource = { group: type.group, version, resource: type.plural }
  const { subresource, name, namespace } = request
  // As upstream, what is empty is left out: an expression that reads it without asking for it fails.
  return {
    kind,
    resource,
    ...(subresource ? { subResource: subresource, requestSubResource: subresource } : {}),
    requestKind: kind,
    requestResource: resource,
    ...(name ? { name } : {}),
    ...(namespace ? { namespace } : {}),
    operation: request.operation,
    userInfo: {
      username: user.username,
      ...(user.groups.length > 0 ? { groups: user.groups } : {}),
      ...(user.uid ? { uid: user.uid } : {}),
      ...(user.extra ? { extra: user.extra } : {}),
    },
    dryRun: request.dryRun,
    options: {},
  }
}

/** Every expression of a policy, with the field it stands in. */
export function policyExpressions(policy: KubeObject): { field: string; expression: string }[] {
  const lists = ['matchConditions', 'variables', 'validations', 'mutations', 'auditAnnotations'].flatMap((list) =>
    objects((policy.spec as Json | undefined)?.[list]).map((entry, index) => ({ entry, at: `spec.${list}[${index}]` })),
  )
  return lists.flatMap(({ entry, at }) =>
    [
      ['expression', entry.expression],
      ['messageExpression', entry.messageExpression],
      ['valueExpression', entry.valueExpression],
      ['applyConfiguration.expression', stringAt(entry, 'applyConfiguration', 'expression')],
      ['jsonPatch.expression', stringAt(entry, 'jsonPatch', 'expression')],
    ].flatMap(([name, expression]) =>
      typeof expression === 'string' ? [{ field: `${at}.${String(name)}`, expression }] : [],
    ),
  )
}

/** The first path at which an apply configuration would replace an atomic list, map or struct. */
export function atomicPath(value: unknown, schema: Schema | undefined, path = ''): string | undefined {
  const shape = shapeOf(value, schema)
  if (shape === 'leaf') return typeof value === 'object' && value !== null ? path : undefined
  if (Array.isArray(value)) {
    for (const item of value) {
      const found = shape === 'keyed' ? atomicPath(item, schema?.items, `${path}[*]`) : undefined
      if (found !== undefined) return found
    }
    return undefined
  }
  for (const [name, field] of Object.entries(value as Json)) {
    const found = atomicPath(field, fieldSchema(schema, name), `${path}.${name}`)
    if (found !== undefined) return found
  }
  return undefined
}
