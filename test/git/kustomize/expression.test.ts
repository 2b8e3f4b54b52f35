import fc from 'fast-check'
import { expect, test } from 'vitest'
import { build } from '../../../src/git/kustomize/build.ts'
import { isShort, isTame } from '../../../src/git/kustomize/expression.ts'

test.each([
  'checkout',
  'ghcr.io/acme/web',
  '.*',
  'app-.*',
  '.*-canary',
  '(web|api)',
  'Deployment|StatefulSet',
  'web(-eu)?',
  '[a-z]+',
  'a\\.b.*',
])('the expression %s is run', (expression) => expect(isTame(expression)).toBe(true))

test.each([
  '(a+)+b',
  '(a|a)*b',
  '(a*)*',
  '(a|aa)+$',
  '.*.*.*b',
  '(?:a+)+b',
  '[^](a+)+b]',
  '(?=a+)+',
  'a'.repeat(600),
  '(a|a)(a|a)(a|a)',
])('the expression %s is not', (expression) => expect(isTame(expression)).toBe(false))

test('whatever is run comes to its end', () => {
  const part = fc.constantFrom('a', 'b', '.', '*', '+', '?', '(', ')', '|', '[', ']', '^', '{1,9}', '(?:', '\\w', '-')
  const value = `${'a'.repeat(510)}!`
  expect(isShort(value)).toBe(true)
  fc.assert(
    fc.property(fc.array(part, { maxLength: 14 }), (parts) => {
      const expression = parts.join('')
      if (!isTame(expression)) return
      let compiled: RegExp | undefined
      try {
        compiled = new RegExp(`^(?:${expression})$`)
      } catch {
        return
      }
      compiled.test(value)
    }),
    { numRuns: 3_000 },
  )
})

const name = 'a'.repeat(60)
const deployment = `apiVersion: apps/v1
kind: Deployment
metadata: { name: ${name} }
spec: { template: { spec: { containers: [{ name: web, image: ${name} }] } } }
`

test.each([
  ['a patch', `patches: [{ target: { name: '(a+)+!' }, patch: 'metadata: { labels: { a: b } }' }]`, 'too intricate'],
  ['an image', `images: [{ name: '(a+)+!', newTag: v2 }]`, 'too intricate'],
])('a kustomization cannot keep everybody waiting with %s, and is refused with the reason', async (_, field, why) => {
  const files: Record<string, string> = {
    'eu/kustomization.yaml': `resources: [d.yaml]\n${field}\n`,
    'eu/d.yaml': deployment,
  }
  const read = async (path: string) => (path in files ? Buffer.from(files[path]!) : undefined)
  const { objects, problems } = await build(read, 'eu', [{ group: 'apps', kind: 'Deployment' }])
  expect(JSON.stringify([problems, objects.map(({ obstacle }) => obstacle)])).toContain(why)
})
