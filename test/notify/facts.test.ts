import { expect, test } from 'vitest'
import type { KubeObject } from '../../src/kube/object.ts'
import { notificationOf } from '../../src/notify/facts.ts'
import type { Effect, Plan } from '../../src/plan/effects.ts'
import { question } from '../approval/questions.ts'

const rollout: KubeObject = {
  apiVersion: 'sluice.dev/v1alpha1',
  kind: 'Rollout',
  metadata: { namespace: 'shop', name: 'checkout', uid: 'u1', resourceVersion: '7' },
}
const at = '2026-03-02T12:00:00.000Z'
const plan = (effects: Effect[], status: Plan['status'] = {}): Plan => ({
  status,
  fallback: {},
  effects,
  measuring: true,
})
const asked = { kind: 'notify', topic: 'approval', message: 'may it?' } as const
const tell = (effect: typeof asked | (Omit<typeof asked, 'topic'> & { topic: 'override' | 'step' }), given: Plan) =>
  notificationOf(rollout, effect, given, Date.parse(at)).facts

test('a question says all that is needed to answer it, and where a key holder may', () => {
  const approval = question({ allowed: ['user:dana@example.com'] })
  const facts = tell(asked, plan([{ kind: 'askApproval', approval }, asked]))
  expect(facts?.approval).toEqual({
    name: 'checkout-d1',
    digest: 'd1',
    step: 2,
    required: 1,
    from: ['user:dana@example.com'],
    expiresAt: '2026-03-02T13:00:00.000Z',
  })
  const withKey = question({ allowed: ['webhook:ci'] })
  expect(tell(asked, plan([{ kind: 'askApproval', approval: withKey }]))?.approval?.respondTo).toBe(
    '/hooks/approvals/shop/checkout-d1',
  )
})

test('an emergency names the question that it went past, and a step names none', () => {
  const status: Plan['status'] = {
    approval: { name: 'checkout-d1', digest: 'd1', step: 2, state: 'Approved', since: at },
    step: { index: 1, weight: 50, since: at },
    stepSummary: '1/3',
  }
  expect(tell({ ...asked, topic: 'override' }, plan([], status))?.approval).toEqual({
    name: 'checkout-d1',
    digest: 'd1',
    step: 2,
  })
  const step = tell({ ...asked, topic: 'step' }, plan([], status))
  expect(step).toMatchObject({ uid: 'u1', step: { index: 1, of: 3 }, weight: { from: 50, to: 50 } })
  expect(step?.approval).toBeUndefined()
})
