import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { KubeObject } from '../../../src/kube/object.ts'
import {
  type ConfigLook,
  configNow,
  digestOf,
  keptDigest,
  slimConfig,
} from '../../../src/workload/deployment/config.ts'
import { type ConfigReference, configReferences } from '../../../src/workload/deployment/config-references.ts'

function configMap(data: Record<string, string>, more: object = {}): KubeObject {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'env', namespace: 'shop', uid: 'u1' }, data, ...more }
}

function secret(values: Record<string, string>, uid = 'u1'): KubeObject {
  const data = Object.fromEntries(
    Object.entries(values).map(([key, value]) => [key, Buffer.from(value).toString('base64')]),
  )
  return { ...configMap(data), kind: 'Secret', metadata: { name: 'env', namespace: 'shop', uid } }
}

const whole: ConfigReference = { kind: 'ConfigMap', name: 'env', required: [] }

function hashOf(object: KubeObject, reference: Partial<ConfigReference> = {}): string {
  const look = (): ConfigLook => ({ state: 'There', digest: digestOf(object) })
  const now = configNow({ look }, 'shop', [{ ...whole, ...reference }])
  if (now.state !== 'Known') throw new Error(JSON.stringify(now))
  return now.config.hash
}

describe('what a template refers to', () => {
  test('is found in envFrom, env and volumes of all containers, each object once', () => {
    const template = {
      spec: {
        initContainers: [{ name: 'init', envFrom: [{ secretRef: { name: 'init-secret', optional: true } }] }],
        containers: [
          {
            name: 'app',
            envFrom: [{ configMapRef: { name: 'env' } }, { prefix: 'X_', secretRef: { name: 'tokens' } }],
            env: [
              { name: 'PLAIN', value: 'x' },
              { name: 'FIELD', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
              { name: 'A', valueFrom: { configMapKeyRef: { name: 'flags', key: 'a' } } },
              { name: 'B', valueFrom: { configMapKeyRef: { name: 'flags', key: 'b', optional: true } } },
              { name: 'T', valueFrom: { secretKeyRef: { name: 'tokens', key: 't' } } },
            ],
          },
          { name: 'sidecar', envFrom: [{ configMapRef: { name: 'env', optional: true } }] },
        ],
        imagePullSecrets: [{ name: 'registry' }],
        volumes: [
          { name: 'scratch', emptyDir: {} },
          { name: 'files', configMap: { name: 'files', items: [{ key: 'a.conf', path: 'a' }] } },
          { name: 'tls', secret: { secretName: 'tls', optional: true } },
          {
            name: 'all',
            projected: {
              sources: [
                { configMap: { name: 'extra' } },
                { secret: { name: 'more', items: [{ key: 'k', path: 'k' }], optional: true } },
                { serviceAccountToken: { path: 'token' } },
              ],
            },
          },
        ],
      },
    }
    expect(configReferences(template)).toEqual([
      { kind: 'ConfigMap', name: 'env', required: [] },
      { kind: 'ConfigMap', name: 'extra', required: [] },
      { kind: 'ConfigMap', name: 'files', keys: ['a.conf'], required: ['a.conf'] },
      { kind: 'ConfigMap', name: 'flags', keys: ['a', 'b'], required: ['a'] },
      { kind: 'Secret', name: 'init-secret' },
      { kind: 'Secret', name: 'more', keys: ['k'] },
      { kind: 'Secret', name: 'tls' },
      { kind: 'Secret', name: 'tokens', required: ['t'] },
    ])
  })

  test.each([undefined, null, 7, {}, { spec: { containers: 'none', volumes: [null, 3] } }])(
    'of %j is nothing',
    (odd) => {
      expect(configReferences(odd)).toEqual([])
    },
  )
})

describe('the hash of configuration', () => {
  const values = fc.dictionary(fc.stringMatching(/^[a-z]{1,4}$/), fc.string(), { maxKeys: 5 })

  test('does not depend on the order of keys, nor on anything but the data', () => {
    fc.assert(
      fc.property(values, (data) => {
        const turned = Object.fromEntries(Object.entries(data).reverse())
        const other = configMap(turned, { metadata: { name: 'env', uid: 'u2', labels: { a: 'b' } }, immutable: true })
        expect(hashOf(other)).toBe(hashOf(configMap(data)))
      }),
    )
  })

  test('changes with every change of the data: a value, a key, one more, one less', () => {
    fc.assert(
      fc.property(values, values, (a, b) => {
        const sorted = (data: object) => JSON.stringify(Object.entries(data).sort())
        expect(hashOf(configMap(a)) === hashOf(configMap(b))).toBe(sorted(a) === sorted(b))
        expect(hashOf(secret(a)) === hashOf(secret(b))).toBe(sorted(a) === sorted(b))
      }),
    )
  })

  test('tells apart what moves from one key into the next', () => {
    expect(hashOf(configMap({ a: 'xy', b: '' }))).not.toBe(hashOf(configMap({ a: 'x', b: 'y' })))
  })

  test('counts binary values as the bytes they are', () => {
    const binary = (bytes: string) => configMap({}, { binaryData: { a: Buffer.from(bytes).toString('base64') } })
    expect(hashOf(binary('x'))).toBe(hashOf(configMap({ a: 'x' })))
    expect(hashOf(binary('x'))).not.toBe(hashOf(binary('y')))
  })

  test('of single keys does not change with others', () => {
    const one = { keys: ['a'], required: ['a'] }
    expect(hashOf(configMap({ a: '1', b: '2' }), one)).toBe(hashOf(configMap({ a: '1', b: '3' }), one))
    expect(hashOf(configMap({ a: '1', b: '2' }), one)).not.toBe(hashOf(configMap({ a: '2', b: '2' }), one))
  })

  test('of a Secret says nothing to somebody who tries out values but may not read the object', () => {
    const pin = secret({ pin: '1234' }, 'a')
    expect(hashOf(pin)).not.toBe(hashOf(secret({ pin: '1234' }, 'b')))
    expect(Object.values(digestOf(pin))).not.toEqual(Object.values(digestOf(configMap({ pin: '1234' }))))
  })

  test('is all that is kept of an object', () => {
    const kept = slimConfig({ ...secret({ password: 'hunter2' }), stringData: { password: 'hunter2' } })
    const text = JSON.stringify(kept)
    expect(text).not.toContain('hunter2')
    expect(text).not.toContain(Buffer.from('hunter2').toString('base64'))
    expect(keptDigest(kept)).toEqual(digestOf(secret({ password: 'hunter2' })))
  })
})

describe('configuration that is not there', () => {
  const absent = { look: (): ConfigLook => ({ state: 'Absent' }) }

  test('counts as missing where it is optional', () => {
    const now = configNow(absent, 'shop', [{ kind: 'ConfigMap', name: 'env' }])
    expect(now).toMatchObject({ state: 'Known', config: { objects: { 'ConfigMap/env': 'absent' } } })
  })

  test.each<[string, ConfigLook, string, boolean]>([
    ['an object', { state: 'Absent' }, 'ConfigMap/env', false],
    ['a key', { state: 'There', digest: { b: 'x' } }, 'a key a in ConfigMap/env', false],
    ['an answer', { state: 'Unread' }, 'ConfigMap/env has not been read yet', true],
  ])('is waited for where it is needed: %s', (_, look, words, unread) => {
    const now = configNow({ look: () => look }, 'shop', [{ ...whole, keys: ['a'], required: ['a'] }])
    expect(now).toMatchObject({ state: 'Waits', waits: expect.stringContaining(words), unread })
  })
})
