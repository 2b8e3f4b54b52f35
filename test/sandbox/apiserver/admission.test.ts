import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { KubeObject } from '../../../src/kube/object.ts'
import { type ApiServer, startApiServer } from '../../../src/sandbox/apiserver/index.ts'
import { mergePatchType, type RawClient, rawClient, strategicPatchType } from '../../conformance/apiserver.client.ts'
import { configMap, configMaps, deployment, deployments } from '../../conformance/apiserver.fixtures.ts'

let server: ApiServer
let client: RawClient

beforeEach(async () => {
  server = await startApiServer({ tokens: { dana: { username: 'dana@example.com', groups: [] } } })
  client = rawClient(server.url, server.token())
})
afterEach(() => server.stop())

const admission = 'admissionregistration.k8s.io'

function install(kind: string, name: string, spec: Record<string, unknown>): KubeObject {
  const plural = `${kind.toLowerCase().replace(/y$/, 'ie')}s`
  return server.storage.create(
    { group: admission, plural },
    { apiVersion: `${admission}/v1`, kind, metadata: { name }, spec },
  )
}

function validating(spec: Record<string, unknown>, binding: Record<string, unknown> = {}): void {
  const resourceRules = [
    { apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE', 'UPDATE'], resources: ['configmaps'] },
  ]
  install('ValidatingAdmissionPolicy', 'p', { matchConstraints: { resourceRules }, ...spec })
  install('ValidatingAdmissionPolicyBinding', 'b', { policyName: 'p', validationActions: ['Deny'], ...binding })
}

describe('ValidatingAdmissionPolicy', () => {
  const own = {
    variables: [{ name: 'by', expression: "object.?data.?by.orValue('')" }],
    validations: [
      {
        expression: 'variables.by == request.userInfo.username',
        messageExpression: "'by must be ' + request.userInfo.username + ', not ' + variables.by",
      },
    ],
  }

  test('sees who asks, and its refusal carries the computed message', async () => {
    validating(own)
    const dana = rawClient(server.url, server.token('dana@example.com'))
    const refused = await dana.request('POST', configMaps, { body: configMap('a', { by: 'eve' }) })
    expect(refused.status).toBe(422)
    expect(refused.body.message).toBe(
      `configmaps "a" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: by must be dana@example.com, not eve`,
    )
    expect((await dana.request('POST', configMaps, { body: configMap('a', { by: 'dana@example.com' }) })).status).toBe(
      201,
    )
  })

  test('takes the impersonated user for the one who asks', async () => {
    validating(own)
    const headers = { 'Impersonate-User': 'dana@example.com' }
    const answer = await client.request('POST', configMaps, {
      body: configMap('a', { by: 'dana@example.com' }),
      headers,
    })
    expect(answer.status).toBe(201)
  })

  test('compares with the object that is replaced', async () => {
    validating({
      validations: [{ expression: 'oldObject == null || object.data == oldObject.data', message: 'data is fixed' }],
    })
    await client.request('POST', configMaps, { body: configMap('a', { x: '1' }) })
    const change = (body: unknown) => client.request('PATCH', `${configMaps}/a`, { body, contentType: mergePatchType })
    expect((await change({ data: { x: '2' } })).body.message).toContain('data is fixed')
    expect((await change({ metadata: { labels: { a: 'b' } } })).status).toBe(200)
  })

  test('is skipped where a match condition is false, and refuses where one fails', async () => {
    validating({
      matchConditions: [{ name: 'not-admin', expression: "request.userInfo.username != 'kubernetes-admin'" }],
      validations: [{ expression: 'false', message: 'never' }],
    })
    expect((await client.request('POST', configMaps, { body: configMap('a') })).status).toBe(201)
    const dana = rawClient(server.url, server.token('dana@example.com'))
    expect((await dana.request('POST', configMaps, { body: configMap('b') })).body.message).toContain('never')
  })

  test.each([
    ['Fail', 422],
    ['Ignore', 201],
  ])('an expression that fails under failurePolicy %s answers %i', async (failurePolicy, status) => {
    validating({ failurePolicy, validations: [{ expression: 'object.data.missing == 1' }] })
    expect((await client.request('POST', configMaps, { body: configMap('a') })).status).toBe(status)
  })

  test('whose expression does not compile is refused when it is written', () => {
    expect(() => validating({ validations: [{ expression: 'object.data ==' }] })).toThrow(
      'spec.validations[0].expression',
    )
  })

  test('only warns where the binding says Warn', async () => {
    validating(
      { validations: [{ expression: 'false', message: 'frowned upon: 10 → 50' }] },
      { validationActions: ['Warn'] },
    )
    const answer = await client.request('POST', configMaps, { body: configMap('a') })
    expect(answer.status).toBe(201)
    expect(answer.headers.warning).toContain('frowned upon: 10 ? 50')
  })

  test('reads its parameters', async () => {
    server.storage.create(
      { group: '', plural: 'configmaps' },
      {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: 'limits', namespace: 'kube-system' },
        data: { most: '2' },
      },
    )
    validating(
      {
        paramKind: { apiVersion: 'v1', kind: 'ConfigMap' },
        validations: [
          { expression: 'size(object.?data.orValue({})) <= int(params.data.most)', message: 'too much data' },
        ],
      },
      { paramRef: { name: 'limits', namespace: 'kube-system', parameterNotFoundAction: 'Deny' } },
    )
    expect((await client.request('POST', configMaps, { body: configMap('a', { a: '', b: '' }) })).status).toBe(201)
    expect((await client.request('POST', configMaps, { body: configMap('b', { a: '', b: '', c: '' }) })).status).toBe(
      422,
    )
  })

  test('applies only in the namespaces its binding selects', async () => {
    validating(
      { validations: [{ expression: 'false' }] },
      { matchResources: { namespaceSelector: { matchLabels: { guarded: 'yes' } } } },
    )
    expect((await client.request('POST', configMaps, { body: configMap('a') })).status).toBe(201)
    const body = { metadata: { labels: { guarded: 'yes' } } }
    await client.request('PATCH', '/api/v1/namespaces/default', { body, contentType: mergePatchType })
    expect((await client.request('POST', configMaps, { body: configMap('b') })).status).toBe(422)
  })
})

describe('MutatingAdmissionPolicy', () => {
  /** The shape of a latch: a changed template pauses the Deployment in the same write. */
  function latch(mutation: Record<string, unknown>): void {
    install('MutatingAdmissionPolicy', 'latch', {
      reinvocationPolicy: 'IfNeeded',
      matchConstraints: {
        objectSelector: { matchExpressions: [{ key: 'latched', operator: 'Exists' }] },
        resourceRules: [
          { apiGroups: ['apps'], apiVersions: ['v1'], operations: ['UPDATE'], resources: ['deployments'] },
        ],
      },
      matchConditions: [{ name: 'template-changed', expression: 'object.spec.template != oldObject.spec.template' }],
      mutations: [mutation],
    })
    install('MutatingAdmissionPolicyBinding', 'latch', { policyName: 'latch' })
  }

  const image = (name: string) => ({ spec: { template: { spec: { containers: [{ name: 'web', image: name }] } } } })
  const patch = (body: unknown, path = '/web') =>
    client.request('PATCH', `${deployments}${path}`, { body, contentType: strategicPatchType })

  test.each([
    [
      'an apply configuration',
      {
        patchType: 'ApplyConfiguration',
        applyConfiguration: { expression: 'Object{spec: Object.spec{paused: true}}' },
      },
    ],
    [
      'a JSON patch',
      {
        patchType: 'JSONPatch',
        jsonPatch: { expression: '[JSONPatch{op: "add", path: "/spec/paused", value: true}]' },
      },
    ],
  ])('changes the write with %s, and owns nothing by it', async (_, mutation) => {
    latch(mutation)
    const body = deployment('web')
    await client.request('POST', deployments, {
      body: { ...body, metadata: { ...body.metadata, labels: { latched: '' } } },
    })
    expect((await patch({ spec: { replicas: 2 } })).body.spec.paused).toBeUndefined()
    const dry = await patch(image('registry.example/web:2'), '/web?dryRun=All')
    expect(dry.body.spec.paused).toBe(true)
    const changed = await patch(image('registry.example/web:2'))
    expect(changed.body.spec).toMatchObject({ paused: true, replicas: 2 })
    expect(JSON.stringify(changed.body.metadata.managedFields)).not.toContain('f:paused')
    expect(changed.body.metadata.generation).toBe(3)
  })

  test('may not replace an atomic list by an apply configuration', async () => {
    latch({
      patchType: 'ApplyConfiguration',
      applyConfiguration: {
        expression: 'Object{spec: Object.spec{selector: Object.spec.selector{matchLabels: {"a": "b"}}}}',
      },
    })
    const body = deployment('web')
    await client.request('POST', deployments, {
      body: { ...body, metadata: { ...body.metadata, labels: { latched: '' } } },
    })
    const answer = await patch(image('registry.example/web:2'))
    expect(answer.status).toBe(422)
    expect(answer.body.message).toContain('may not mutate atomic arrays, maps or structs: .spec.selector')
  })

  test('still holds a Deployment that loses its label in the same write', async () => {
    latch({
      patchType: 'ApplyConfiguration',
      applyConfiguration: { expression: 'Object{spec: Object.spec{paused: true}}' },
    })
    const body = deployment('web')
    await client.request('POST', deployments, {
      body: { ...body, metadata: { ...body.metadata, labels: { latched: '' } } },
    })
    const answer = await patch({ ...image('registry.example/web:2'), metadata: { labels: { latched: null } } })
    expect(answer.body.spec.paused).toBe(true)
  })
})

test('in-process hooks can change and refuse writes', async () => {
  server.admission.addMutating(({ object, type }) => {
    if (object && type.plural === 'configmaps') object.data = { hooked: 'yes' }
  })
  const answer = await client.request('POST', configMaps, { body: configMap('a') })
  expect(answer.body.data).toEqual({ hooked: 'yes' })
})

describe("Istio's webhook", () => {
  const path = '/apis/networking.istio.io/v1/namespaces/default/virtualservices'
  const virtualService = (...weights: number[]) => ({
    apiVersion: 'networking.istio.io/v1',
    kind: 'VirtualService',
    metadata: { name: `vs-${weights.join('-')}` },
    spec: { hosts: ['web'], http: [{ route: weights.map((weight) => ({ destination: { host: 'web' }, weight })) }] },
  })

  test.each([
    [[90, 10], 201],
    [[90, 30], 201],
    [[0], 201],
    [[0, 0], 400],
    [[110, -10], 400],
  ])('weights %j answer %i', async (weights, status) => {
    expect((await client.request('POST', path, { body: virtualService(...weights) })).status).toBe(status)
  })

  test('a VirtualService is the same object under v1, v1beta1 and v1alpha3', async () => {
    await client.request('POST', path, { body: virtualService(1, 1) })
    const old = await client.request('GET', path.replace('/v1/', '/v1alpha3/'))
    expect(old.body.items[0]).toMatchObject({
      apiVersion: 'networking.istio.io/v1alpha3',
      metadata: { name: 'vs-1-1' },
    })
  })
})
