import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Approvals, createApprovals } from '../../src/approval/approvals.ts'
import type { ApprovalChannel } from '../../src/approval/channels.ts'
import { readApproval } from '../../src/approval/object.ts'
import { createSlackChannel } from '../../src/approval/slack-channel.ts'
import { createSlackApi } from '../../src/notify/slack-api.ts'
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

function open(): ApprovalChannel {
  const api = createSlackApi({ token, log: log.log, apiUrl: slack.apiUrl, timeoutMs: 5_000, now: time.now })
  const backoff = { firstMs: 5, maxMs: 20 }
  return createSlackChannel({
    api,
    approvals,
    channel: 'C1',
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
  time = clock()
  log = readableLog()
  approvals = createApprovals({ client: cluster.client, runtime: time, log: log.log })
  await approvals.ask(owner, question({ required: 2 }))
  channel = open()
})
afterEach(() => channel.stop(0))

test('a question is one message, from the first look to the end, across restarts', async () => {
  await show()
  expect(readApproval(object())?.status.slack).toEqual({ channel: 'C1', ts: [...slack.messages.keys()][0] })
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
  test.each([{ status: 503 }, { status: 429, retryAfter: '0' }, { error: 'internal_error' }])(
    '%j: shown as soon as it is',
    async (fault) => {
      slack.broken.set('chat.postMessage', fault)
      channel.show(object())
      await expect.poll(() => log.text()).toContain('message will be tried again')
      slack.broken.clear()
      await channel.stop()
      expect(shown()).toHaveLength(1)
      expect(lost).toBe(0)
    },
  )

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

  test('a channel that does not exist is given up and said so, without the token', async () => {
    slack.broken.set('chat.postMessage', { error: 'channel_not_found' })
    await show()
    expect(lost).toBe(1)
    expect(log.text()).toContain('Slack chat.postMessage: channel_not_found')
    expect(log.text()).not.toContain(token)
  })
})
