import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { humanDuration } from '../../../src/sandbox/apiserver/duration.ts'
import { jsonPatch } from '../../../src/sandbox/apiserver/json-patch.ts'
import { parseLabelSelector } from '../../../src/sandbox/apiserver/label-selector.ts'
import { mergePatch } from '../../../src/sandbox/apiserver/merge-patch.ts'
import { quantityValue } from '../../../src/sandbox/apiserver/quantity.ts'
import type { Schema } from '../../../src/sandbox/apiserver/schema.ts'
import { strategicPatch } from '../../../src/sandbox/apiserver/strategic-patch.ts'

describe('JSON patch', () => {
  test.each<[string, unknown, unknown[], unknown]>([
    ['adds a field', { a: 1 }, [{ op: 'add', path: '/b', value: 2 }], { a: 1, b: 2 }],
    ['inserts into a list', [1, 3], [{ op: 'add', path: '/1', value: 2 }], [1, 2, 3]],
    ['appends with -', [1], [{ op: 'add', path: '/-', value: 2 }], [1, 2]],
    ['replaces an item', { l: [{ w: 1 }] }, [{ op: 'replace', path: '/l/0/w', value: 2 }], { l: [{ w: 2 }] }],
    ['adds the field that is to be replaced', { a: 1 }, [{ op: 'replace', path: '/b', value: 2 }], { a: 1, b: 2 }],
    ['counts from the end', [1, 2, 3], [{ op: 'remove', path: '/-1' }], [1, 2]],
    ['removes', { a: 1, b: 2 }, [{ op: 'remove', path: '/a' }], { b: 2 }],
    ['moves', { a: 1 }, [{ op: 'move', from: '/a', path: '/b' }], { b: 1 }],
    ['copies', { a: { x: 1 } }, [{ op: 'copy', from: '/a', path: '/b' }], { a: { x: 1 }, b: { x: 1 } }],
    ['unescapes names', { 'a/b': { '~': 1 } }, [{ op: 'replace', path: '/a~1b/~0', value: 2 }], { 'a/b': { '~': 2 } }],
    ['tests deeply', { a: [{ b: 1 }] }, [{ op: 'test', path: '/a', value: [{ b: 1 }] }], { a: [{ b: 1 }] }],
    ['tests for absence with null', { a: 1 }, [{ op: 'test', path: '/b', value: null }], { a: 1 }],
  ])('%s', (_, document, operations, expected) => {
    expect(jsonPatch(document, operations)).toEqual(expected)
  })

  test.each([
    [{ op: 'test', path: '/a', value: 2 }],
    [{ op: 'replace', path: '/x/y', value: 1 }],
    [{ op: 'replace', path: '', value: {} }],
    [{ op: 'remove', path: '/x' }],
    [{ op: 'add', path: '/x/y', value: 1 }],
    [{ op: 'replace', path: '/l/5', value: 1 }],
    [{ op: 'frobnicate', path: '/a' }],
  ])('%j fails and leaves the document alone', (operation) => {
    const document = { a: 1, l: [] }
    expect(() => jsonPatch(document, [{ op: 'add', path: '/b', value: 1 }, operation])).toThrow(
      'the server rejected our request',
    )
    expect(document).toEqual({ a: 1, l: [] })
  })
})

test('a merge patch applied twice is the same as once', () => {
  const object = fc.dictionary(
    fc.constantFrom('a', 'b', 'c'),
    fc.oneof(fc.nat(3), fc.constant(null), fc.dictionary(fc.constantFrom('x', 'y'), fc.nat(3))),
  )
  const metadata = { name: 'n' }
  fc.assert(
    fc.property(object, object, (before, patch) => {
      const once = mergePatch({ apiVersion: 'v1', kind: 'K', metadata, spec: before }, { spec: patch })
      expect(mergePatch(once, { spec: patch })).toEqual(once)
    }),
  )
})

describe('strategic merge patch', () => {
  const merged: Partial<Schema> = { 'x-kubernetes-patch-strategy': 'merge' }
  const schema: Schema = {
    type: 'object',
    properties: {
      keyed: { type: 'array', ...merged, 'x-kubernetes-patch-merge-key': 'name', items: { type: 'object' } },
      words: { type: 'array', ...merged, items: { type: 'string' } },
      plain: { type: 'array', items: { type: 'string' } },
      volume: { type: 'object' },
    },
  }
  const before = {
    keyed: [{ name: 'a', v: 1, w: 1 }, { name: 'b' }],
    words: ['x', 'y'],
    plain: ['p'],
    volume: { kind: 'old', size: 1 },
  }

  test.each<[string, Record<string, unknown>, Record<string, unknown>]>([
    ['merges items by key', { keyed: [{ name: 'a', v: 2 }] }, { keyed: [{ name: 'a', v: 2, w: 1 }, { name: 'b' }] }],
    ['deletes an item', { keyed: [{ name: 'a', $patch: 'delete' }] }, { keyed: [{ name: 'b' }] }],
    ['replaces the list', { keyed: [{ name: 'c' }, { $patch: 'replace' }] }, { keyed: [{ name: 'c' }] }],
    [
      'orders items',
      { '$setElementOrder/keyed': [{ name: 'b' }, { name: 'a' }] },
      { keyed: [{ name: 'b' }, { name: 'a', v: 1, w: 1 }] },
    ],
    ['unites lists of words', { words: ['y', 'z'] }, { words: ['x', 'y', 'z'] }],
    ['takes words out', { '$deleteFromPrimitiveList/words': ['x'] }, { words: ['y'] }],
    ['replaces lists without strategy', { plain: ['q'] }, { plain: ['q'] }],
    ['keeps only the keys retained', { volume: { $retainKeys: ['kind'], kind: 'new' } }, { volume: { kind: 'new' } }],
    ['replaces a map', { volume: { $patch: 'replace', other: 1 } }, { volume: { other: 1 } }],
    ['removes with null', { volume: null }, {}],
  ])('%s', (_, patch, expected) => {
    const result = strategicPatch(before, patch, schema)
    const touched = Object.keys(patch).map((name) => name.split('/').at(-1) ?? '')
    expect(Object.fromEntries(Object.entries(result).filter(([name]) => touched.includes(name)))).toEqual(expected)
    const untouched = Object.keys(before).filter((name) => !touched.includes(name))
    expect(untouched.every((name) => name in result)).toBe(true)
  })
})

test.each([
  ['a=b', { a: 'b' }, true],
  ['a==b,c!=d', { a: 'b', c: 'e' }, true],
  ['a in (b,c)', { a: 'd' }, false],
  ['a notin (b)', {}, true],
  ['!a', { a: '' }, false],
  ['example.com/a', { 'example.com/a': '' }, true],
])('the label selector %s on %j is %s', (selector, labels, expected) => {
  expect(parseLabelSelector(selector)(labels)).toBe(expected)
})

test('a label selector that cannot be read is refused', () => {
  expect(() => parseLabelSelector('a in b')).toThrow('unable to parse requirement')
})

test.each([
  [0, '0s'],
  [119_000, '119s'],
  [120_000, '2m'],
  [201_000, '3m21s'],
  [11 * 60_000, '11m'],
  [3 * 3_600_000 + 60_000, '3h1m'],
  [30 * 3_600_000, '30h'],
  [3 * 86_400_000, '3d'],
  [400 * 86_400_000, '400d'],
])('%i ms are printed as %s', (milliseconds, text) => {
  expect(humanDuration(milliseconds)).toBe(text)
})

test.each([
  ['500m', 0.5],
  ['1Gi', 2 ** 30],
  ['1e3', 1000],
  ['.5', 0.5],
  ['1Q', Number.NaN],
])('the quantity %s is %d', (text, value) => {
  expect(quantityValue(text)).toBe(value)
})
