import pino from 'pino'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createApprovals } from '../../src/approval/approvals.ts'
import { readApproval, rule } from '../../src/approval/object.ts'
import { createPullRequests } from '../../src/approval/pull-requests.ts'
import { createBranches } from '../../src/git/branch.ts'
import { createForges } from '../../src/git/forge/find.ts'
import { withMarker } from '../../src/git/pull-words.ts'
import { parseStateFile } from '../../src/git/statefile.ts'
import { resources } from '../../src/kube/resources.ts'
import type { ApprovalQuestion } from '../../src/plan/effects.ts'
import { forgeWith, type Kind } from '../git/forge/bench.ts'
import { hasty, shopFiles } from '../git/shop.ts'
import { temporaryFolder } from '../git/workbench.ts'
import { startObjectsServer } from './objects-server.ts'
import { owner, question } from './questions.ts'

const branch = 'sluice/shop/checkout/approve-d1'

/** A question by pull request at a forge, as the leader shows it. */
async function asked(over: Partial<ApprovalQuestion> = {}, kind: Kind = 'GitHub') {
  const at = await forgeWith(kind, shopFiles())
  const server = await startObjectsServer()
  onTestFinished(() => server.stop())
  const approvals = createApprovals({ client: server.client, runtime: hasty, log: pino({ level: 'silent' }) })
  const asking = question({
    allowed: ['git-user:dana', 'git-user:robin', 'git-group:acme/release'],
    expiresAt: Date.now() + 3_600_000,
    ...over,
  })
  await approvals.ask(owner, asking)
  const key = { namespace: 'shop', name: asking.name }
  const object = async () => (await server.client.get(resources.approvals, key))!
  const start = () => {
    const channel = createPullRequests({
      approvals,
      branches: createBranches({ workDir: temporaryFolder(), runtime: hasty }),
      forges: createForges({ runtime: hasty }),
      identity: { cluster: 'prod-eu', takeOver: false },
      sourceOf: () => at.source,
      runtime: hasty,
      log: pino({ level: 'silent' }),
    })
    onTestFinished(() => channel.stop())
    return channel
  }
  let channel = start()
  const approval = async () => readApproval(await object())!
  const self = {
    ...at,
    approvals,
    key,
    approval,
    /** The process ends, and another one begins. */
    async restart() {
      await channel.stop()
      channel = start()
    },
    /** Looks until it is so. */
    async until<T>(test: () => T | undefined | Promise<T | undefined>): Promise<T> {
      for (let i = 0; i < 400; i++) {
        channel.show(await object())
        channel.look(at.source)
        const found = await test()
        if (found !== undefined) return found
        await hasty.sleep(20)
      }
      throw new Error(`never so: ${JSON.stringify([(await approval()).spec.decisions, at.fake.pulls])}`)
    },
    state: async () => rule(await approval(), Date.now()).state,
    open: () => at.fake.open()[0],
  }
  const pull = await self.until(() => self.open())
  return { ...self, pull }
}

test('a question is a pull request with the move in its state file, and the Approval knows where it is', async () => {
  const { pull, until, approval, person } = await asked({
    change: {
      to: { revision: 'v2-abc', image: 'checkout:2' },
      compareUrl: 'https://example.com/compare/a...b',
      commits: [{ sha: 'abcdef0123456789', subject: 'faster <b>', author: 'Dana' }],
      commitCount: 3,
    },
    required: 2,
  })
  const told = await until(async () => (await approval()).status.pullRequest)
  expect(told).toMatchObject({ number: 1, url: expect.stringContaining('/1') })
  expect(pull).toMatchObject({
    branch,
    base: 'main',
    title: 'checkout: approve 10% → 50% (shop)',
    labels: ['delivery'],
  })
  for (const words of [
    'v2-abc',
    'checkout:2',
    'git-user:dana',
    '| Approvals needed | 2 |',
    'd1',
    'and 2 more',
    '99.98',
  ])
    expect(pull.body).toContain(words)
  expect(pull.body).not.toContain('<b>')
  person.git('fetch', '--quiet', 'origin', branch)
  const file = person.git('show', 'FETCH_HEAD:prod/.sluice/shop/checkout.yaml')
  expect(parseStateFile('x', Buffer.from(file))).toMatchObject({
    ok: true,
    state: { cluster: 'prod-eu', asked: { digest: 'd1', step: 2, from: 10, to: 50, round: 1 } },
  })
})

describe.each(['GitHub', 'GitLab'] as Kind[])('at %s', (kind) => {
  test('a merge by somebody who may decide opens the gate, and the branch goes', async () => {
    const { fake, until, state, approval, person } = await asked({}, kind)
    fake.user('dana', { email: 'dana@example.com' })
    fake.merge(1, 'dana')
    await until(async () => ((await state()) === 'Approved' ? true : undefined))
    const [decision] = (await approval()).spec.decisions
    expect(decision).toMatchObject({
      verdict: 'Approve',
      by: 'git-user:dana',
      via: 'git',
      digest: 'd1',
      email: 'dana@example.com',
    })
    await until(() => (person.git('ls-remote', 'origin', `refs/heads/${branch}`) === '' ? true : undefined))
    expect(fake.pulls).toHaveLength(1)
  })
})

describe('at GitHub', () => {
  const kind: Kind = 'GitHub'

  test('reviews and the merge together are the quorum; a review alone closes the question when it is enough', async () => {
    const { fake, until, state, approval } = await asked({ required: 2 }, kind)
    fake.groups.set('acme/release', ['sam'])
    fake.review(1, 'sam')
    await until(async () => ((await approval()).spec.decisions.length === 1 ? true : undefined))
    expect(await state()).toBe('Pending')
    fake.review(1, 'dana')
    await until(async () => ((await state()) === 'Approved' ? true : undefined))
    expect((await approval()).spec.decisions.map(({ by, groups }) => [by, groups])).toEqual([
      ['git-user:sam', ['acme/release']],
      ['git-user:dana', undefined],
    ])
    await until(() => (fake.open().length === 0 ? true : undefined))
    expect(fake.pulls[0]!.comments.at(-1)!.body).toMatch(/^Closed: Approved by/)
  })

  test('a close by somebody who may decide rejects', async () => {
    const { fake, until, state, approval } = await asked({}, kind)
    fake.close(1, 'robin')
    await until(async () => ((await state()) === 'Rejected' ? true : undefined))
    expect((await approval()).spec.decisions[0]).toMatchObject({ verdict: 'Reject', by: 'git-user:robin' })
    expect(fake.pulls).toHaveLength(1)
  })
})

test.each([
  ['a bot', 'automerge', { bot: true }, /automerge.* is a bot/],
  ['a stranger', 'mallory', {}, /mallory/],
])('a merge by %s opens nothing, is said to be void, and it is asked anew', async (_, login, more, words) => {
  const { fake, until, state, approval } = await asked()
  fake.user(login, more)
  fake.merge(1, login)
  const next = await until(() => fake.open().find((pull) => pull.number === 2))
  expect(next.body).toContain('Asked anew: #1 was merged')
  expect(fake.pulls[0]!.comments.map((each) => each.body).join()).toMatch(words)
  expect(fake.pulls[0]!.comments[0]!.body).toContain('decides nothing')
  expect(await state()).toBe('Pending')
  expect((await approval()).spec.decisions).toEqual([])
  fake.merge(2, 'dana')
  await until(async () => ((await state()) === 'Approved' ? true : undefined))
})

test('a bot that merges everything is asked three times, and then no more', async () => {
  const { fake, until, state } = await asked()
  fake.user('automerge', { bot: true })
  for (const number of [1, 2, 3]) {
    await until(() => fake.open().find((pull) => pull.number === number))
    fake.merge(number, 'automerge')
  }
  await until(() => fake.pulls[2]!.comments.find(({ body }) => body.includes('not asked here again')))
  expect(fake.pulls).toHaveLength(3)
  expect(await state()).toBe('Pending')
})

test('a close by a stranger is void, and it is asked anew', async () => {
  const { fake, until, state } = await asked()
  fake.close(1, 'mallory')
  await until(() => fake.open().find((pull) => pull.number === 2))
  expect(await state()).toBe('Pending')
  expect(fake.pulls[0]!.comments[0]!.body).toContain('decides nothing')
})

test('a merge that counts but is not enough keeps the gate closed and asks for the rest', async () => {
  const { fake, until, state, approval } = await asked({ required: 2 })
  fake.merge(1, 'dana')
  const next = await until(() => fake.open().find((pull) => pull.number === 2))
  expect(fake.pulls[0]!.comments[0]!.body).toContain('the gate stays closed')
  expect(next.body).toContain('git-user:dana')
  expect(await state()).toBe('Pending')
  fake.review(2, 'robin')
  await until(async () => ((await state()) === 'Approved' ? true : undefined))
  expect((await approval()).spec.decisions).toHaveLength(2)
})

test('a merge after the question has changed decides nothing and is said to be void', async () => {
  const { fake, until, approvals, key, approval, person } = await asked()
  fake.faults.down = true
  await approvals.close(key, 'Void', 'a new revision is declared')
  fake.faults.down = false
  fake.merge(1, 'dana')
  await until(() => fake.pulls[0]!.comments.find(({ body }) => body.includes('decides nothing')))
  expect((await approval()).spec.decisions).toEqual([])
  expect((await approval()).status.state).toBe('Void')
  await until(() => (person.git('ls-remote', 'origin', `refs/heads/${branch}`) === '' ? true : undefined))
})

test('a question that is void is closed with the reason, also by a process that did not ask it', async () => {
  const { fake, until, approvals, key, restart, person } = await asked()
  await restart()
  await approvals.close(key, 'Void', 'a new revision is declared')
  await until(() => (fake.open().length === 0 ? true : undefined))
  expect(fake.pulls[0]!.comments[0]!.body).toContain('a new revision is declared')
  await until(() => (person.git('ls-remote', 'origin', `refs/heads/${branch}`) === '' ? true : undefined))
})

test('after a restart the same pull request asks, and what was decided meanwhile counts once', async () => {
  const { fake, until, restart, state, approval } = await asked()
  await restart()
  await until(async () => (await approval()).status.pullRequest)
  await restart()
  fake.merge(1, 'dana')
  await until(async () => ((await state()) === 'Approved' ? true : undefined))
  await restart()
  await hasty.sleep(100)
  expect(fake.pulls).toHaveLength(1)
  expect((await approval()).spec.decisions).toHaveLength(1)
})

test('a review of an older commit does not count, and one of the newest does', async () => {
  const { fake, until, state, approval, branch: push } = await asked()
  fake.faults.down = true
  fake.review(1, 'dana')
  push(branch, { 'prod/other.txt': 'x' })
  fake.faults.down = false
  const requests = fake.requests.length
  await until(() => (fake.requests.length > requests + 6 ? true : undefined))
  expect((await approval()).spec.decisions).toEqual([])
  fake.review(1, 'robin')
  await until(async () => ((await state()) === 'Approved' ? true : undefined))
  expect((await approval()).spec.decisions.map(({ by }) => by)).toEqual(['git-user:robin'])
})

test('a review of another pull request of the same branch, for another base, decides nothing', async () => {
  const { fake, until, state, approval, open } = await asked()
  // Whoever may push can open it, with words that hide what an approval of it would do.
  Object.assign(open()!, { base: 'junk', title: 'a typo', body: 'nothing to see' })
  fake.review(1, 'dana')
  await until(() => fake.pulls[0]!.comments.find(({ body }) => body.includes('decides nothing')))
  expect(fake.pulls[0]!.comments[0]!.body).toContain('it is for junk instead of main')
  expect((await approval()).spec.decisions).toEqual([])
  expect(await state()).toBe('Pending')
})

test('a body that says we closed it takes nobody’s rejection away', async () => {
  const { fake, until, state, approval } = await asked()
  fake.faults.down = true
  fake.close(1, 'dana')
  fake.pulls[0]!.body = withMarker(fake.pulls[0]!.body, { closed: true })
  fake.faults.down = false
  await until(async () => ((await state()) === 'Rejected' ? true : undefined))
  expect((await approval()).spec.decisions).toMatchObject([{ by: 'git-user:dana', verdict: 'Reject' }])
})
