import type { Environment } from '@marcbachmann/cel-js'
import type { Attributes, Authorizer } from './authorization.ts'
import type { UserInfo } from './request-context.ts'

/** `authorizer`, and what `authorizer.serviceAccount(…)` gives: somebody about whom can be asked. */
class Asker {
  readonly authorizer: Authorizer
  readonly user: UserInfo
  readonly requestResource: ResourceCheck | undefined
  constructor(authorizer: Authorizer, user: UserInfo, request?: Omit<Attributes, 'verb'>) {
    this.authorizer = authorizer
    this.user = user
    this.requestResource = request && new ResourceCheck(this, request)
  }
}

class PathCheck {
  readonly asker: Asker
  readonly path: string
  constructor(asker: Asker, path: string) {
    this.asker = asker
    this.path = path
  }
}

class GroupCheck {
  readonly asker: Asker
  readonly group: string
  constructor(asker: Asker, group: string) {
    this.asker = asker
    this.group = group
  }
}

class ResourceCheck {
  readonly asker: Asker
  readonly attributes: Omit<Attributes, 'verb'>
  constructor(asker: Asker, attributes: Omit<Attributes, 'verb'>) {
    this.asker = asker
    this.attributes = attributes
  }
  with(more: Partial<Attributes>): ResourceCheck {
    return new ResourceCheck(this.asker, { ...this.attributes, ...more })
  }
}

class Decision {
  readonly allowed: boolean
  readonly reason: string
  constructor({ allowed, reason }: { allowed: boolean; reason: string }) {
    this.allowed = allowed
    this.reason = reason
  }
}

const authorizerType = 'kubernetes.authorization.Authorizer'
const path = 'kubernetes.authorization.PathCheck'
const group = 'kubernetes.authorization.GroupCheck'
const resource = 'kubernetes.authorization.ResourceCheck'
const decision = 'kubernetes.authorization.Decision'

/**
 * Adds the variable `authorizer` to an environment: whether somebody may do something is a question that expressions ask.
 * https://kubernetes.io/docs/reference/using-api/cel/#kubernetes-authorizer-library
 */
export function registerAuthorizer(env: Environment): void {
  env.registerType(path, PathCheck)
  env.registerType(group, GroupCheck)
  env.registerType(resource, { ctor: ResourceCheck, fields: {} })
  env.registerType(decision, { ctor: Decision, fields: {} })
  env.registerType(authorizerType, { ctor: Asker, fields: { requestResource: resource } })
  env.registerVariable('authorizer', authorizerType)

  env.registerFunction(`${authorizerType}.path(string): ${path}`, (asker: Asker, text: string) => {
    return new PathCheck(asker, given('path', text))
  })
  env.registerFunction(`${authorizerType}.group(string): ${group}`, (asker: Asker, name: string) => {
    return new GroupCheck(asker, name)
  })
  env.registerFunction(
    `${authorizerType}.serviceAccount(string, string): ${authorizerType}`,
    ({ authorizer }: Asker, namespace: string, name: string) => new Asker(authorizer, serviceAccount(namespace, name)),
  )
  env.registerFunction(`${group}.resource(string): ${resource}`, ({ asker, group }: GroupCheck, name: string) => {
    return new ResourceCheck(asker, { group, resource: given('resource', name) })
  })
  for (const field of ['subresource', 'namespace', 'name']) {
    env.registerFunction(`${resource}.${field}(string): ${resource}`, (check: ResourceCheck, value: string) =>
      check.with({ [field]: value }),
    )
  }
  env.registerFunction(`${path}.check(string): ${decision}`, ({ asker, path }: PathCheck, verb: string) => {
    return ask(asker, { verb, group: '', resource: '', path })
  })
  env.registerFunction(`${resource}.check(string): ${decision}`, ({ asker, attributes }: ResourceCheck, verb: string) =>
    ask(asker, { ...attributes, verb }),
  )
  env.registerFunction(`${decision}.allowed(): bool`, ({ allowed }: Decision) => allowed)
  env.registerFunction(`${decision}.reason(): string`, ({ reason }: Decision) => reason)
  // The stored roles can always be read.
  env.registerFunction(`${decision}.errored(): bool`, () => false)
  env.registerFunction(`${decision}.error(): string`, () => '')
}

/** The value of `authorizer` for one request. */
export function authorizerValue(authorizer: Authorizer, user: UserInfo, request: Omit<Attributes, 'verb'>): object {
  return new Asker(authorizer, user, request)
}

function ask({ authorizer, user }: Asker, attributes: Attributes): Decision {
  return new Decision(authorizer.authorize(user, attributes))
}

function given(what: string, value: string): string {
  if (value === '') throw new Error(`${what} must not be empty`)
  return value
}

const label = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/
const subdomain = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/

function serviceAccount(namespace: string, name: string): UserInfo {
  if (!subdomain.test(name)) throw new Error('Invalid service account name')
  if (!label.test(namespace)) throw new Error('Invalid service account namespace')
  const groups = ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated']
  return { username: `system:serviceaccount:${namespace}:${name}`, groups }
}
