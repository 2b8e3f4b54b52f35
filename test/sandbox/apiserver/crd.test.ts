import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { type ApiServer, startApiServer } from '../../../src/sandbox/apiserver/index.ts'
import type { Schema } from '../../../src/sandbox/apiserver/schema.ts'
import { mergePatchType, type RawClient, rawClient } from '../../conformance/apiserver.client.ts'

const crdPath = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
let server: ApiServer
let client: RawClient

beforeEach(async () => {
  server = await startApiServer()
  client = rawClient(server.url, server.token())
})
afterEach(() => server.stop())

function crd(spec: Schema) {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'things.test.example.com' },
    spec: {
      group: 'test.example.com',
      scope: 'Cluster',
      names: { kind: 'Thing', plural: 'things' },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          schema: { openAPIV3Schema: { type: 'object', properties: { spec } } },
        },
      ],
    },
  }
}

const things = '/apis/test.example.com/v1/things'
const thing = (spec: unknown) => ({ apiVersion: 'test.example.com/v1', kind: 'Thing', metadata: { name: 't' }, spec })

describe('a CustomResourceDefinition', () => {
  test('is served at once, is Established, and takes its objects with it', async () => {
    const created = await client.request('POST', crdPath, { body: crd({ type: 'object' }) })
    expect(created.status).toBe(201)
    const stored = await client.request('GET', `${crdPath}/things.test.example.com`)
    const conditions = stored.body.status.conditions.map(
      (each: { type: string; status: string }) => `${each.type}=${each.status}`,
    )
    expect(conditions).toEqual(['NamesAccepted=True', 'Established=True'])
    expect((await client.request('POST', things, { body: thing({}) })).status).toBe(201)
    await client.request('DELETE', `${crdPath}/things.test.example.com`)
    expect((await client.request('GET', things)).status).toBe(404)
  })

  test.each<[string, Schema, string]>([
    [
      'a node without type',
      { type: 'object', properties: { a: {} } },
      'properties[a].type: Required value: must not be empty for specified object fields',
    ],
    ['a list without items', { type: 'array' }, 'items: Required value: must be specified'],
    [
      'unique items',
      { type: 'array', items: { type: 'string' }, uniqueItems: true },
      'uniqueItems cannot be set to true',
    ],
    [
      'properties beside additionalProperties',
      { type: 'object', properties: {}, additionalProperties: { type: 'string' } },
      'mutual exclusive',
    ],
    [
      'a type inside anyOf',
      { type: 'object', anyOf: [{ type: 'object' }] },
      'anyOf[0].type: Forbidden: must be empty to be structural',
    ],
    [
      'a default that does not hold',
      { type: 'object', properties: { a: { type: 'integer', default: 'x' } } },
      'must be of type integer',
    ],
    [
      'a list key that is optional',
      {
        type: 'array',
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['k'],
        items: { type: 'object', properties: { k: { type: 'string' } } },
      },
      'must have a default or be a required property',
    ],
    [
      'a rule that does not parse',
      { type: 'object', 'x-kubernetes-validations': [{ rule: 'self.a ==' }] },
      'compilation failed',
    ],
    [
      'a rule with an unknown variable',
      { type: 'object', 'x-kubernetes-validations': [{ rule: 'other.a == 1' }] },
      'compilation failed',
    ],
  ])('is refused with %s', async (_, spec, message) => {
    const answer = await client.request('POST', crdPath, { body: crd(spec) })
    expect(answer.status).toBe(422)
    expect(answer.body.message).toContain(message)
  })

  test('a rule reaches keywords escaped, times as timestamps, numbers as doubles', async () => {
    const rules = [
      { rule: "self.__namespace__ == 'shop'", message: 'wrong namespace' },
      { rule: "self.at < timestamp('2030-01-01T00:00:00Z')", message: 'too late' },
      { rule: 'self.share * 2.0 <= 1.0', message: 'too much' },
    ]
    const properties: Record<string, Schema> = {
      namespace: { type: 'string' },
      at: { type: 'string', format: 'date-time' },
      share: { type: 'number' },
    }
    await client.request('POST', crdPath, {
      body: crd({ type: 'object', properties, 'x-kubernetes-validations': rules }),
    })
    const good = { namespace: 'shop', at: '2026-01-01T00:00:00Z', share: 0.5 }
    const refused = await client.request('POST', things, {
      body: thing({ ...good, namespace: 'x', at: '2031-01-01T00:00:00Z', share: 1 }),
    })
    expect(refused.body.details.causes.map((each: { message: string }) => each.message.split(': ').at(-1))).toEqual([
      'wrong namespace',
      'too late',
      'too much',
    ])
    expect((await client.request('POST', things, { body: thing(good) })).status).toBe(201)
  })

  test('transition rules follow items of keyed lists, wherever they stand', async () => {
    const items: Schema = {
      type: 'object',
      required: ['name'],
      properties: {
        name: { type: 'string' },
        level: { type: 'integer', 'x-kubernetes-validations': [{ rule: 'self >= oldSelf', message: 'never down' }] },
      },
    }
    const list: Schema = {
      type: 'array',
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['name'],
      items,
    }
    await client.request('POST', crdPath, { body: crd({ type: 'object', properties: { list } }) })
    await client.request('POST', things, {
      body: thing({
        list: [
          { name: 'a', level: 5 },
          { name: 'b', level: 1 },
        ],
      }),
    })
    const change = (list: unknown[]) =>
      client.request('PATCH', `${things}/t`, { body: { spec: { list } }, contentType: mergePatchType })
    expect(
      (
        await change([
          { name: 'b', level: 1 },
          { name: 'a', level: 6 },
        ])
      ).status,
    ).toBe(200)
    const refused = await change([
      { name: 'b', level: 0 },
      { name: 'a', level: 6 },
    ])
    expect(refused.body.details.causes).toMatchObject([
      { field: 'spec.list[0].level', message: expect.stringContaining('never down') },
    ])
  })

  test('shipped in /crds is accepted as it is', async () => {
    const accepted: string[] = []
    const folder = join(import.meta.dirname, '../../../crds')
    for (const file of readdirSync(folder)) {
      const body = parse(readFileSync(join(folder, file), 'utf8'))
      if (body.kind !== 'CustomResourceDefinition') continue
      const answer = await client.request('POST', `${crdPath}?fieldValidation=Strict`, { body })
      expect(answer.body.message ?? '', file).toBe('')
      expect(answer.status).toBe(201)
      accepted.push(body.spec.names.kind)
    }
    expect(accepted).toContain('Rollout')
  })
})
