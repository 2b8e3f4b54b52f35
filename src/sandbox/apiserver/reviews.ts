import type { Attributes } from './authorization.ts'
import { sendJson } from './exchange.ts'
import { at, isObject, type Json, stringAt } from './json.ts'
import type { UserInfo } from './request-context.ts'
import type { ResourceRequest, ServerParts } from './server-parts.ts'
import { objectBody } from './write.ts'

/** Answers the kinds that are questions: who am I, may I, may they, whose token is this. */
export function handleReview(request: ResourceRequest, parts: ServerParts, text: Buffer): void {
  const body = objectBody(request, text)
  const spec = isObject(body.spec) ? body.spec : {}
  sendJson(request, 201, { ...body, metadata: { creationTimestamp: null }, status: answer(request, parts, spec) })
}

function answer({ type, user, route }: ResourceRequest, { authorizer, tokens }: ServerParts, spec: Json): Json {
  switch (type.kind) {
    case 'SelfSubjectReview':
      return { userInfo: user }
    case 'TokenReview': {
      const found = tokens[stringAt(spec, 'token') ?? '']
      return found ? { authenticated: true, user: found } : { authenticated: false }
    }
    case 'SelfSubjectRulesReview': {
      const rules = authorizer.rulesFor(user, stringAt(spec, 'namespace') ?? 'default')
      const isPath = (rule: Json) => Array.isArray(rule.nonResourceURLs)
      return {
        resourceRules: rules.filter((rule) => !isPath(rule)),
        nonResourceRules: rules.filter(isPath),
        incomplete: false,
      }
    }
    case 'SelfSubjectAccessReview':
      return verdict(authorizer.authorize(user, attributesOf(spec, undefined)))
    default:
      return verdict(authorizer.authorize(subjectOf(spec), attributesOf(spec, route.namespace)))
  }
}

function verdict({ allowed, reason }: { allowed: boolean; reason: string }): Json {
  return { allowed, ...(reason ? { reason } : {}) }
}

function subjectOf(spec: Json): UserInfo {
  const groups = Array.isArray(spec.groups) ? spec.groups.map(String) : []
  return { username: stringAt(spec, 'user') ?? '', groups }
}

function attributesOf(spec: Json, namespace: string | undefined): Attributes {
  const path = at(spec, 'nonResourceAttributes', 'path')
  if (typeof path === 'string') {
    return { verb: stringAt(spec, 'nonResourceAttributes', 'verb') ?? '', group: '', resource: '', path }
  }
  const text = (name: string) => stringAt(spec, 'resourceAttributes', name) ?? ''
  const asked = text('namespace') || namespace
  return {
    verb: text('verb'),
    group: text('group'),
    resource: text('resource'),
    ...(text('subresource') ? { subresource: text('subresource') } : {}),
    ...(asked ? { namespace: asked } : {}),
    ...(text('name') ? { name: text('name') } : {}),
  }
}
