import { at, objects } from './json.ts'
import type { ObjectStore } from './object-store.ts'
import type { UserInfo } from './request-context.ts'
import { matchesSelector } from './selectors.ts'

/** What is to be allowed: a verb on a resource, or on a path that is none. */
export interface Attributes {
  verb: string
  group: string
  resource: string
  subresource?: string
  namespace?: string
  name?: string
  /** For non-resource requests. */
  path?: string
}

export interface Authorizer {
  /** `reason` explains either answer. */
  authorize(user: UserInfo, attributes: Attributes): { allowed: boolean; reason: string }
  /** The rules that apply to a user in a namespace, for `kubectl auth can-i --list`. */
  rulesFor(user: UserInfo, namespace: string): Record<string, unknown>[]
}

const group = 'rbac.authorization.k8s.io'

/** Everyone may do everything, as without `--authorization-mode`. */
export const alwaysAllow: Authorizer = {
  authorize: () => ({ allowed: true, reason: '' }),
  rulesFor: () => [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }],
}

/** Decides by the Roles and bindings in the store; system:masters may do everything. */
export function rbacAuthorizer(store: ObjectStore): Authorizer {
  function rulesFor(user: UserInfo, namespace: string | undefined): Record<string, unknown>[] {
    const rules: Record<string, unknown>[] = []
    for (const binding of store.list({ group, plural: 'clusterrolebindings' })) {
      if (bindsUser(binding, user, undefined)) rules.push(...roleRules(binding, undefined))
    }
    if (namespace) {
      for (const binding of store.list({ group, plural: 'rolebindings' }, namespace)) {
        if (bindsUser(binding, user, namespace)) rules.push(...roleRules(binding, namespace))
      }
    }
    return rules
  }

  function roleRules(binding: unknown, namespace: string | undefined): Record<string, unknown>[] {
    const name = String(at(binding, 'roleRef', 'name'))
    const inNamespace = at(binding, 'roleRef', 'kind') === 'Role'
    const role = inNamespace
      ? store.get({ group, plural: 'roles' }, { namespace, name })
      : store.get({ group, plural: 'clusterroles' }, { name })
    const selectors = objects(at(role, 'aggregationRule', 'clusterRoleSelectors'))
    if (selectors.length === 0) return objects(role?.rules)
    return store
      .list({ group, plural: 'clusterroles' })
      .filter((each) => selectors.some((selector) => matchesSelector(selector, each.metadata.labels ?? {})))
      .flatMap((each) => objects(each.rules))
  }

  return {
    authorize(user, attributes) {
      if (user.groups.includes('system:masters')) return { allowed: true, reason: '' }
      if (isQuestionAboutSelf(attributes) && user.groups.includes('system:authenticated')) {
        return { allowed: true, reason: 'RBAC: allowed by system:basic-user' }
      }
      const allowed = rulesFor(user, attributes.namespace).some((rule) => ruleAllows(rule, attributes))
      return { allowed, reason: allowed ? 'RBAC: allowed' : '' }
    },
    rulesFor: (user, namespace) =>
      user.groups.includes('system:masters')
        ? [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }]
        : rulesFor(user, namespace),
  }
}

/** What system:basic-user lets everybody who is known do. */
function isQuestionAboutSelf({ verb, group: asked, resource }: Attributes): boolean {
  const groups = ['authorization.k8s.io', 'authentication.k8s.io']
  return verb === 'create' && groups.includes(asked) && resource.startsWith('selfsubject')
}

function bindsUser(binding: unknown, user: UserInfo, bindingNamespace: string | undefined): boolean {
  return objects(at(binding, 'subjects')).some((subject) => {
    if (subject.kind === 'User') return subject.name === user.username
    if (subject.kind === 'Group') return user.groups.includes(String(subject.name))
    const namespace = String(subject.namespace ?? bindingNamespace ?? '')
    return user.username === `system:serviceaccount:${namespace}:${String(subject.name)}`
  })
}

function ruleAllows(rule: Record<string, unknown>, attributes: Attributes): boolean {
  const has = (field: string, value: string) => {
    const list = rule[field]
    return Array.isArray(list) && (list.includes('*') || list.includes(value))
  }
  if (!has('verbs', attributes.verb)) return false
  if (attributes.path !== undefined) {
    const { path } = attributes
    const urls = Array.isArray(rule.nonResourceURLs) ? rule.nonResourceURLs.map(String) : []
    return urls.some((url) => url === path || (url.endsWith('*') && path.startsWith(url.slice(0, -1))))
  }
  const resource = attributes.subresource ? `${attributes.resource}/${attributes.subresource}` : attributes.resource
  const anyOfSubresource = attributes.subresource ? has('resources', `*/${attributes.subresource}`) : false
  if (!has('apiGroups', attributes.group) || !(has('resources', resource) || anyOfSubresource)) return false
  const names = Array.isArray(rule.resourceNames) ? rule.resourceNames : []
  return names.length === 0 || names.includes(attributes.name)
}
