import * as fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Decision } from '../../src/api/approval.ts'
import { createApprovals } from '../../src/approval/approvals.ts'
import { approvalName, rolloutLabelValue } from '../../src/approval/name.ts'
import { observeApproval, readApproval } from '../../src/approval/object.ts'
import { type ObjectsServer, startObjectsServer } from './objects-server.ts'
import { type Clock, clock, owner, question, readableLog, slackDecision } from './questions.ts'

let server: ObjectsServer
let time: Clock
let approvals: ReturnType<typeof createApprovals>
const key = { namespace: 'shop', name: 'checkout-d1' }

beforeAll(async () => {
  server = await startObjectsServer(() => time.now())
})
afterAll(() => server.stop())
beforeEach(() => {
  server.objects.clear()
  time = clock()
  approvals = createApprovals({ client: server.client, runtime: time, log: readableLog().log })
})

const stored = () => readApproval(server.objects.get('shop/checkout-d1')!)!
const observed = () => observeApproval(server.objects.get('shop/checkout-d1')!, time.now())

describe('names', () => {
  test('the same move has the same name; every name and label is one that Kubernetes takes', () => {
    const rollout = fc.stringMatching(/^[a-z0-9]([-a-z0-9.]{0,250}[a-z0-9])?$/)
    fc.assert(
      fc.property(rollout, fc.string(), (name, digest) => {
        expect(approvalName(name, digest)).toBe(approvalName(name, digest))
        expect(approvalName(name, digest)).toMatch(/^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/)
        expect(rolloutLabelValue(name)).toMatch(/^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?$/)
      }),
    )
    expect(approvalName('checkout', 'sha256:AB12cd34ef56')).toBe('checkout-sha256ab12')
    expect(approvalName('checkout', 'x')).not.toBe(approvalName('checkout', 'y'))
  })
})

describe('asking', () => {
  test('creates one object that the Rollout owns, however often it is asked', async () => {
    await approvals.ask(owner, question())
    await approvals.add(key, slackDecision('U1'))
    const again = await approvals.ask(owner, question({ evidence: ['later'] }))
    expect(again.spec.decisions).toHaveLength(1)
    expect(server.objects.size).toBe(1)
    expect(server.objects.get('shop/checkout-d1')?.metadata).toMatchObject({
      labels: { 'sluice.dev/rollout': 'checkout' },
      ownerReferences: [{ kind: 'Rollout', name: 'checkout', uid: 'rollout-1' }],
    })
    expect(stored().spec).toMatchObject({
      expiresAt: '2026-03-02T13:00:00.000Z',
      evidence: ['success-rate 99.98 % ≥ 99.5 %'],
    })
  })

  test.each(['Void', 'Consumed'] as const)(
    'a question that was closed (%s) is asked anew, without its decisions',
    async (state) => {
      const first = await approvals.ask(owner, question())
      await approvals.add(key, slackDecision('U1'))
      await approvals.close(key, state, 'over')
      const second = await approvals.ask(owner, question())
      expect(second.uid).not.toBe(first.uid)
      expect(second.spec.decisions).toEqual([])
      expect(observed()?.state).toBe('Pending')
    },
  )

  test('an expired question is asked anew', async () => {
    await approvals.ask(owner, question({ onExpiry: 'Hold' }))
    time.advance(3_600_000)
    expect(observed()?.state).toBe('Expired')
    await approvals.ask(owner, question({ onExpiry: 'Hold', expiresAt: time.now() + 1000 }))
    expect(observed()?.state).toBe('Pending')
  })

  test('an answer that has not been heard yet is not asked away', async () => {
    await approvals.ask(owner, question())
    await approvals.add(key, slackDecision('U1', { verdict: 'Reject' }))
    await approvals.ask(owner, question())
    expect(observed()?.state).toBe('Rejected')
    await approvals.record(server.objects.get('shop/checkout-d1')!)
    await approvals.ask(owner, question())
    expect(observed()?.state).toBe('Rejected')
  })

  test('an expiry that rejects is not asked away', async () => {
    await approvals.ask(owner, question({ onExpiry: 'Reject' }))
    time.advance(3_600_000)
    await approvals.ask(owner, question({ onExpiry: 'Reject', expiresAt: time.now() + 1000 }))
    expect(observed()?.state).toBe('Expired')
  })

  test('a question left by a deleted Rollout of the same name is not taken for ours', async () => {
    await approvals.ask({ ...owner, uid: 'rollout-0' }, question())
    await approvals.add(key, slackDecision('U1'))
    expect((await approvals.ask(owner, question())).spec.decisions).toEqual([])
  })
})

describe('deciding', () => {
  test('two people who click at once are both counted, once each', async () => {
    await approvals.ask(owner, question({ required: 2 }))
    const results = await Promise.all([
      approvals.add(key, slackDecision('U1')),
      approvals.add(key, slackDecision('U2')),
      approvals.add(key, slackDecision('U1')),
      approvals.add(key, slackDecision('U2')),
    ])
    expect(results.map((result) => result.kind).sort()).toEqual(['Duplicate', 'Duplicate', 'Recorded', 'Recorded'])
    expect(
      stored()
        .spec.decisions.map((decision) => decision.by)
        .sort(),
    ).toEqual(['slack-user:U1', 'slack-user:U2'])
    expect(observed()).toMatchObject({ state: 'Approved' })
  })

  test('the same click through two replicas is one decision', async () => {
    const other = createApprovals({ client: server.client, runtime: time, log: readableLog().log })
    await approvals.ask(owner, question())
    await Promise.all([approvals.add(key, slackDecision('U1')), other.add(key, slackDecision('U1'))])
    expect(stored().spec.decisions).toHaveLength(1)
  })

  test('many people at once are all counted', async () => {
    const people = Array.from({ length: 12 }, (_, i) => `P${i}`)
    await approvals.ask(owner, question({ required: 12, allowed: people.map((id) => `slack-user:${id}`) }))
    await Promise.all(people.map((id) => approvals.add(key, slackDecision(id))))
    expect(observed()).toMatchObject({ state: 'Approved' })
    expect(observed()?.by).toHaveLength(12)
  })

  test('an answer that was lost on the wire is not repeated', async () => {
    await approvals.ask(owner, question())
    server.dropAnswers = 1
    const result = await approvals.add(key, slackDecision('U1'))
    expect(result.kind).toBe('Duplicate')
    expect(stored().spec.decisions).toHaveLength(1)
  })

  test('a click that is delivered again counts once, also when more is known of the person by then', async () => {
    await approvals.ask(owner, question({ required: 2 }))
    await approvals.add(key, slackDecision('U1'))
    const again = await approvals.add(key, slackDecision('U1', { email: 'sam@example.com' }))
    expect(again.kind).toBe('Duplicate')
    expect(stored().spec.decisions).toHaveLength(1)
  })

  test('an id that somebody else has used already takes nobody’s word away', async () => {
    await approvals.ask(owner, question({ required: 2 }))
    await approvals.add(key, slackDecision('U1', { id: 'click-U2' }))
    const no = slackDecision('U2', { id: 'click-U2', verdict: 'Reject' })
    expect((await approvals.add(key, no)).kind).toBe('Recorded')
    expect(observed()?.state).toBe('Rejected')
  })

  test('whoever changes their mind all the time leaves room for the others’ no', async () => {
    await approvals.ask(owner, question({ required: 2 }))
    const kinds = []
    for (let i = 1; i <= 12; i++) {
      const notBefore = new Date(time.now() + i * 60_000).toISOString()
      kinds.push((await approvals.add(key, slackDecision('U1', { id: `click ${i}`, notBefore }))).kind)
    }
    expect(kinds).toEqual([...Array(10).fill('Recorded'), 'Closed', 'Closed'])
    expect((await approvals.add(key, slackDecision('U2', { verdict: 'Reject' }))).kind).toBe('Recorded')
  })

  test('a person’s second word of the same kind adds nothing; a change of mind to no does', async () => {
    await approvals.ask(owner, question({ required: 2 }))
    await approvals.add(key, slackDecision('U1'))
    expect((await approvals.add(key, slackDecision('U1', { id: 'again' }))).kind).toBe('Duplicate')
    expect((await approvals.add(key, slackDecision('U1', { id: 'no', verdict: 'Reject' }))).kind).toBe('Recorded')
    expect(observed()?.state).toBe('Rejected')
  })

  test.each([
    ['another digest', { digest: 'd0' }, 'Closed'],
    ['somebody not allowed', { by: 'slack-user:U7' }, 'NotAllowed'],
  ])('%s is refused and leaves no trace', async (_, over, kind) => {
    await approvals.ask(owner, question())
    const before = server.objects.get('shop/checkout-d1')
    expect((await approvals.add(key, slackDecision('U1', over))).kind).toBe(kind)
    expect(server.objects.get('shop/checkout-d1')).toBe(before)
  })

  test('a question that is gone, expired, rejected, spent or replaced is closed', async () => {
    expect((await approvals.add(key, slackDecision('U1'))).kind).toBe('Closed')
    const first = await approvals.ask(owner, question())
    await approvals.close(key, 'Consumed', 'moved to 50 %')
    expect(await approvals.add(key, slackDecision('U1'))).toMatchObject({
      kind: 'Closed',
      message: 'This question is closed. moved to 50 %',
    })
    await approvals.ask(owner, question())
    expect((await approvals.add({ ...key, uid: first.uid }, slackDecision('U1'))).kind).toBe('Closed')
    await approvals.add(key, slackDecision('U2', { verdict: 'Reject' }))
    expect((await approvals.add(key, slackDecision('U1'))).kind).toBe('Closed')
    await approvals.close(key, 'Void', 'retried')
    await approvals.ask(owner, question())
    time.advance(3_600_000)
    expect((await approvals.add(key, slackDecision('U1'))).kind).toBe('Closed')
    expect(stored().spec.decisions).toEqual([])
  })

  test('a failing API server is an error, not a decision', async () => {
    await approvals.ask(owner, question())
    server.refuse = { method: 'PATCH', status: 500, times: 1 }
    await expect(approvals.add(key, slackDecision('U1'))).rejects.toMatchObject({ status: 500 })
    expect(stored().spec.decisions).toEqual([])
  })

  test('a refusal by an admission policy is an error, not a retry', async () => {
    await approvals.ask(owner, question())
    const before = server.patches
    server.refuse = { method: 'PATCH', status: 422, times: 1 }
    await expect(approvals.add(key, slackDecision('U1'))).rejects.toMatchObject({ status: 422 })
    expect(server.patches).toBe(before)
  })
})

describe('recording', () => {
  const record = () => approvals.record(server.objects.get('shop/checkout-d1')!)

  test('the status says what the decisions amount to, and is written only when that changes', async () => {
    await approvals.ask(owner, question())
    await approvals.rememberMessage(key, { channel: 'C1', ts: '1.2' })
    await record()
    expect(stored().status).toMatchObject({ state: 'Pending', slack: { channel: 'C1', ts: '1.2' } })
    const version = stored().resourceVersion
    await record()
    expect(stored().resourceVersion).toBe(version)
    await approvals.add(key, slackDecision('U1'))
    await record()
    expect(stored().status).toMatchObject({
      state: 'Approved',
      by: ['slack-user:U1'],
      message: 'Approved by slack-user:U1',
    })
  })

  test('once the expiry is on record, a decision that is dated back moves nothing', async () => {
    await approvals.ask(owner, question())
    time.advance(3_600_000)
    await record()
    const object = structuredClone(server.objects.get('shop/checkout-d1')!)
    object.spec = { ...(object.spec as object), decisions: [slackDecision('U1')] }
    server.objects.set('shop/checkout-d1', object)
    expect(observed()?.state).toBe('Expired')
    await record()
    expect(stored().status.state).toBe('Expired')
  })

  test('a spent or void approval is not there any more for the plan', async () => {
    await approvals.ask(owner, question())
    await approvals.add(key, slackDecision('U1'))
    await approvals.close(key, 'Consumed', 'moved')
    expect(observed()).toBeUndefined()
    await record()
    await approvals.close(key, 'Void', 'too late')
    expect(stored().status).toMatchObject({ state: 'Consumed', message: 'moved', by: ['slack-user:U1'] })
  })

  test('an object that nobody could have asked is not seen', async () => {
    await approvals.ask(owner, question())
    const object = structuredClone(server.objects.get('shop/checkout-d1')!)
    object.spec = { digest: 'd1' }
    expect(observeApproval(object, time.now())).toBeUndefined()
  })

  test('closing what does not exist is done already', async () => {
    await expect(approvals.close(key, 'Void', 'x')).resolves.toBeUndefined()
  })
})

test('the newest ten closed questions of a Rollout are kept, and every open one', async () => {
  for (let i = 0; i < 13; i++) {
    const name = `checkout-${i}`
    await approvals.ask(owner, question({ name, digest: `d${i}` }))
    if (i > 0) await approvals.close({ namespace: 'shop', name }, 'Consumed', 'moved')
    time.advance(1000)
  }
  await approvals.ask({ ...owner, name: 'other' }, question({ name: 'other-1' }))
  // Long names share nothing but a hash in the label: the name in the spec decides.
  const stray = await approvals.ask({ ...owner, name: 'stray' }, question({ name: 'stray-1', expiresAt: 0 }))
  const object = server.objects.get('shop/stray-1')!
  server.objects.set('shop/stray-1', {
    ...object,
    metadata: {
      ...object.metadata,
      labels: { 'sluice.dev/rollout': 'checkout' },
      creationTimestamp: '2000-01-01T00:00:00Z',
    },
  })
  await approvals.prune(owner)
  expect(await approvals.get(stray)).toBeDefined()
  const left = [...server.objects.keys()].map((name) => name.replace('shop/', ''))
  expect(left).not.toContain('checkout-1')
  expect(left).not.toContain('checkout-2')
  expect(left).toContain('checkout-0')
  expect(left).toContain('other-1')
  expect(left).toHaveLength(13)
})

describe('more than yes and no', () => {
  const kubernetes = (user: string, over: Partial<Decision> = {}): Decision => ({
    verdict: 'Approve',
    by: `user:${user}`,
    via: 'kubernetes',
    digest: 'd1',
    at: new Date(time.now()).toISOString(),
    ...over,
  })
  const later = '2026-03-02T18:00:00.000Z'
  const emergency = { override: true, reason: 'the site is down' }

  test('what would change and who has to be among them stand in the question; those may decide too', async () => {
    const change = { to: { revision: 'v2-abc', image: 'shop:2' }, author: 'Sam <sam@example.com>' }
    await approvals.ask(owner, question({ requiredFrom: ['group:security', 'slack-user:U1'], change }))
    expect(stored().spec).toMatchObject({ requiredFrom: ['group:security', 'slack-user:U1'], change })
    expect(stored().spec.allowed).toEqual(['user:dana@example.com', 'slack-user:U1', 'slack-user:U2', 'group:security'])
    expect((await approvals.add(key, kubernetes('sec', { groups: ['security'] }))).kind).toBe('Recorded')
  })

  test('whatever Git says, however long, is asked about, and nobody who is named as an author is cut into somebody else', async () => {
    const long = 'x'.repeat(5_000)
    const authors = ['Ann <ann@example.com>, Lee <lee@example.com>', `${long} <${long}@example.com>`]
    const commits = Array.from({ length: 30 }, () => ({ sha: 'a'.repeat(40), subject: `🚀${long}`, author: long }))
    const change = { to: { revision: 'v2', image: long }, author: long, compareUrl: long, commits }
    const asked = await approvals.ask(owner, question({ authors, change }))
    expect(asked.spec.authors).toEqual([
      'Ann <ann@example.com>',
      'Lee <lee@example.com>',
      'somebody with a very long name',
    ])
    expect(asked.spec.change?.commits).toHaveLength(20)
  })

  test('an approval for later is seen with its time, written once, and may be changed by the same person', async () => {
    await approvals.ask(owner, question())
    expect((await approvals.add(key, kubernetes('dana@example.com', { notBefore: later }))).kind).toBe('Recorded')
    expect(observed()).toMatchObject({ state: 'Approved', notBefore: Date.parse(later) })
    const record = async () => approvals.record(server.objects.get('shop/checkout-d1')!)
    await record()
    expect(stored().status).toMatchObject({ state: 'Approved', notBefore: later })
    const { patches } = server
    await record()
    time.advance(1_800_000)
    await record()
    expect(server.patches).toBe(patches)
    expect((await approvals.add(key, kubernetes('dana@example.com', { notBefore: later }))).kind).toBe('Duplicate')
    expect((await approvals.add(key, kubernetes('dana@example.com'))).kind).toBe('Recorded')
    await record()
    expect(stored().status.state).toBe('Approved')
    expect(stored().status).not.toHaveProperty('notBefore')
    expect(observed()).not.toHaveProperty('notBefore')
  })

  test('an override is taken from somebody who was not asked, also after others have approved for later', async () => {
    await approvals.ask(owner, question())
    await approvals.add(key, kubernetes('dana@example.com', { notBefore: later }))
    expect((await approvals.add(key, kubernetes('emma', emergency))).kind).toBe('Recorded')
    expect(observed()).toMatchObject({ state: 'Approved', by: ['user:emma'], override: 'the site is down' })
    await approvals.record(server.objects.get('shop/checkout-d1')!)
    expect(stored().status.message).toContain('Overridden by user:emma')
    expect((await approvals.add(key, kubernetes('emma', emergency))).kind).toBe('Duplicate')
  })

  test('an override that is none is not even stored', async () => {
    await approvals.ask(owner, question())
    for (const over of [{ override: true }, { ...emergency, notBefore: later }]) {
      expect((await approvals.add(key, kubernetes('emma', over))).kind).toBe('NotAllowed')
    }
    expect((await approvals.add(key, slackDecision('U1', emergency))).kind).toBe('NotAllowed')
    expect(stored().spec.decisions).toEqual([])
  })

  test('an override does not open what is rejected, expired or spent', async () => {
    await approvals.ask(owner, question())
    await approvals.add(key, slackDecision('U1', { verdict: 'Reject' }))
    expect((await approvals.add(key, kubernetes('emma', emergency))).kind).toBe('Closed')
    server.objects.clear()
    await approvals.ask(owner, question())
    time.advance(3_600_000)
    expect((await approvals.add(key, kubernetes('emma', emergency))).kind).toBe('Closed')
  })
})
