import { beforeAll, describe, expect, test, vi } from 'vitest'
import {
  applyPatchType,
  jsonPatchType,
  mergePatchType,
  type RawClient,
  strategicPatchType,
} from './apiserver.client.ts'
import { configMap, configMaps, deployment, deployments, widget, widgets } from './apiserver.fixtures.ts'

const rbac = '/apis/rbac.authorization.k8s.io/v1'
const leases = '/apis/coordination.k8s.io/v1/namespaces/default/leases'
const lease = (name: string, metadata: object = {}) => ({
  apiVersion: 'coordination.k8s.io/v1',
  kind: 'Lease',
  metadata: { name, ...metadata },
  spec: { holderIdentity: 'me' },
})

/** Who may do what: each user is named after the verbs they have on the kinds used here. */
const users = ['patch', 'update', 'patch-create', 'update-create']
const as = (user: string) => ({ 'Impersonate-User': `conformance-${user}` })

/** What an API server wants of writes that make what does not exist, and of configurations to be applied. */
export function creatingConformance(connected: () => RawClient): void {
  let serial = 0
  const fresh = () => `new-${Date.now().toString(36)}-${serial++}`
  const apply = (path: string, body: unknown, user?: string, query = '') =>
    connected().request('PATCH', `${path}?fieldManager=x${query}`, {
      body,
      contentType: applyPatchType,
      ...(user ? { headers: as(user) } : {}),
    })
  const put = (path: string, body: unknown, user?: string) =>
    connected().request('PUT', path, { body, ...(user ? { headers: as(user) } : {}) })

  describe('creating what does not exist', () => {
    beforeAll(async () => {
      for (const user of users) {
        const name = `conformance-${user}`
        const resources = ['configmaps', 'deployments', 'deployments/status', 'widgets', 'leases']
        const rules = [{ apiGroups: ['*'], resources, verbs: user.split('-') }]
        const subjects = [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name }]
        const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name }
        const role = { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRole', metadata: { name }, rules }
        const binding = { ...role, kind: 'ClusterRoleBinding', rules: undefined, roleRef, subjects }
        await connected().request('POST', `${rbac}/clusterroles`, { body: role })
        await connected().request('POST', `${rbac}/clusterrolebindings`, { body: binding })
      }
      // A real server hears of roles a moment after they are stored.
      const known = async () =>
        Promise.all(users.map((user) => apply(`${configMaps}/any`, {}, user))).then((all) => all.map((a) => a.status))
      await vi.waitFor(async () => expect(await known()).toEqual([400, 403, 400, 403]), 10_000)
    }, 20_000)

    test('by applying needs the verb create besides patch, of custom resources too and in a dry run', async () => {
      const name = fresh()
      const denied = await apply(`${configMaps}/${name}`, configMap(name), 'patch')
      expect(denied.status).toBe(403)
      expect(denied.body).toMatchObject({
        reason: 'Forbidden',
        message: `configmaps "${name}" is forbidden: User "conformance-patch" cannot create resource "configmaps" in API group "" in the namespace "default"`,
        details: { name, kind: 'configmaps' },
      })
      expect((await apply(`${configMaps}/${name}`, configMap(name), 'patch', '&dryRun=All')).status).toBe(403)
      expect((await apply(`${widgets}/${name}`, widget(name), 'patch')).status).toBe(403)
      expect((await apply(`${deployments}/${name}`, deployment(name), 'patch')).status).toBe(403)
      expect((await apply(`${configMaps}/${name}`, configMap(name), 'patch-create')).status).toBe(201)
      expect((await apply(`${configMaps}/${name}`, configMap(name, { a: '1' }), 'patch')).status).toBe(200)
    })

    test('is judged by its content before the permission to create', async () => {
      const name = fresh()
      expect((await apply(`${configMaps}/${name}`, configMap(name, { 'a b': 'x' }), 'patch')).status).toBe(422)
      expect((await apply(`${widgets}/${name}`, widget(name, { size: 99 }), 'patch')).status).toBe(422)
    })

    test('is not for status, nor for other patches', async () => {
      const name = fresh()
      expect((await apply(`${deployments}/${name}/status`, deployment(name))).status).toBe(404)
      expect((await apply(`${widgets}/${name}/status`, widget(name))).status).toBe(404)
      const merge = { body: {}, contentType: mergePatchType }
      expect((await connected().request('PATCH', `${configMaps}/${name}`, merge)).status).toBe(404)
    })

    test('applying with a uid is a conflict, and a resourceVersion does not count', async () => {
      const name = fresh()
      const withUid = await apply(`${configMaps}/${name}`, configMap(name, {}, { uid: 'abc' }))
      expect(withUid.status).toBe(409)
      expect(withUid.body.message).toBe(
        `Operation cannot be fulfilled on configmaps "${name}": uid mismatch: the provided object specified uid abc, and no existing object was found`,
      )
      expect((await apply(`${configMaps}/${name}`, configMap(name, {}, { resourceVersion: '3' }))).status).toBe(201)
    })

    test('a PUT makes Leases, Services, Events and roles, and nothing else', async () => {
      const name = fresh()
      const inCore = (kind: string, more = {}) => ({ apiVersion: 'v1', kind, metadata: { name }, ...more })
      const status = async (path: string, body: unknown) => (await put(`${path}/${name}?dryRun=All`, body)).status
      const core = '/api/v1/namespaces/default'
      const role = { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'Role', metadata: { name }, rules: [] }
      expect(await status(leases, lease(name))).toBe(201)
      expect(await status(`${core}/services`, inCore('Service', { spec: { ports: [{ port: 80 }] } }))).toBe(201)
      expect(await status(`${core}/endpoints`, inCore('Endpoints'))).toBe(201)
      const involvedObject = { namespace: 'default' }
      expect(await status(`${core}/events`, inCore('Event', { involvedObject }))).toBe(201)
      expect(await status(`${rbac}/namespaces/default/roles`, role)).toBe(201)
      expect(await status(`${rbac}/clusterroles`, { ...role, kind: 'ClusterRole' })).toBe(201)
      expect(await status(configMaps, configMap(name))).toBe(404)
      expect(await status(`${core}/secrets`, inCore('Secret'))).toBe(404)
      expect(await status(deployments, deployment(name))).toBe(404)
      expect(await status(widgets, widget(name))).toBe(404)
      expect(await status('/api/v1/namespaces', inCore('Namespace'))).toBe(404)
    })

    test('a PUT that makes something needs the verb create, and minds no resourceVersion', async () => {
      const name = fresh()
      const denied = await put(`${leases}/${name}`, lease(name), 'update')
      expect(denied.status).toBe(403)
      expect(denied.body.message).toContain('User "conformance-update" cannot create resource "leases"')
      expect((await put(`${leases}/${name}`, lease(name, { uid: 'abc' }))).status).toBe(409)
      expect((await put(`${leases}/${name}`, lease(name, { resourceVersion: '3' }), 'update-create')).status).toBe(201)
      const again = await put(`${leases}/${name}`, lease(name), 'update')
      expect(again.status).toBe(422)
      expect(again.body.message).toBe(
        `leases.coordination.k8s.io "${name}" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified for an update`,
      )
    })

    test('a PUT has to name its object as the URL does', async () => {
      const name = fresh()
      const nameless = await put(`${configMaps}/${name}`, { ...configMap(name), metadata: {} })
      expect(nameless.status).toBe(400)
      expect(nameless.body.message).toBe(
        `the name of the object (${name} based on URL) was undeterminable: name must be provided`,
      )
      expect((await put(`${configMaps}/${name}`, configMap('other'))).status).toBe(400)
    })

    test('leaves the defaults of a status, which nobody owns', async () => {
      const status = { type: 'object', default: { seen: -1 }, properties: { seen: { type: 'integer' } } }
      const schema = { openAPIV3Schema: { type: 'object', properties: { status } } }
      const version = { name: 'v1', served: true, storage: true, subresources: { status: {} }, schema }
      const body = {
        apiVersion: 'apiextensions.k8s.io/v1',
        kind: 'CustomResourceDefinition',
        metadata: { name: 'gauges.defaulted.example.com' },
        spec: {
          group: 'defaulted.example.com',
          scope: 'Cluster',
          names: { kind: 'Gauge', plural: 'gauges' },
          versions: [version],
        },
      }
      await connected().request('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', { body })
      const gauges = '/apis/defaulted.example.com/v1/gauges'
      await vi.waitFor(async () => expect((await connected().request('GET', gauges)).status).toBe(200), 20_000)
      const gauge = { apiVersion: 'defaulted.example.com/v1', kind: 'Gauge', metadata: { name: fresh() } }
      const made = await connected().request('POST', gauges, { body: { ...gauge, status: { seen: 5 } } })
      expect(made.body.status).toEqual({ seen: -1 })
      expect(made.body.metadata.managedFields).toBeUndefined()
    }, 30_000)

    test('with nulls in maps of texts makes empty ones, and without entries none', async () => {
      const name = fresh()
      const metadata = { name, labels: { l: null } }
      const made = await connected().request('POST', `${configMaps}?dryRun=All`, {
        body: { metadata, data: { x: null }, binaryData: {} },
      })
      expect(made.body).toMatchObject({ metadata: { labels: { l: '' } }, data: { x: '' } })
      expect(made.body.binaryData).toBeUndefined()
    })

    test('a namespace that is not there is missed before the object is looked at', async () => {
      const answer = await connected().request('POST', '/api/v1/namespaces/absent/configmaps', {
        body: configMap('A_B'),
      })
      expect(answer.status).toBe(404)
      expect(answer.body.message).toBe('namespaces "absent" not found')
    })
  })

  describe('a patch', () => {
    test.each<[string, string, unknown]>([
      ['of another type', mergePatchType, { data: { a: 3 } }],
      ['of another type, by a strategic merge', strategicPatchType, { data: { a: 3 } }],
      ['that makes another kind', mergePatchType, { kind: 'Secret' }],
      ['of labels that are no map', jsonPatchType, [{ op: 'add', path: '/metadata/labels', value: 3 }]],
      ['nobody declared, when strict', mergePatchType, { foo: 1 }],
    ])('%s is a 422 about the patch', async (_, contentType, body) => {
      const name = fresh()
      await connected().request('POST', configMaps, { body: configMap(name, { a: '1' }) })
      const path = `${configMaps}/${name}?fieldValidation=Strict`
      const answer = await connected().request('PATCH', path, { body, contentType })
      expect(answer.status).toBe(422)
      expect(answer.body.details.causes).toMatchObject([{ reason: 'FieldValueInvalid', field: 'patch' }])
    })

    test('replaces what is not there, and counts from the end of lists', async () => {
      const name = fresh()
      await connected().request('POST', deployments, { body: deployment(name) })
      const containers = '/spec/template/spec/containers/-1'
      const body = [
        { op: 'replace', path: '/metadata/annotations', value: { a: 'b' } },
        { op: 'replace', path: `${containers}/image`, value: 'web:2' },
      ]
      const answer = await connected().request('PATCH', `${deployments}/${name}`, { body, contentType: jsonPatchType })
      expect(answer.body.message ?? '').toBe('')
      expect(answer.body.metadata.annotations).toEqual({ a: 'b' })
      expect(answer.body.spec.template.spec.containers[0].image).toBe('web:2')
    })

    test('of the uid is refused', async () => {
      const name = fresh()
      await connected().request('POST', configMaps, { body: configMap(name) })
      const body = { metadata: { uid: 'other' } }
      const answer = await connected().request('PATCH', `${configMaps}/${name}`, { body, contentType: mergePatchType })
      expect(answer.status).toBe(422)
      expect(answer.body.details.causes[0]).toMatchObject({ field: 'metadata.uid' })
    })
  })

  describe('scale', () => {
    test('says no replicas by leaving them out, and is named as its object is', async () => {
      const name = fresh()
      await connected().request('POST', deployments, { body: deployment(name) })
      const whole = (spec: object, metadata: object = { name }) => ({
        body: { apiVersion: 'autoscaling/v1', kind: 'Scale', metadata, spec },
      })
      const path = `${deployments}/${name}/scale`
      expect((await connected().request('PUT', path, whole({ replicas: 0 }))).body.spec).toEqual({})
      expect((await connected().request('PUT', path, whole({ replicas: 2 }, {}))).status).toBe(400)
      expect((await connected().request('PUT', path, whole({ replicas: '2' }))).status).toBe(400)
      expect((await connected().request('PUT', path, whole({ replicas: 2 }, { name, uid: 'x' }))).status).toBe(409)
    })
  })

  describe('a dry-run DELETE', () => {
    test('answers the marked object when a finalizer would hold it back', async () => {
      const name = fresh()
      await connected().request('POST', configMaps, { body: configMap(name, {}, { finalizers: ['example.com/f'] }) })
      const answer = await connected().request('DELETE', `${configMaps}/${name}?dryRun=All`)
      expect(answer.body).toMatchObject({ kind: 'ConfigMap', metadata: { deletionTimestamp: expect.any(String) } })
      const now = await connected().request('GET', `${configMaps}/${name}`)
      expect(now.body.metadata.deletionTimestamp).toBeUndefined()
    })
  })

  describe('a configuration to be applied', () => {
    test('takes with it the struct and the defaults of fields it no longer names', async () => {
      const name = fresh()
      await apply(`${widgets}/${name}`, widget(name, { limit: 5 }))
      const bare = { apiVersion: 'conformance.example.com/v1', kind: 'Widget', metadata: { name } }
      const answer = await apply(`${widgets}/${name}`, bare)
      expect(answer.status).toBe(422)
      expect(answer.body.details.causes[0]).toMatchObject({ reason: 'FieldValueRequired', field: 'spec' })
    })

    const container = (more: object) => {
      const base = deployment('x')
      const [first] = base.spec.template.spec.containers
      base.spec.template.spec.containers = [{ ...first, ...more } as (typeof base.spec.template.spec.containers)[0]]
      return base
    }
    const web = '.spec.template.spec.containers[name="web"]'
    const port = { containerPort: 80 }
    test.each<[string, string, { kind: string; metadata: object }, string]>([
      [
        'a field nobody declared',
        configMaps,
        { ...configMap('x'), foo: 1 } as never,
        '.foo: field not declared in schema',
      ],
      [
        'undeclared metadata',
        configMaps,
        configMap('x', {}, { foo: 1 }),
        '.metadata.foo: field not declared in schema',
      ],
      [
        'an undeclared field of a container',
        deployments,
        container({ foo: 1 }),
        `${web}.foo: field not declared in schema`,
      ],
      [
        'a text for a number',
        deployments,
        container({ ports: [{ ...port, hostPort: '80' }] }),
        `${web}.ports[containerPort=80,protocol="TCP"].hostPort: expected numeric (int or float), got string`,
      ],
      [
        'a number for a text',
        deployments,
        container({ env: [{ name: 'A', value: 1 }] }),
        `${web}.env[name="A"].value: expected string, got `,
      ],
      ['a text for a list', deployments, container({ command: 'x' }), `${web}.command: expected list, got `],
      [
        'the same key twice',
        deployments,
        container({ ports: [port, port] }),
        `${web}.ports: duplicate entries for key [containerPort=80,protocol="TCP"]`,
      ],
      [
        'an undeclared field of a custom resource',
        widgets,
        widget('x', { foo: 1 }),
        '.spec.foo: field not declared in schema',
      ],
      [
        'the same value twice',
        widgets,
        widget('x', { tags: ['a', 'a'] }),
        '.spec.tags: duplicate entries for key [="a"]',
      ],
      [
        'an item without its key',
        widgets,
        widget('x', { parts: [{ count: 1 }] }),
        '.spec.parts: element 0: associative list with keys has an element that omits all key fields ["name"] (and doesn\'t have default values for any key fields)',
      ],
    ])('is not taken with %s, whatever field validation is asked for', async (_, path, body, problem) => {
      const answer = await apply(`${path}/x`, body, undefined, '&dryRun=All&fieldValidation=Ignore')
      expect(answer.status).toBe(500)
      const start = 'failed to create typed patch object (/x; '
      expect(answer.body.message.slice(0, start.length)).toBe(start)
      expect(answer.body.message).toContain(`Kind=${body.kind}): ${problem}`)
    })

    test('may have nulls and numbers for texts of quantities', async () => {
      const resources = { limits: { cpu: 1, memory: '1Gi' } }
      const answer = await apply(`${deployments}/x`, container({ resources, args: null }), undefined, '&dryRun=All')
      expect(answer.body.message ?? '').toBe('')
    })

    test.each([
      [{ apiVersion: 'v1', kind: 'Secret' }, 'invalid object type: /v1, Kind=Secret'],
      [{ kind: 'ConfigMap' }, 'invalid object type: /, Kind=ConfigMap'],
      [{ apiVersion: 'apps/v1', kind: 'ConfigMap' }, 'invalid object type: apps/v1, Kind=ConfigMap'],
      ['', 'invalid object type: /, Kind='],
    ])('has to say what it is: %j', async (body, message) => {
      const answer = await apply(`${configMaps}/x`, body)
      expect({ status: answer.status, message: answer.body.message }).toEqual({ status: 400, message })
    })
  })
}
