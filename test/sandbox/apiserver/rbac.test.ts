import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type ApiServer, startApiServer } from '../../../src/sandbox/apiserver/index.ts'
import { applyPatchType, mergePatchType, type RawClient, rawClient } from '../../conformance/apiserver.client.ts'
import { configMap, configMaps, deployment, deployments } from '../../conformance/apiserver.fixtures.ts'

const account = 'system:serviceaccount:sluice-system:sluice'
let server: ApiServer
let admin: RawClient
let robot: RawClient

beforeEach(async () => {
  server = await startApiServer({
    rbac: true,
    tokens: { robot: { username: account, groups: ['system:serviceaccounts'] } },
  })
  admin = rawClient(server.url, server.token())
  robot = rawClient(server.url, server.token(account))
})
afterEach(() => server.stop())

const group = 'rbac.authorization.k8s.io'
const subject = { kind: 'ServiceAccount', name: 'sluice', namespace: 'sluice-system' }

/** Grants rules to the robot: in the whole cluster, or in the default namespace. */
function grant(rules: Record<string, unknown>[], where: 'cluster' | 'default'): void {
  const kind = where === 'cluster' ? 'ClusterRoleBinding' : 'RoleBinding'
  server.storage.create(
    { group, plural: 'clusterroles' },
    { apiVersion: `${group}/v1`, kind: 'ClusterRole', metadata: { name: 'r' }, rules },
  )
  server.storage.create(
    { group, plural: `${kind.toLowerCase()}s` },
    {
      apiVersion: `${group}/v1`,
      kind,
      metadata: { name: 'b', ...(where === 'default' ? { namespace: 'default' } : {}) },
      roleRef: { kind: 'ClusterRole', name: 'r' },
      subjects: [subject],
    },
  )
}

describe('with RBAC', () => {
  test('a service account without roles may do nothing, and is told what it may not', async () => {
    const answer = await robot.request('GET', `${deployments}/web`)
    expect(answer.status).toBe(403)
    expect(answer.body.message).toBe(
      `deployments.apps "web" is forbidden: User "${account}" cannot get resource "deployments" in API group "apps" in the namespace "default"`,
    )
    expect((await admin.request('GET', deployments)).status).toBe(200)
  })

  test('a role gives its verbs on its resources, subresources apart', async () => {
    grant([{ apiGroups: ['apps'], resources: ['deployments'], verbs: ['get', 'patch'] }], 'default')
    await admin.request('POST', deployments, { body: deployment('web') })
    const patch = (path: string) =>
      robot.request('PATCH', `${deployments}/web${path}`, {
        body: { spec: { replicas: 2 } },
        contentType: mergePatchType,
      })
    expect((await patch('')).status).toBe(200)
    expect((await patch('/scale')).status).toBe(403)
    expect((await robot.request('DELETE', `${deployments}/web`)).status).toBe(403)
    expect((await robot.request('GET', deployments)).status).toBe(403)
  })

  test('a RoleBinding ends at its namespace, a ClusterRoleBinding does not', async () => {
    grant([{ apiGroups: [''], resources: ['configmaps'], verbs: ['list'] }], 'default')
    expect((await robot.request('GET', configMaps)).status).toBe(200)
    expect((await robot.request('GET', '/api/v1/namespaces/kube-system/configmaps')).status).toBe(403)
    expect((await robot.request('GET', '/api/v1/configmaps')).status).toBe(403)
  })

  test('resourceNames restrict to named objects', async () => {
    grant([{ apiGroups: [''], resources: ['configmaps'], verbs: ['get'], resourceNames: ['mine'] }], 'cluster')
    await admin.request('POST', configMaps, { body: configMap('mine') })
    await admin.request('POST', configMaps, { body: configMap('yours') })
    expect((await robot.request('GET', `${configMaps}/mine`)).status).toBe(200)
    expect((await robot.request('GET', `${configMaps}/yours`)).status).toBe(403)
  })

  test('applying what does not exist needs the permission to create it', async () => {
    grant([{ apiGroups: [''], resources: ['configmaps'], verbs: ['patch'] }], 'cluster')
    const apply = () =>
      robot.request('PATCH', `${configMaps}/a?fieldManager=x`, { body: configMap('a'), contentType: applyPatchType })
    expect((await apply()).status).toBe(403)
    await admin.request('POST', configMaps, { body: configMap('a') })
    expect((await apply()).status).toBe(200)
  })

  test('impersonation needs its own permission', async () => {
    const headers = { 'Impersonate-User': 'kubernetes-admin', 'Impersonate-Group': 'system:masters' }
    expect((await robot.request('GET', configMaps, { headers })).status).toBe(403)
    expect((await admin.request('GET', configMaps, { headers: { 'Impersonate-User': account } })).status).toBe(403)
  })

  test('reviews answer who one is and what one may', async () => {
    grant([{ apiGroups: [''], resources: ['configmaps'], verbs: ['get'] }], 'default')
    const may = async (verb: string) => {
      const spec = { resourceAttributes: { verb, group: '', resource: 'configmaps', namespace: 'default' } }
      const body = { apiVersion: 'authorization.k8s.io/v1', kind: 'SelfSubjectAccessReview', spec }
      return (await robot.request('POST', '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', { body })).body
        .status.allowed
    }
    expect([await may('get'), await may('delete')]).toEqual([true, false])
    const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' }
    const self = await robot.request('POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', { body })
    expect(self.body.status.userInfo).toMatchObject({
      username: account,
      groups: ['system:serviceaccounts', 'system:authenticated'],
    })
  })

  test('an unknown token is a 401, no token is nobody', async () => {
    expect((await rawClient(server.url, 'wrong').request('GET', configMaps)).status).toBe(401)
    const nobody = await rawClient(server.url).request('GET', configMaps)
    expect(nobody.status).toBe(403)
    expect(nobody.body.message).toContain('User "system:anonymous" cannot list')
  })
})
