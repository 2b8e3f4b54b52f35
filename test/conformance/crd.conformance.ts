import { describe, expect, test } from 'vitest'
import type { RawClient } from './apiserver.client.ts'

const crds = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
const object = (properties: object, more: object = {}) => ({ type: 'object', properties, ...more })
const rule = (text: string, more: object = {}) => ({ 'x-kubernetes-validations': [{ rule: text, ...more }] })

/** Which CustomResourceDefinitions an API server refuses, and in what words. */
export function crdConformance(connected: () => RawClient): void {
  const stored = (x: object) =>
    connected().request('POST', `${crds}?dryRun=All`, {
      body: {
        apiVersion: 'apiextensions.k8s.io/v1',
        kind: 'CustomResourceDefinition',
        metadata: { name: 'things.refused.example.com' },
        spec: {
          group: 'refused.example.com',
          scope: 'Cluster',
          names: { kind: 'Thing', plural: 'things' },
          versions: [
            {
              name: 'v1',
              served: true,
              storage: true,
              schema: { openAPIV3Schema: object({ spec: object({ x }) }) },
            },
          ],
        },
      },
    })
  const at = 'spec.validation.openAPIV3Schema.properties[spec].properties[x]'

  describe('custom resource definitions', () => {
    test.each<[string, object, string]>([
      ['a default of another type', { type: 'string', default: 5 }, `${at}.default: Invalid value: "integer"`],
      ['a default out of bounds', { type: 'integer', minimum: 6, default: 5 }, `${at}.default: Invalid value: 5:`],
      ['a default its own rule refuses', { type: 'integer', default: 5, ...rule('self < 3') }, `${at}.default: `],
      [
        'a default whose rule needs a default inside it',
        object(
          { a: { type: 'string', default: 'b' } },
          { default: {}, ...rule("self.a == 'b'", { message: 'must be b' }) },
        ),
        `${at}.default: Invalid value: "object": no such key: a evaluating rule: must be b`,
      ],
      [
        'a default without what is required',
        object({ a: { type: 'string' } }, { default: {}, required: ['a'] }),
        `${at}.default.a: Required value`,
      ],
      [
        'a default with fields nobody knows',
        object({ a: { type: 'string' } }, { default: { b: 1 } }),
        `${at}.default: Invalid value: {"b":1}: must not have unknown fields`,
      ],
      ['no type', {}, `${at}.type: Required value: must not be empty for specified object fields`],
      ['an unheard-of type', { type: 'text' }, `${at}.type: Unsupported value: "text"`],
      [
        'a rule that is no CEL',
        { type: 'string', ...rule('self.foo(') },
        `${at}.x-kubernetes-validations[0].rule: Invalid`,
      ],
      [
        'a rule with an unknown name',
        { type: 'string', ...rule('foo == 1') },
        `${at}.x-kubernetes-validations[0].rule: Invalid`,
      ],
      [
        'a message of two lines',
        { type: 'string', ...rule('self == self', { message: 'a\nb' }) },
        `${at}.x-kubernetes-validations[0].message: Invalid value: "a\\nb": must not contain line breaks`,
      ],
      [
        'a pattern that is none',
        { type: 'string', pattern: '(' },
        `${at}.pattern: Invalid value: "(": must be a valid regular`,
      ],
      [
        'a pattern that looks ahead',
        { type: 'string', pattern: '^(?!a)' },
        `${at}.pattern: Invalid value: "^(?!a)": must be`,
      ],
      ['a list of nothing', { type: 'array' }, `${at}.items: Required value: must be specified`],
      [
        'a keyed list whose key may be missing',
        {
          type: 'array',
          'x-kubernetes-list-type': 'map',
          'x-kubernetes-list-map-keys': ['k'],
          items: object({ k: { type: 'string' } }),
        },
        `${at}.items.properties[k].default: Required value`,
      ],
      [
        'a set of maps',
        { type: 'array', 'x-kubernetes-list-type': 'set', items: object({ a: { type: 'string' } }) },
        `${at}.items.x-kubernetes-map-type: Invalid value: null: must be atomic`,
      ],
    ])('with %s are refused', async (_, schema, message) => {
      const answer = await stored(schema)
      expect(answer.status).toBe(422)
      expect(answer.body.message).toContain(message)
    })

    test('with sound defaults and rules are taken', async () => {
      const answer = await stored(
        object(
          { a: { type: 'string', maxLength: 5, default: 'b', pattern: '^[a-z]+$', ...rule("self != 'x'") } },
          { default: { a: 'c' }, ...rule("has(self.a) && self.a != 'y'") },
        ),
      )
      expect(answer.body.message ?? '').toBe('')
    })
  })
}
