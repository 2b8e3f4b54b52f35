import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { mergeConfig } from '../../../src/sandbox/apiserver/apply-patch.ts'
import { compare, fieldsOf } from '../../../src/sandbox/apiserver/field-compare.ts'
import {
  difference,
  equalSets,
  fromFieldsV1,
  intersection,
  isEmpty,
  paths,
  toFieldsV1,
  union,
} from '../../../src/sandbox/apiserver/field-set.ts'
import type { Schema } from '../../../src/sandbox/apiserver/schema.ts'

const schema: Schema = {
  type: 'object',
  properties: {
    count: { type: 'integer' },
    labels: { type: 'object', additionalProperties: { type: 'string' } },
    whole: { type: 'array', items: { type: 'integer' } },
    tags: { type: 'array', 'x-kubernetes-list-type': 'set', items: { type: 'string' } },
    parts: {
      type: 'array',
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['name'],
      items: { type: 'object', properties: { name: { type: 'string' }, size: { type: 'integer' } } },
    },
  },
}

const name = fc.constantFrom('a', 'b', 'c')
// Empty maps and lists are left out: one names itself, and stops doing so when something is merged into it.
const object = fc.record(
  {
    count: fc.nat(3),
    labels: fc.dictionary(name, fc.constantFrom('x', 'y'), { minKeys: 1 }),
    whole: fc.array(fc.nat(3), { minLength: 1, maxLength: 3 }),
    tags: fc.uniqueArray(name, { minLength: 1 }),
    parts: fc.uniqueArray(fc.record({ name, size: fc.nat(3) }, { requiredKeys: ['name'] }), {
      minLength: 1,
      selector: (part) => part.name,
    }),
  },
  { requiredKeys: [] },
)
const set = object.map((value) => fieldsOf(value, schema))

describe('field sets', () => {
  test('survive being written as FieldsV1', () => {
    fc.assert(fc.property(set, (a) => equalSets(fromFieldsV1(toFieldsV1(a)), a)))
  })

  test('are sets', () => {
    fc.assert(
      fc.property(set, set, (a, b) => {
        expect(isEmpty(difference(a, a))).toBe(true)
        expect(equalSets(union(a, b), union(b, a))).toBe(true)
        expect(equalSets(union(difference(a, b), intersection(a, b)), a)).toBe(true)
        expect(isEmpty(intersection(difference(a, b), b))).toBe(true)
      }),
    )
  })

  test('print as Kubernetes prints conflicts', () => {
    const value = { labels: { a: 'x' }, tags: ['b'], parts: [{ name: 'c', size: 1 }], whole: [1] }
    expect(paths(fieldsOf(value, schema))).toEqual([
      '.labels.a',
      '.parts[name="c"]',
      '.parts[name="c"].name',
      '.parts[name="c"].size',
      '.tags[="b"]',
      '.whole',
    ])
  })
})

describe('merging a configuration', () => {
  test('leaves every field it names as it says, and all others alone', () => {
    fc.assert(
      fc.property(object, object, (live, config) => {
        const merged = mergeConfig(live, config, schema)
        const again = mergeConfig(merged, config, schema)
        expect(again).toEqual(merged)
        // Nothing the configuration names differs from the merged object, and nothing live is lost.
        const named = fieldsOf(config, schema)
        expect(
          isEmpty(intersection(named, compare(merged, mergeConfig(merged, config, schema), schema, false).written)),
        ).toBe(true)
        expect(isEmpty(difference(fieldsOf(live, schema), union(fieldsOf(merged, schema), named)))).toBe(true)
      }),
    )
  })

  test('writes nothing when nothing changes', () => {
    fc.assert(
      fc.property(object, (value) => {
        const { written, removed } = compare(value, structuredClone(value), schema, false)
        expect(isEmpty(written) && isEmpty(removed)).toBe(true)
      }),
    )
  })
})
