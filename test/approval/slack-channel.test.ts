import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Approvals, createApprovals } from '../../src/approval/approvals.ts'
import type { ApprovalChannel } from '../../src/approval/channels.ts'
import { readApproval } from '../../src/approval/object.ts'
import { createSlackChannel } from '../../src/approval/slack-channel.ts'
import { createSlackApi } from '../../src/notify/slack-api.ts'
import { createSlackThreads, type SlackThreads } from '../../src/notify/slack-threads.ts'
import { type FakeSlack, startFakeSlack } from './fake-slack.ts'
import { type ObjectsServer, startObjectsServer } from './objects-server.ts'
import { type Clock, clock, owner, question, readableLog, slackDecision } from './questions.ts'

const token = 'xoxb-very-secret-token'
const key = { namespace: 'shop', name: 'checkout-d1' }
let cluster: ObjectsServer
let slack: FakeSlack
let time: Clock
let log: ReturnType<typeof readableLog>
let approvals: Approvals
let channel: ApprovalChannel
let lost = 0
let attempt: number | undefined
let threads: SlackThreads

function open(): ApprovalChannel {
  const api = createSlackApi({ token, log: log.log, apiUrl: slack.apiUrl, timeoutMs: 5_000, now: time.now })
  const backoff = { firstMs: 5, maxMs: 20 }
  return createSlackChannel({
    api,
    approvals,
    channelFor: ({ spec }) => (spec.rollout === 'private' ? undefined : 'C1'),
    attemptOf: () => attempt,
    threads,
    runtime: time,
    log: log.log,
    backoff,
    onLost: () => lost++,
  })
}

const object = () => cluster.objects.get('shop/checkout-d1')!
const posts = () => slack.calls.filter(({ method }) => method === 'chat.postMessage')
const shown = () => [...slack.messages.values()]

/** Shows the question as it stands and waits until Slack has it. */
async function show(): Promise<void> {
  channel.show(object())
  await channel.stop()
  channel = open()
}

beforeAll(async () => {
  cluster = await startObjectsServer(() => time.now())
  slack = await startFakeSlack()
})
afterAll(async () => {
  await cluster.stop()
  await slack.stop()
})
beforeEach(async () => {
  cluster.objects.clear()
  slack.messages.clear()
  slack.calls.length = 0
  slack.broken.clear()
  lost = 0
  attempt = 1
  time = clock()
  log = readableLog()
  threads = createSlackThreads({ log: log.log })
  approvals = createApprovals({ client: cluster.client, runtime: time, log: log.log })
  await approvals.ask(owner, question({ required: 2 }))
  channel = open()
})
afterEach(() => channel.stop(0))

test('a question is one message, from the first look to the end, across restarts', async () => {
  await show()
  expect(readApproval(object())?.status.slack).toMatchObject({ channel: 'C1', ts: [...slack.messages.keys()][0] })
  await approvals.add(key, slackDecision('U1'))
  await show()
  await approvals.add(key, slackDecision('U2'))
  await show()
  expect(shown()).toHaveLength(1)
  expect(shown()[0]?.blocks).toContain('Approved by <@U1>, <@U2>')
  expect(shown()[0]?.blocks).not.toContain('sluice_approve')
})

test('looking at the same question again says nothing', async () => {
  channel.show(object())
  channel.show(object())
  await expect.poll(() => posts().length).toBe(1)
  channel.show(object())
  channel.show(object())
  await channel.stop()
  expect(slack.calls.map(({ method }) => method)).toEqual(['chat.postMessage'])
})

test('a restart sends nothing that stands there already', async () => {
  await show()
  await approvals.add(key, slackDecision('U1'))
  await show()
  const calls = slack.calls.length
  for (let restarts = 0; restarts < 3; restarts++) await show()
  expect(slack.calls).toHaveLength(calls)
})

test('what became of the rollout is told in the message that asked for it', async () => {
  await show()
  await approvals.add(key, slackDecision('U1'))
  await approvals.add(key, slackDecision('U2'))
  await approvals.close(key, 'Consumed', 'the move it allowed is being made')
  await show()
  const at = new Date(time.now()).toISOString()
  await approvals.recordOutcome(key, { result: 'RolledBack', message: 'success-rate 92 %', at })
  await approvals.recordOutcome(key, { result: 'Promoted', message: 'later', at })
  await show()
  expect(shown()).toHaveLength(1)
  expect(shown()[0]?.blocks).toContain(':rewind: *Rolled back*')
  expect(shown()[0]?.blocks).toContain('success-rate 92 %')
})

test('a message that somebody has deleted is posted again while the question is open', async () => {
  await show()
  slack.messages.clear()
  await approvals.add(key, slackDecision('U1'))
  await show()
  expect(shown()).toHaveLength(1)
  expect(shown()[0]?.blocks).toContain('sluice_approve')
  slack.messages.clear()
  await approvals.close(key, 'Void', 'a new revision came')
  await show()
  expect(shown()).toEqual([])
})

test('the questions of one attempt stand in one thread, and in the channel too', async () => {
  await show()
  await approvals.ask(owner, question({ name: 'checkout-d2', digest: 'd2', step: 3, from: 50, to: 100 }))
  channel.show(cluster.objects.get('shop/checkout-d2')!)
  await channel.stop()
  const [first] = slack.messages.keys()
  expect(shown().map(({ threadTs, broadcast }) => [threadTs, broadcast])).toEqual([
    [undefined, undefined],
    [first, true],
  ])
})

test('a question whose attempt is never known stands alone', async () => {
  attempt = undefined
  channel.show(object())
  await expect.poll(() => posts().length, { timeout: 10_000 }).toBe(1)
  expect(shown()[0]?.threadTs).toBeUndefined()
})

test('a question that is not for Slack is not posted', async () => {
  await approvals.ask({ ...owner, name: 'private' }, question({ name: 'private-d1' }))
  channel.show(cluster.objects.get('shop/private-d1')!)
  await channel.stop()
  expect(slack.calls).toEqual([])
})

test('a message that Slack finds something wrong with is sent in plain words, and can be answered', async () => {
  let times = 1
  slack.broken.set('chat.postMessage', {
    get error() {
      return times-- > 0 ? 'invalid_blocks' : undefined
    },
  })
  await show()
  expect(shown()).toHaveLength(1)
  expect(shown()[0]?.blocks).toContain('sluice_reject')
  expect(JSON.parse(shown()[0]?.blocks ?? '')).toHaveLength(2)
})

test('a cache that is older than the message does not make a second one', async () => {
  const old = structuredClone(object())
  await show()
  channel.show(old)
  await channel.stop()
  expect(shown()).toHaveLength(1)
})

test('a question that was closed before anybody saw it is not posted', async () => {
  await approvals.close(key, 'Void', 'a new revision came')
  await show()
  expect(slack.calls).toEqual([])
})

describe('while Slack is not well', () => {
  test.each([
    { status: 500 },
    { status: 503 },
    { status: 200, body: '<html>maintenance</html>' },
    { status: 429, retryAfter: '0' },
    { error: 'internal_error' },
  ])('%j: shown as soon as it is', async (fault) => {
    slack.broken.set('chat.postMessage', fault)
    channel.show(object())
    await expect.poll(() => log.text()).toContain('message will be tried again')
    slack.broken.clear()
    await channel.stop()
    expect(shown()).toHaveLength(1)
    expect(lost).toBe(0)
  })

  test('only the newest state is told when it is back', async () => {
    slack.broken.set('chat.postMessage', { status: 503 })
    channel.show(object())
    await expect.poll(() => log.text()).toContain('message will be tried again')
    await approvals.add(key, slackDecision('U1'))
    channel.show(object())
    slack.broken.clear()
    await channel.stop()
    expect(posts()).toHaveLength(1)
    expect(shown()[0]?.blocks).toContain('Approved so far by <@U1>')
  })

  test.each(['not_in_channel', 'channel_not_found', 'invalid_auth', 'something_new'])(
    '%s: said once with what to do, without the token, and asked as soon as somebody has done it',
    async (error) => {
      slack.broken.set('chat.postMessage', { error })
      channel.show(object())
      await expect.poll(() => posts().length).toBeGreaterThan(2)
      slack.broken.clear()
      await channel.stop()
      expect(shown()).toHaveLength(1)
      expect(lost).toBe(0)
      expect(log.lines.filter(({ level }) => level === 50)).toMatchObject([{ code: error, fix: expect.any(String) }])
      expect(log.text()).not.toContain(token)
    },
  )

  test('a message that cannot be updated is given up, and the question can be answered all the same', async () => {
    await show()
    slack.broken.set('chat.update', { error: 'edit_window_closed' })
    await approvals.add(key, slackDecision('U1'))
    await show()
    expect(lost).toBe(1)
    expect(log.text()).toContain('Slack chat.update: edit_window_closed')
    expect(shown()).toHaveLength(1)
  })

  test('a place that could not be recorded is recorded later, without a second message', async () => {
    cluster.refuse = { method: 'PATCH', status: 503, times: 2 }
    channel.show(object())
    await expect.poll(() => readApproval(object())?.status.slack?.ts, { timeout: 10_000 }).toBeDefined()
    await channel.stop()
    expect(posts()).toHaveLength(1)
  })
})
