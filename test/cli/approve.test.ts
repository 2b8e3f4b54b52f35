import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { ApprovalSpec, ApprovalStatus, Decision } from '../../src/api/approval.ts'
import { approval, canaryRevision, rollout, statuses } from './fixtures.ts'
import { approvalsRef, createWorld, type World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await createWorld()
})
afterAll(() => world.stop())
beforeEach(() => {
  world.put(rollout('checkout', statuses.AwaitingApproval))
  for (const { metadata } of world.server.storage.list(approvalsRef, { namespace: 'shop' }))
    world.server.storage.remove(approvalsRef, { namespace: 'shop', name: metadata.name })
})

function ask(over: Partial<ApprovalSpec> = {}, status?: ApprovalStatus, name = 'checkout-d1'): void {
  const expiresAt = new Date(Date.now() + 3_600_000).toISOString()
  const created = world.server.storage.create(approvalsRef, approval({ expiresAt, ...over }, name))
  if (status) world.server.storage.updateStatus(approvalsRef, { ...structuredClone(created), status })
}

function decisions(name = 'checkout-d1'): Decision[] {
  const spec = world.server.storage.get(approvalsRef, { namespace: 'shop', name })?.spec as ApprovalSpec | undefined
  return spec?.decisions ?? []
}

test('an approval shows what is approved and is recorded as the user of the kubeconfig, for that very move', async () => {
  ask()
  const kim = await world.sluice(['approve', 'shop/checkout', '--reason', 'looks fine'], { user: 'kim' })
  expect(kim).toMatchObject({ code: 0, err: '' })
  expect(kim.out).toContain(`10% → 50% of the traffic to ${canaryRevision} (step 2 of 3)`)
  expect(kim.out).toContain('success-rate: Pass, 99.97 % against 99.5 %')
  expect(kim.out).toContain(
    'Yes recorded for user:kim. Waits for user:dana@example.com or group:release: 1 of 2 approvals',
  )
  expect(decisions()).toMatchObject([
    { verdict: 'Approve', by: 'user:kim', groups: ['release'], via: 'kubernetes', digest: 'd1', reason: 'looks fine' },
  ])
  const dana = await world.sluice(['approve', 'shop/checkout'], { user: 'dana@example.com' })
  expect(dana.out).toContain('Approved by user:kim, user:dana@example.com')
})

test('a rejection is recorded with its reason', async () => {
  ask()
  const said = await world.sluice(['reject', 'shop/checkout', '--reason', 'not on a Friday'], { user: 'kim' })
  expect(said.out).toContain('No recorded for user:kim. Rejected by user:kim: not on a Friday.')
  expect(decisions()).toMatchObject([{ verdict: 'Reject', reason: 'not on a Friday' }])
})

test('somebody who is not named may not decide, and is told who may', async () => {
  ask()
  const said = await world.sluice(['approve', 'shop/checkout'], { user: 'lee' })
  expect(said.code).toBe(1)
  expect(said.err).toBe(
    'sluice: user:lee is not named in approval.from (user:dana@example.com, group:release). Ask somebody who is named in approval.from.\n',
  )
  expect(decisions()).toEqual([])
})

test('where nothing is asked, it says what the Rollout does instead', async () => {
  world.put(rollout('checkout', statuses.Progressing))
  const said = await world.sluice(['approve', 'shop/checkout'], { user: 'kim' })
  expect(said).toMatchObject({ code: 1, out: '' })
  expect(said.err).toContain('shop/checkout asks for no approval (Progressing: holds at 10%')
})

test('a question that expired, was rejected or was spent is closed, and says how', async () => {
  ask({ expiresAt: new Date(Date.now() - 1000).toISOString() })
  const expired = await world.sluice(['approve', 'shop/checkout'], { user: 'kim' })
  expect(expired).toMatchObject({ code: 1, err: expect.stringMatching(/its last question is closed: Expired at/) })
  ask({ digest: 'd2' }, { state: 'Rejected', message: 'Rejected by user:lee', by: ['user:lee'] }, 'checkout-d2')
  const rejected = await world.sluice(['approve', 'shop/checkout', '--approval', 'checkout-d2'], { user: 'kim' })
  expect(rejected.err).toContain('the question checkout-d2 of shop/checkout is closed: Rejected by user:lee')
  expect(decisions('checkout-d2')).toEqual([])
})

test('the same word twice is told to be there already', async () => {
  ask()
  await world.sluice(['approve', 'shop/checkout'], { user: 'kim' })
  const again = await world.sluice(['approve', 'shop/checkout'], { user: 'kim' })
  expect(again).toMatchObject({ code: 1, err: expect.stringContaining('user:kim said so already') })
  expect(decisions()).toHaveLength(1)
})

test('a digest of another move is refused', async () => {
  ask()
  const said = await world.sluice(['approve', 'shop/checkout', '--digest', 'd0'], { user: 'kim' })
  expect(said).toMatchObject({ code: 1, err: expect.stringContaining('asks about another move (digest d1, not d0)') })
  expect(decisions()).toEqual([])
  expect((await world.sluice(['approve', 'shop/checkout', '--digest', 'd1'], { user: 'kim' })).code).toBe(0)
})

test('of several open questions the one that the Rollout waits for is meant, otherwise it has to be named', async () => {
  ask()
  ask({ digest: 'd2' }, undefined, 'checkout-d2')
  expect((await world.sluice(['approve', 'shop/checkout'], { user: 'kim' })).code).toBe(0)
  expect([decisions(), decisions('checkout-d2')]).toMatchObject([[{ by: 'user:kim' }], []])
  world.put(rollout('checkout', statuses.Progressing))
  const unclear = await world.sluice(['approve', 'shop/checkout'], { user: 'dana@example.com' })
  expect(unclear.err).toContain('name one with --approval; open are: ')
  const named = await world.sluice(['approve', 'shop/checkout', '--approval', 'checkout-d2'], { user: 'kim' })
  expect(named.code).toBe(0)
  expect(decisions('checkout-d2')).toHaveLength(1)
})

test('a question of another Rollout is not answered, whatever its label says', async () => {
  world.put(rollout('checkout', statuses.Progressing))
  ask({ rollout: 'checkout-v2' })
  expect((await world.sluice(['approve', 'shop/checkout'], { user: 'kim' })).err).toContain('asks for no approval')
})

test('the question shows what would change, who has to be among the approvers, and what is missing', async () => {
  ask({
    requiredFrom: ['group:release'],
    change: {
      from: { revision: 'v1-a', image: 'shop:1.9' },
      to: { revision: 'v2-b', image: 'shop:2.0' },
      author: 'Sam <sam@example.com>',
      compareUrl: 'https://git.example.com/shop/compare/1...2',
      commits: [{ sha: '0123456789abcdef', subject: 'Faster\u001b[31m checkout', author: 'Sam' }],
      commitCount: 7,
    },
  })
  const said = await world.sluice(['approve', 'shop/checkout'], { user: 'dana@example.com' })
  for (const text of [
    'image shop:1.9 → shop:2.0',
    'brought by Sam <sam@example.com>',
    '01234567 Faster',
    'and 6 more commits',
    'https://git.example.com/shop/compare/1...2',
    'among them: group:release',
    'Yes recorded for user:dana@example.com. Waits for',
    'group:release has to be among them',
  ])
    expect(said.out).toContain(text)
  expect(said.out).not.toContain('\u001b')
})

test('an approval for later says when, and may be given anew for another time or for now', async () => {
  ask({ required: 1 })
  const at = new Date(Date.now() + 7_200_000).toISOString()
  const said = await world.sluice(['approve', 'shop/checkout', '--at', at], { user: 'kim' })
  expect(said.out).toContain(`Approved by user:kim, not to be moved before ${at}.`)
  expect((await world.sluice(['approve', 'shop/checkout', '--at', at], { user: 'kim' })).err).toContain(
    'said so already',
  )
  const sooner = await world.sluice(['approve', 'shop/checkout', '--in', '30m'], { user: 'kim' })
  expect(sooner.out).toContain(`approved for later: not before ${at}, in 119m`)
  expect(Date.parse(decisions()[1]?.notBefore ?? '')).toBeLessThan(Date.parse(at))
  const now = await world.sluice(['approve', 'shop/checkout', '-o', 'json'], { user: 'kim' })
  expect(JSON.parse(now.out)).toMatchObject({
    namespace: 'shop',
    rollout: 'checkout',
    approval: 'checkout-d1',
    question: { digest: 'd1', from: 10, to: 50 },
    decision: { verdict: 'Approve', by: 'user:kim' },
    state: 'Approved',
    by: ['user:kim'],
    missing: [],
  })
  expect(JSON.parse(now.out)).not.toHaveProperty('notBefore')
})

test.each([
  ['a time that is over', ['--at', '2020-01-01T00:00:00Z'], 'already'],
  ['a time without a zone', ['--at', '2099-01-01T00:00:00'], 'Give a time with its zone'],
  ['a duration that is none', ['--in', 'soon'], 'Give a duration'],
  ['two times', ['--in', '1h', '--at', '2099-01-01T00:00:00Z'], 'cannot be used with'],
  ['an emergency for later', ['--in', '1h', '--emergency', '--reason', 'x'], 'cannot be used with'],
  ['an emergency without a reason', ['--emergency'], "needs '--reason <text>'"],
])('%s is refused before anything is asked', async (_, words, message) => {
  ask()
  const said = await world.sluice(['approve', 'shop/checkout', ...words], { user: 'kim' })
  expect(said).toMatchObject({ code: 2, out: '', err: expect.stringContaining(message) })
  expect(decisions()).toEqual([])
})

test('an override counts alone, whoever was asked, and is told', async () => {
  ask({ required: 2 })
  const words = ['approve', 'shop/checkout', '--emergency', '--reason', 'the site is down']
  const said = await world.sluice(words, { user: 'lee' })
  expect(said).toMatchObject({ code: 0, err: '' })
  expect(said.out).toContain(
    'Override recorded for user:lee. Overridden by user:lee, with 0 of 2 approvals: the site is down.',
  )
  expect(decisions()).toMatchObject([{ by: 'user:lee', override: true, reason: 'the site is down' }])
})

test('of two who speak at the same moment both are heard', async () => {
  ask({ required: 2 })
  const both = await Promise.all([
    world.sluice(['approve', 'shop/checkout'], { user: 'kim' }),
    world.sluice(['approve', 'shop/checkout'], { user: 'dana@example.com' }),
  ])
  expect(both.map(({ code }) => code)).toEqual([0, 0])
  expect(
    decisions()
      .map(({ by }) => by)
      .sort(),
  ).toEqual(['user:dana@example.com', 'user:kim'])
})

test('a question that is replaced while a person reads it is not answered', async () => {
  ask()
  const stop = world.server.onRequest((request) => {
    // The question is asked anew, about another move, after it was listed.
    if (request.resource !== 'selfsubjectreviews') return
    world.server.storage.remove(approvalsRef, { namespace: 'shop', name: 'checkout-d1' })
    ask({ digest: 'd2' })
  })
  const said = await world.sluice(['approve', 'shop/checkout'], { user: 'kim' }).finally(stop)
  expect(said).toMatchObject({ code: 1, err: expect.stringContaining('This question is closed') })
  expect(decisions()).toEqual([])
})
