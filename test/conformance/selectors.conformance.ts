import { beforeAll, describe, expect, test, vi } from 'vitest'
import type { RawClient } from './apiserver.client.ts'
import { configMap, configMaps } from './apiserver.fixtures.ts'

const crds = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
const gadgets = '/apis/selected.example.com/v1/namespaces/default/gadgets'

/** A CRD with fields that its objects can be selected by. */
const gadgetCrd = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'gadgets.selected.example.com' },
  spec: {
    group: 'selected.example.com',
    scope: 'Namespaced',
    names: { kind: 'Gadget', plural: 'gadgets' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        selectableFields: [{ jsonPath: '.spec.color' }, { jsonPath: '.spec.size' }, { jsonPath: '.spec.on' }],
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: {
              spec: {
                type: 'object',
                properties: {
                  color: { type: 'string' },
                  size: { type: 'integer' },
                  on: { type: 'boolean' },
                  other: { type: 'string' },
                },
              },
            },
          },
        },
      },
    ],
  },
}

const everywhere = ['metadata.name', 'metadata.namespace']
const reference = ['kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath']
/** What each kind can be selected by, of all the fields named here. */
const fields: Record<string, string[]> = {
  '/api/v1/configmaps': everywhere,
  '/api/v1/secrets': [...everywhere, 'type'],
  '/api/v1/namespaces': ['metadata.name', 'status.phase'],
  '/api/v1/nodes': ['metadata.name', 'spec.unschedulable'],
  '/api/v1/services': [...everywhere, 'spec.clusterIP', 'spec.type'],
  '/api/v1/pods': [
    ...everywhere,
    ...['spec.nodeName', 'spec.restartPolicy', 'spec.schedulerName', 'spec.serviceAccountName', 'spec.hostNetwork'],
    ...['status.phase', 'status.podIP', 'status.podIPs', 'status.nominatedNodeName'],
  ],
  '/api/v1/events': [
    ...everywhere,
    ...reference.map((part) => `involvedObject.${part}`),
    ...['reason', 'reportingComponent', 'source', 'type'],
  ],
  '/apis/events.k8s.io/v1/events': [
    ...everywhere,
    ...reference.map((part) => `regarding.${part}`),
    ...['reason', 'reportingController', 'type'],
  ],
  '/apis/apps/v1/deployments': everywhere,
  '/apis/apps/v1/replicasets': everywhere,
  '/apis/coordination.k8s.io/v1/leases': everywhere,
  '/apis/autoscaling/v2/horizontalpodautoscalers': everywhere,
  '/apis/scheduling.k8s.io/v1/priorityclasses': everywhere,
  [crds]: everywhere,
  '/apis/selected.example.com/v1/gadgets': [...everywhere, 'spec.color', 'spec.size', 'spec.on'],
}
const anyField = [...new Set(Object.values(fields).flat()), 'metadata.uid', 'status.replicas', 'spec.other']

const badLabels: [string, string][] = [
  ['a=b,', "found '', expected: identifier after ','"],
  ['a,,b', "found ',', expected: identifier after ','"],
  ['a in b', "unable to parse requirement: found 'b' expected: '('"],
  ['a in (b', "unable to parse requirement: found '', expected: ',' or ')'"],
  ['a=b=c', "found '=', expected: ',' or 'end of string'"],
  ['!a=b', "found '=', expected: ',' or 'end of string'"],
  ['A B', "unable to parse requirement: found 'B', expected: in, notin, =, ==, !=, gt, lt"],
  ['=x', "found '=', expected: !, identifier, or 'end of string'"],
  ['!', "unable to parse requirement: found '', expected: identifier"],
  ['a===b', "unable to parse requirement: found '=', expected: identifier"],
  ['a>x', "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators"],
  ['a=-x', 'unable to parse requirement: values[0][a]: Invalid value: "-x": a valid label must be'],
  ['-a=x', 'unable to parse requirement: <nil>: Invalid value: "-a": name part must consist of'],
  ['a/b/c=x', 'unable to parse requirement: <nil>: Invalid value: "a/b/c": a valid label key must'],
]

const badFields: [string, string][] = [
  ['metadata.name', "invalid selector: 'metadata.name'; can't understand 'metadata.name'"],
  ['metadata.name=a=b', 'invalid field selector: unescaped character in value: 61'],
  ['metadata.name = a', '"metadata.name " is not a known field selector: only "metadata.name", "metadata.namespace"'],
  ['=a', '"" is not a known field selector: only "metadata.name", "metadata.namespace"'],
]

/** By what an API server lets objects be selected, and in what words it refuses the rest. */
export function selectorConformance(connected: () => RawClient): void {
  const list = (path: string, kind: 'labelSelector' | 'fieldSelector', selector: string) =>
    connected().request('GET', `${path}?${kind}=${encodeURIComponent(selector)}`)

  describe('selecting', () => {
    beforeAll(async () => {
      const { status, body } = await connected().request('POST', crds, { body: gadgetCrd })
      if (body.reason !== 'AlreadyExists') expect(`${status} ${body.message ?? ''}`).toBe('201 ')
      await vi.waitFor(async () => expect((await connected().request('GET', gadgets)).status).toBe(200), 20_000)
    }, 30_000)

    test.each(Object.entries(fields))('%s knows its fields and no others', async (path, known) => {
      const answers = await Promise.all(
        anyField.map(async (field) => [field, await list(path, 'fieldSelector', `${field}=x`)] as const),
      )
      expect(answers.filter(([, { status }]) => status === 200).map(([field]) => field)).toEqual(
        anyField.filter((field) => known.includes(field)),
      )
      for (const [field, { status, body }] of answers) {
        if (status === 200) continue
        expect(status).toBe(400)
        expect([
          `field label not supported: ${field}`,
          `"${field}" is not a known field selector: only "metadata.name", "metadata.namespace"`,
        ]).toContain(body.message)
      }
    })

    test('custom resources are selected by the fields their definition names', async () => {
      const stem = `g-${Date.now().toString(36)}`
      const specs = { a: { color: 'red', size: 1, on: true }, b: { color: 'red', size: 2, on: false }, c: {} }
      for (const [name, spec] of Object.entries(specs)) {
        const body = {
          apiVersion: 'selected.example.com/v1',
          kind: 'Gadget',
          metadata: { name: `${stem}-${name}`, labels: { stem } },
          spec,
        }
        expect((await connected().request('POST', gadgets, { body })).status).toBe(201)
      }
      const by = async (selector: string) => {
        const query = `labelSelector=stem%3D${stem}&fieldSelector=${encodeURIComponent(selector)}`
        const { body } = await connected().request('GET', `${gadgets}?${query}`)
        return body.items.map((each: { metadata: { name: string } }) => each.metadata.name.slice(-1)).join('')
      }
      expect(await by('spec.color=red')).toBe('ab')
      expect(await by('spec.color=red,spec.size=2')).toBe('b')
      expect(await by('spec.color!=red')).toBe('c')
      expect(await by('spec.on=true')).toBe('a')
    })

    test('pods are selected by fields that are only true or false', async () => {
      const name = `p-${Date.now().toString(36)}`
      const path = '/api/v1/namespaces/default/pods'
      const spec = { containers: [{ name: 'web', image: 'web' }] }
      const made = await connected().request('POST', path, {
        body: { apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec },
      })
      expect(made.status).toBe(201)
      const found = async (selector: string) =>
        (await list(path, 'fieldSelector', `metadata.name=${name},${selector}`)).body.items.length
      expect(await found('spec.hostNetwork=false')).toBe(1)
      expect(await found('spec.hostNetwork=true')).toBe(0)
      expect(await found('status.podIPs=')).toBe(1)
      expect(await found('status.phase!=Running,spec.nodeName=')).toBe(1)
      await connected().request('DELETE', `${path}/${name}?gracePeriodSeconds=0`)
    })

    test('labels are compared as texts, and as numbers by > and <', async () => {
      const stem = `l-${Date.now().toString(36)}`
      for (const n of ['5', '10', 'x']) {
        const body = configMap(`${stem}-${n}`, {}, { labels: { stem, n } })
        expect((await connected().request('POST', configMaps, { body })).status).toBe(201)
      }
      const by = async (selector: string) => {
        const { body } = await list(configMaps, 'labelSelector', `stem=${stem},${selector}`)
        return body.items.map((each: { metadata: { labels: { n: string } } }) => each.metadata.labels.n).join(' ')
      }
      expect(await by('n>5')).toBe('10')
      expect(await by('n<10')).toBe('5')
      expect(await by('n in (5,,x)')).toBe('5 x')
      expect(await by('n notin (5)')).toBe('10 x')
      expect(await by('m in ()')).toBe('')
      expect(await by('m notin ()')).toBe('10 5 x')
      expect(await by('n!=')).toBe('10 5 x')
    })

    test.each(badLabels)('the labels %j are refused: %s', async (selector, message) => {
      const { status, body } = await list(configMaps, 'labelSelector', selector)
      expect(status).toBe(400)
      expect(body.message.slice(0, message.length)).toBe(message)
    })

    test.each(badFields)('the fields %j are refused: %s', async (selector, message) => {
      const { status, body } = await list(configMaps, 'fieldSelector', selector)
      expect({ status, message: body.message }).toEqual({ status: 400, message })
    })

    test('commas and equals signs in a value are escaped', async () => {
      expect((await list(configMaps, 'fieldSelector', 'metadata.name=a\\,b,metadata.namespace=c\\=d')).status).toBe(200)
    })
  })
}
