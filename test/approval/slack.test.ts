import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { createApprovals } from '../../src/approval/approvals.ts'
import { createSlack, type SlackConfig } from '../../src/approval/slack.ts'
import { createMetrics } from '../../src/server/metrics.ts'
import { type FakeSlack, member, startFakeSlack } from './fake-slack.ts'
import { type ObjectsServer, startObjectsServer } from './objects-server.ts'
import { clock, owner, question, readableLog } from './questions.ts'

let cluster: ObjectsServer
let slack: FakeSlack
beforeAll(async () => {
  cluster = await startObjectsServer()
  slack = await startFakeSlack()
})
afterAll(async () => {
  await cluster.stop()
  await slack.stop()
})
beforeEach(() => {
  cluster.objects.clear()
  slack.messages.clear()
  slack.calls.length = 0
})

function open(over: Partial<SlackConfig> = {}) {
  const runtime = clock()
  const { log } = readableLog()
  const metrics = createMetrics()
  const approvals = createApprovals({ client: cluster.client, runtime, log })
  const config = { approvals, runtime, log, metrics, apiUrl: slack.apiUrl, replyOrigins: [slack.origin], ...over }
  return { parts: createSlack(config), approvals, metrics }
}

test('with token and channel: the question is posted, its own button is clicked, and the answer is in the message', async () => {
  slack.users.set('U1', member('U1', 'sam@example.com'))
  const { parts, approvals, metrics } = open({ token: 'xoxb-1', channel: 'C1' })
  await approvals.ask(owner, question())
  parts.questions?.show(cluster.objects.get('shop/checkout-d1')!)
  await expect.poll(() => slack.messages.size).toBe(1)
  const [message] = slack.messages.values()
  const blocks: { type: string; elements?: { action_id?: string; value?: string }[] }[] = JSON.parse(
    message?.blocks ?? '',
  )
  const button = blocks.flatMap(({ elements = [] }) => elements).find(({ action_id }) => action_id === 'sluice_approve')
  const actions = [{ ...button, action_ts: '1.1' }]
  const result = await parts.interactions.handle({
    type: 'block_actions',
    user: { id: 'U1', team_id: 'T1' },
    team: { id: 'T1' },
    actions,
  })
  expect(result).toBe('Recorded')
  parts.questions?.show(cluster.objects.get('shop/checkout-d1')!)
  parts.notifier?.notify({ rollout: 'shop/checkout', topic: 'step', message: 'now at 50 %', details: {} })
  await parts.stop()
  expect([...slack.messages.values()].map(({ blocks: shown }) => shown)).toEqual([
    expect.stringContaining('Approved by <@U1>'),
    expect.stringContaining('now at 50 %'),
  ])
  expect((await metrics.render()).body).toContain(
    'sluice_approval_decisions_total{channel="slack",result="Recorded"} 1',
  )
})

test('without a token or a channel nothing is posted, and clicks still count', async () => {
  expect(open({ token: 'xoxb-1' }).parts.questions).toBeUndefined()
  const { parts, approvals } = open({ channel: 'C1' })
  expect(parts.questions).toBeUndefined()
  expect(parts.notifier).toBeUndefined()
  const asked = await approvals.ask(owner, question())
  const value = JSON.stringify({ ns: 'shop', name: asked.name, uid: asked.uid, digest: 'd1' })
  const actions = [{ action_id: 'sluice_approve', value, action_ts: '1.2' }]
  expect(await parts.interactions.handle({ type: 'block_actions', user: { id: 'U1' }, actions })).toBe('Recorded')
  expect(slack.calls).toEqual([])
  await parts.stop()
})
