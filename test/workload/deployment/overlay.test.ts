import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { labelValue, ownLabels } from '../../../src/workload/deployment/names.ts'
import { canaryPods } from '../../../src/workload/deployment/overlay.ts'
import { hasAll, selects } from '../../../src/workload/deployment/selector.ts'
import { deployment, template } from './objects.ts'

describe('the canary’s pods', () => {
  test('are the Deployment’s with other labels, and nothing else changed', () => {
    const user = deployment('2.0.0', { spec: { template: template('2.0.0', { annotations: { note: 'x' } }) } })
    const before = structuredClone(user)
    const { template: pods, selector, labels } = canaryPods(user, { track: 'canary' })
    expect(labels).toEqual({ app: 'checkout', track: 'canary', 'sluice.dev/canary': 'checkout' })
    expect(pods).toEqual({
      metadata: { labels, annotations: { note: 'x' } },
      spec: template('2.0.0').spec,
    })
    expect(selector).toEqual({ matchLabels: { track: 'canary', 'sluice.dev/canary': 'checkout' } })
    expect(user).toEqual(before)
  })

  test('are always selected by their own Deployment, and the user’s pods never are', () => {
    const labels = fc.dictionary(fc.constantFrom('app', 'track', 'tier'), fc.constantFrom('a', 'b', ''))
    fc.assert(
      fc.property(labels, labels, (own, destination) => {
        const user = deployment('1.0.0', { spec: { template: template('1.0.0', { labels: own }) } })
        const made = canaryPods(user, destination)
        expect(selects(made.selector, made.labels)).toBe(true)
        expect(selects(made.selector, own)).toBe(false)
        expect(hasAll(made.labels, destination)).toBe(true)
      }),
    )
  })
})

describe('names as labels', () => {
  test('are kept where they fit, and cut where they do not, each to its own', () => {
    expect(ownLabels('checkout', 'release')).toEqual({
      'sluice.dev/canary-of': 'checkout',
      'sluice.dev/rollout-name': 'release',
      'app.kubernetes.io/managed-by': 'sluice',
    })
    const [long, longer] = ['x'.repeat(100), 'x'.repeat(101)]
    expect(labelValue('x'.repeat(63))).toBe('x'.repeat(63))
    expect(labelValue(long)).toMatch(/^x{52}-[0-9a-f]{10}$/)
    expect(labelValue(long)).not.toBe(labelValue(longer))
  })
})

describe('a selector', () => {
  const labels = { app: 'checkout', track: 'stable' }
  const expression = (key: string, operator: string, values?: string[]) => ({
    matchExpressions: [{ key, operator, ...(values ? { values } : {}) }],
  })
  test.each<[unknown, boolean]>([
    [undefined, false],
    [{}, true],
    [{ matchLabels: { app: 'checkout' } }, true],
    [{ matchLabels: { app: 'other' } }, false],
    [expression('track', 'In', ['stable', 'x']), true],
    [expression('track', 'In', ['x']), false],
    [expression('tier', 'In', ['x']), false],
    [expression('track', 'NotIn', ['canary']), true],
    [expression('track', 'NotIn', ['stable']), false],
    [expression('tier', 'NotIn', ['x']), true],
    [expression('track', 'Exists'), true],
    [expression('tier', 'Exists'), false],
    [expression('tier', 'DoesNotExist'), true],
    [expression('track', 'DoesNotExist'), false],
    [expression('track', 'Gt', ['1']), false],
    [{ matchLabels: { app: 'checkout' }, ...expression('track', 'In', ['canary']) }, false],
  ])('%j selects: %s', (selector, expected) => expect(selects(selector, labels)).toBe(expected))
})
