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
