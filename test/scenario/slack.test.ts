import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readApproval } from '../../src/approval/object.ts'
import { approveAction, buttonValue, rejectAction } from '../../src/approval/slack-click.ts'
import type { Controller } from '../../src/controller/manager.ts'
import { fieldAt, textAt } from '../../src/kube/field.ts'
import type { KubeObject } from '../../src/kube/object.ts'
import { type FakeSlack, member, startFakeSlack } from '../approval/fake-slack.ts'
import { type FakeSocket, startFakeSocket } from '../approval/fake-socket.ts'
import { openStage, refs, type Scene, type Stage } from './stage.ts'

const config = { token: 'xoxb-secret-token', appToken: 'xapp-secret-token', channel: 'C0DEPLOYS', signingSecrets: [] }

let stage: Stage
let slack: FakeSlack
let sockets: FakeSocket

/** A controller that has Slack, and hears of clicks on a socket. */
async function start(): Promise<Controller> {
  const controller = await stage.controller({ slack: { ...config, apiUrl: slack.apiUrl } })
  await controller.synced
  return controller
}

beforeAll(async () => {
  stage = await openStage()
  sockets = await startFakeSocket()
  slack = await startFakeSlack()
  slack.socketUrl = sockets.url
  slack.users.set('U0DANA', member('U0DANA', 'dana@example.com'))
}, 60_000)
afterAll(async () => {
  await stage.stop()
  await sockets.stop()
  await slack.stop()
}, 60_000)

function open(s: Scene): KubeObject | undefined {
  return stage.sandbox.api.storage
    .list(refs.approvals, { namespace: s.namespace })
    .find((object) => (textAt(object, 'status', 'state') ?? 'Pending') === 'Pending')
}

/** What stands in the channel about a scene, oldest first. */
function messages(s: Scene) {
  return [...slack.messages]
    .map(([ts, message]) => ({ ts, ...message }))
    .filter(({ text }) => text.includes(s.namespace))
}

const questions = (s: Scene) => messages(s).filter(({ blocks }) => blocks.includes('"header"'))

function click(question: KubeObject, action: string) {
  const { namespace: ns, name, uid, spec } = readApproval(question)!
  return sockets.deliver({
    type: 'block_actions',
    user: { id: 'U0DANA', team_id: 'T1' },
    team: { id: 'T1' },
    trigger_id: '1.2.3',
    actions: [
      {
        action_id: action,
        value: buttonValue({ ns, name, uid, digest: spec.digest }),
        action_ts: `${Date.now() / 1000}`,
      },
    ],
  })
}

const rollout = {
  steps: [
    { weight: 20, hold: '1s' },
    { weight: 100, hold: '1s', approval: { from: ['user:dana@example.com'] } },
  ],
}

/** One after the other: they share the channel and what is wrong with Slack. */
describe('in Slack', { timeout: 240_000 }, () => {
  test('a question is asked, answered on the socket, and its message tells how the rollout ended, across a restart', async () => {
    const first = await start()
    await using s = await stage.scene('slack-approves', { rollout })
    await s.desire('v2')
    await s.until('asked in the channel', () => questions(s).some(({ blocks }) => blocks.includes(approveAction)))
    expect(s.weights('v2')).toEqual([0, 20])
    await first.stop()
    const second = await start()
    await expect.poll(() => sockets.open.length, { timeout: 20_000 }).toBe(1)
    await click(open(s)!, approveAction)
    await s.until('promoted', (status) => status.lastOutcome?.result === 'Promoted')
    await s.until('told in its message', () => questions(s).some(({ blocks }) => blocks.includes('*Promoted*')))
    expect(questions(s)).toHaveLength(1)
    expect(questions(s)[0]?.blocks).toContain('Approved by <@U0DANA>')
    expect(questions(s)[0]?.blocks).not.toContain(approveAction)
    // One story, one thread: everything else is a reply to the first message.
    await s.until('told in the thread', () =>
      messages(s).some(({ text }) => /promoted/i.test(text) && !/header/.test(text)),
    )
    const [anchor, ...replies] = messages(s)
    expect(anchor?.threadTs).toBeUndefined()
    expect(new Set(replies.map(({ threadTs }) => threadTs))).toEqual(new Set([anchor?.ts]))
    await second.stop()
  })

  test('a rejection says why, in the message, the status and the events', async () => {
    const controller = await start()
    await using s = await stage.scene('slack-rejects', { rollout })
    await s.desire('v2')
    await s.until('asked in the channel', () => questions(s).some(({ blocks }) => blocks.includes(rejectAction)))
    await expect.poll(() => sockets.open.length, { timeout: 20_000 }).toBe(1)
    await click(open(s)!, rejectAction)
    const { view } = slack.views.at(-1)!
    const values = { sluice_field: { sluice_field: { type: 'plain_text_input', value: 'not on a Friday' } } }
    const user = { id: 'U0DANA', team_id: 'T1' }
    const sent = { type: 'view_submission', user, team: { id: 'T1' }, view: { id: 'V1', ...view, state: { values } } }
    expect(await sockets.deliver(sent)).toEqual({})
    await s.until('aborted', (status) => status.lastOutcome?.result === 'Aborted')
    expect(s.weights('v2')).toEqual([0, 20, 0])
    expect(s.status().lastOutcome?.message).toContain('not on a Friday')
    await s.until('told', () =>
      questions(s).some(({ blocks }) => blocks.includes('Rejected by <@U0DANA>: not on a Friday')),
    )
    await controller.stop()
  })

  test.each([
    ['cannot be reached', { hang: true }],
    ['answers 500', { status: 500 }],
  ])(
    'while it %s, a breach is answered as fast as ever, and everything is told once when it is back',
    async (what, fault) => {
      const name = `slack-${what.replace(/\W+/g, '-').toLowerCase()}`
      slack.broken.set('*', fault)
      const controller = await start()
      await using s = await stage.scene(name, { rollout })
      await s.desire('v2')
      await s.until('asking', (status) => status.phase === 'AwaitingApproval' && open(s) !== undefined)
      s.behave('v2', { 'error-rate': '1' })
      await s.until('rolled back', (status) => status.phase === 'RolledBack')
      expect(s.weights('v2')).toEqual([0, 20, 0])
      expect(messages(s)).toEqual([])
      slack.broken.clear()
      await s.until('told', () => messages(s).some(({ text }) => /rolled back/i.test(text)))
      await controller.stop()
      const texts = messages(s).map(({ text }) => text)
      expect(new Set(texts).size).toBe(texts.length)
      // The question was taken back before anybody could see it: nobody is asked what cannot be answered any more.
      expect(questions(s)).toEqual([])
      expect(stage.logs.map((line) => JSON.stringify(line)).join('\n')).not.toMatch(/xoxb-secret|xapp-secret/)
      expect(fieldAt(s.rollout(), 'metadata', 'annotations', 'sluice.dev/slack-threads')).toBeDefined()
    },
  )
})
