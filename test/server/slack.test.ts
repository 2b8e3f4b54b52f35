import http from 'node:http'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { type Approvals, createApprovals } from '../../src/approval/approvals.ts'
import { type Approval, observeApproval, readApproval } from '../../src/approval/object.ts'
import { approveAction, buttonValue, laterAction, rejectAction } from '../../src/approval/slack-click.ts'
import { createSlackInteractions } from '../../src/approval/slack-interactions.ts'
import { createSlackPeople } from '../../src/approval/slack-people.ts'
import { createSlackReply, type SlackReply } from '../../src/approval/slack-reply.ts'
import { signSlackRequest } from '../../src/approval/slack-signature.ts'
import { createSlackApi } from '../../src/notify/slack-api.ts'
import { createMetrics } from '../../src/server/metrics.ts'
import { createServer, type RunningServer } from '../../src/server/server.ts'
import { type SlackEndpoint, slackEndpoint } from '../../src/server/slack.ts'
import { type FakeSlack, member, startFakeSlack } from '../approval/fake-slack.ts'
import { type ObjectsServer, startObjectsServer } from '../approval/objects-server.ts'
import { type Clock, clock, owner, question, readableLog, start } from '../approval/questions.ts'

const secret = 'signing-secret-1'
const token = 'xoxb-very-secret-token'
let cluster: ObjectsServer
let slack: FakeSlack
let time: Clock
let log: ReturnType<typeof readableLog>
let approvals: Approvals
let asked: Approval

interface Replica {
  server: RunningServer
  endpoint: SlackEndpoint
  reply: SlackReply
}
let replicas: Replica[] = []

async function replica(
  options: { token?: boolean; dialogs?: boolean; answerWithinMs?: number; timeoutMs?: number } = {},
): Promise<Replica> {
  const api = createSlackApi({
    token,
    log: log.log,
    apiUrl: slack.apiUrl,
    timeoutMs: options.timeoutMs ?? 5_000,
    now: time.now,
  })
  const reply = createSlackReply({
    runtime: time,
    log: log.log,
    origins: [slack.origin],
    backoff: { firstMs: 5, maxMs: 20 },
  })
  const people = createSlackPeople({ runtime: time, cacheMs: 0, ...(options.token === false ? {} : { api }) })
  const dialogs = options.dialogs ? { api } : {}
  const interactions = createSlackInteractions({ approvals, people, reply, ...dialogs, runtime: time, log: log.log })
  const { answerWithinMs } = options
  const endpoint = slackEndpoint({
    secrets: ['next', secret],
    interactions,
    runtime: time,
    log: log.log,
    answerWithinMs,
  })
  const fine = () => ({ ok: true, message: 'fine' })
  const server = await createServer({
    listen: '127.0.0.1:0',
    runtime: time,
    log: log.log,
    health: { live: fine, ready: fine },
    metrics: createMetrics(),
    slack: endpoint,
  })
  const made = { server, endpoint, reply }
  replicas.push(made)
  return made
}

let clicks = 0

interface ClickOptions {
  action?: string
  on?: Approval
  digest?: string
  team?: string
  userTeam?: string
  replyTo?: string
}

function clickBody(user: string, options: ClickOptions = {}): string {
  const { action = approveAction, on = asked, team = 'T1', userTeam = team } = options
  const value = buttonValue({ ns: on.namespace, name: on.name, uid: on.uid, digest: options.digest ?? on.spec.digest })
  const payload = {
    type: 'block_actions',
    user: { id: user, username: 'whoever', team_id: userTeam },
    team: { id: team, domain: 'shop' },
    trigger_id: '13345224609.738474920.8088930838d88f008e0',
    response_url: options.replyTo ?? `${slack.origin}/hooks/1`,
    container: { type: 'message', message_ts: '1.1', channel_id: 'C1' },
    actions: [{ type: 'button', action_id: action, block_id: 'b', value, action_ts: `1700.${++clicks}` }],
  }
  return new URLSearchParams({ payload: JSON.stringify(payload) }).toString()
}

/** The dialog that was opened last, filled in and sent as Slack does it. */
function dialogBody(user: string, given: { value?: string | null; selected_date_time?: number | null }): string {
  const { view } = slack.views.at(-1) ?? {}
  const [input] = z.array(z.object({ block_id: z.string(), element: z.object({ action_id: z.string() }) })).parse(
    z
      .array(z.looseObject({ type: z.string() }))
      .parse(view?.blocks)
      .filter(({ type }) => type === 'input'),
  )
  const values = { [input?.block_id ?? '']: { [input?.element.action_id ?? '']: { type: 'any', ...given } } }
  const payload = {
    type: 'view_submission',
    team: { id: 'T1', domain: 'shop' },
    user: { id: user, username: 'whoever', name: 'whoever', team_id: 'T1' },
    api_app_id: 'A1',
    trigger_id: '999.1',
    view: {
      id: `V${slack.views.length}`,
      team_id: 'T1',
      ...view,
      state: { values },
      hash: '1700.abc',
      previous_view_id: null,
    },
    response_urls: [],
  }
  return new URLSearchParams({ payload: JSON.stringify(payload) }).toString()
}

function send(
  to: Replica,
  body: string,
  over: { secret?: string; at?: number; signature?: string } = {},
): Promise<Response> {
  const timestamp = Math.floor((over.at ?? time.now()) / 1000)
  const signature = over.signature ?? signSlackRequest(over.secret ?? secret, body, timestamp)
  return fetch(`${to.server.url}/slack/interactions`, {
    method: 'POST',
    body,
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      'x-slack-request-timestamp': String(timestamp),
      'x-slack-signature': signature,
    },
  })
}

const stored = () => cluster.objects.get('shop/checkout-d1')!
const decisions = () => readApproval(stored())!.spec.decisions
const state = () => observeApproval(stored(), time.now())?.state
const whispers = () => slack.replies.filter((reply) => reply.response_type === 'ephemeral').map((reply) => reply.text)

/** Waits until every reply has gone out. */
async function quiet(): Promise<void> {
  for (const { endpoint, reply } of replicas) {
    await endpoint.settled()
    await reply.stop(2_000)
  }
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
  slack.users.clear()
  slack.groups.clear()
  slack.broken.clear()
  slack.replies.length = 0
  slack.calls.length = 0
  slack.views.length = 0
  time = clock()
  log = readableLog()
  slack.users.set('U1', member('U1', 'sam@example.com'))
  slack.users.set('U3', member('U3', 'Dana@example.com'))
  slack.users.set('U7', member('U7', 'eve@example.com'))
  approvals = createApprovals({ client: cluster.client, runtime: time, log: log.log })
  const allowed = ['user:dana@example.com', 'slack-user:U1', 'slack-user:U2', 'slack-group:S1']
  asked = await approvals.ask(owner, question({ allowed }))
})
afterEach(async () => {
  for (const { server, reply } of replicas) {
    await server.stop()
    await reply.stop(0)
  }
  replicas = []
})

describe('a click that counts', () => {
  test('is recorded with the identity that Slack vouches for, and the message shows who', async () => {
    const answer = await send(await replica(), clickBody('U1'))
    expect([answer.status, await answer.text()]).toEqual([200, ''])
    expect(decisions()).toMatchObject([
      {
        verdict: 'Approve',
        by: 'slack-user:U1',
        via: 'slack',
        email: 'sam@example.com',
        digest: 'd1',
        at: '2026-03-02T12:00:00.000Z',
      },
    ])
    expect(state()).toBe('Approved')
    await quiet()
    expect(slack.replies).toHaveLength(1)
    expect(slack.replies[0]).toMatchObject({ replace_original: true })
    expect(JSON.stringify(slack.replies[0])).toContain('Approved by <@U1>')
    expect(log.text()).toContain('slack decision recorded')
  })

  test('may come from somebody named by address, whatever its case, or by user group', async () => {
    const to = await replica()
    await send(to, clickBody('U3'))
    expect(state()).toBe('Approved')
    slack.groups.set('S1', ['U7'])
    await send(to, clickBody('U7', { action: rejectAction }))
    expect(decisions().map(({ by, groups }) => [by, groups])).toEqual([
      ['slack-user:U3', []],
      ['slack-user:U7', ['S1']],
    ])
    expect(state()).toBe('Rejected')
  })

  test('carries the groups of which somebody is required', async () => {
    cluster.objects.clear()
    asked = await approvals.ask(owner, question({ allowed: ['slack-user:U1'], requiredFrom: ['slack-group:S9'] }))
    const to = await replica()
    slack.groups.set('S9', ['U7'])
    await send(to, clickBody('U1'))
    expect(state()).toBe('Pending')
    cluster.objects.clear()
    asked = await approvals.ask(owner, question({ allowed: ['slack-user:U1'], requiredFrom: ['slack-group:S9'] }))
    slack.groups.set('S9', ['U1'])
    await send(to, clickBody('U1'))
    expect(decisions()).toMatchObject([{ by: 'slack-user:U1', groups: ['S9'] }])
    expect(state()).toBe('Approved')
  })

  test('is let in under each signing secret while they are rotated', async () => {
    expect((await send(await replica(), clickBody('U1'), { secret: 'next' })).status).toBe(200)
    expect(state()).toBe('Approved')
  })

  test('without a bot token counts for people who are named by their id, and for nobody else', async () => {
    const to = await replica({ token: false })
    await send(to, clickBody('U3'))
    expect(decisions()).toEqual([])
    await send(to, clickBody('U1'))
    expect(decisions()).toMatchObject([{ by: 'slack-user:U1' }])
    expect(decisions()[0]?.email).toBeUndefined()
    expect(slack.calls).toEqual([])
  })
})

describe('once', () => {
  test('two people who click at once through two replicas are both counted, once each', async () => {
    cluster.objects.clear()
    asked = await approvals.ask(owner, question({ required: 2 }))
    slack.users.set('U2', member('U2', 'kim@example.com'))
    const [one, two] = [await replica(), await replica()]
    const bodies = [clickBody('U1'), clickBody('U2')]
    await Promise.all([one, two].flatMap((to) => bodies.map((body) => send(to, body))))
    expect(
      decisions()
        .map(({ by }) => by)
        .sort(),
    ).toEqual(['slack-user:U1', 'slack-user:U2'])
    expect(state()).toBe('Approved')
  })

  test('a request sent again to the same replica is refused', async () => {
    const to = await replica()
    const body = clickBody('U1')
    expect((await send(to, body)).status).toBe(200)
    const version = stored().metadata.resourceVersion
    const again = await send(to, body)
    expect([again.status, await again.json()]).toEqual([409, { error: 'this request was received before' }])
    expect(stored().metadata.resourceVersion).toBe(version)
    expect(log.text()).toContain('this request was received before')
  })

  test('a request sent again to another replica changes nothing', async () => {
    const body = clickBody('U1')
    await send(await replica(), body)
    const version = stored().metadata.resourceVersion
    await send(await replica(), body)
    expect(stored().metadata.resourceVersion).toBe(version)
    expect(log.text()).toContain('"result":"Duplicate"')
  })
})

describe('a dialog', () => {
  const errors = async (answer: Response) =>
    z.object({ errors: z.object({ sluice_field: z.string() }) }).parse(await answer.json()).errors.sluice_field

  test('asks why when somebody rejects, and the reason is recorded', async () => {
    const to = await replica({ dialogs: true })
    expect((await send(to, clickBody('U1', { action: rejectAction }))).status).toBe(200)
    expect(decisions()).toEqual([])
    expect(slack.views[0]?.triggerId).toBe('13345224609.738474920.8088930838d88f008e0')
    expect(slack.views[0]?.view).toMatchObject({ type: 'modal', title: { text: 'Reject' }, submit: { text: 'Reject' } })
    expect(slack.views[0]?.view.private_metadata?.length).toBeLessThan(3_000)
    const answer = await send(to, dialogBody('U1', { value: '  the checkout team is at lunch ' }))
    expect([answer.status, await answer.text()]).toEqual([200, ''])
    expect(decisions()).toMatchObject([
      { verdict: 'Reject', by: 'slack-user:U1', email: 'sam@example.com', reason: 'the checkout team is at lunch' },
    ])
    expect(state()).toBe('Rejected')
  })

  test('asks from when on when somebody approves for later', async () => {
    const to = await replica({ dialogs: true })
    await send(to, clickBody('U1', { action: laterAction }))
    const answer = await send(to, dialogBody('U1', { selected_date_time: time.now() / 1000 + 1_800 }))
    expect(await answer.text()).toBe('')
    expect(decisions()).toMatchObject([{ verdict: 'Approve', notBefore: '2026-03-02T12:30:00.000Z' }])
    expect(state()).toBe('Approved')
  })

  test.each([
    ['no reason', rejectAction, { value: null }, 'Say why'],
    ['blanks for a reason', rejectAction, { value: ' \n ' }, 'Say why'],
    ['no time', laterAction, { selected_date_time: null }, 'Choose a time'],
    ['a time that is over', laterAction, { selected_date_time: start / 1000 - 60 }, 'This time is over'],
    ['a time far away', laterAction, { selected_date_time: start / 1000 + 365 * 86_400 }, 'more than 90 days'],
  ])('with %s stays open and says so', async (_, action, given, sentence) => {
    const to = await replica({ dialogs: true })
    await send(to, clickBody('U1', { action }))
    const answer = await send(to, dialogBody('U1', given))
    expect(await errors(answer)).toContain(sentence)
    expect(decisions()).toEqual([])
    const better = action === rejectAction ? { value: 'because' } : { selected_date_time: start / 1000 + 3_000 }
    await send(to, dialogBody('U1', better))
    expect(decisions()).toHaveLength(1)
  })

  test('that is sent twice counts once', async () => {
    const to = await replica({ dialogs: true })
    await send(to, clickBody('U1', { action: laterAction }))
    const body = dialogBody('U1', { selected_date_time: start / 1000 + 1_800 })
    await send(to, body)
    await send(await replica({ dialogs: true }), body)
    expect(decisions()).toHaveLength(1)
  })

  test('that takes Slack’s patience tells the person in the channel', async () => {
    const to = await replica({ dialogs: true, answerWithinMs: 20 })
    await send(to, clickBody('U1', { action: rejectAction }))
    await to.endpoint.settled()
    const after = Promise.withResolvers<void>()
    slack.broken.set('users.info', { after: after.promise, error: 'internal_error' })
    const answer = await send(to, dialogBody('U1', { value: 'because' }))
    expect(await answer.text()).toBe('')
    after.resolve()
    await quiet()
    expect(whispers()).toEqual([expect.stringContaining('Slack did not say who you are')])
    expect(decisions()).toEqual([])
  })

  test('is not needed to approve', async () => {
    await send(await replica({ dialogs: true }), clickBody('U1'))
    expect(state()).toBe('Approved')
    expect(slack.views).toEqual([])
  })

  test('is opened although Slack takes its time to say who it is', async () => {
    const to = await replica({ dialogs: true })
    const after = Promise.withResolvers<void>()
    slack.broken.set('users.info', { after: after.promise })
    await send(to, clickBody('U1', { action: rejectAction }))
    expect(slack.views).toHaveLength(1)
    after.resolve()
  })

  test('shows nothing of the question but what the channel shows, escaped', async () => {
    await send(await replica({ dialogs: true }), clickBody('U1', { action: rejectAction }))
    expect(JSON.stringify(slack.views[0]?.view)).toContain('shop/checkout')
    expect(JSON.stringify(slack.views[0]?.view)).not.toMatch(/<[!@]/)
  })
})

/** Scenario 38: refused, logged, nothing moves. */
describe('refused, logged, and nothing moves', () => {
  let before: object
  beforeEach(() => {
    before = stored()
  })
  afterEach(() => {
    expect(stored()).toBe(before)
    expect(log.text()).toMatch(/slack (request|decision) refused|cannot be understood|decision failed/)
    expect(log.text()).not.toContain(token)
    expect(log.text()).not.toContain(secret)
  })

  test('a wrong signature', async () => {
    const to = await replica()
    const answers = [
      await send(to, clickBody('U1'), { secret: 'wrong' }),
      await send(to, clickBody('U1'), { signature: 'v0=' }),
      await send(to, clickBody('U1'), {
        signature: signSlackRequest(secret, 'another body', Math.floor(time.now() / 1000)),
      }),
    ]
    expect(answers.map(({ status }) => status)).toEqual([401, 401, 401])
    expect(slack.calls).toEqual([])
  })

  test('no signature at all', async () => {
    const to = await replica()
    const answer = await fetch(`${to.server.url}/slack/interactions`, { method: 'POST', body: clickBody('U1') })
    expect(answer.status).toBe(401)
  })

  test('an old timestamp, though rightly signed', async () => {
    const answer = await send(await replica(), clickBody('U1'), { at: time.now() - 301_000 })
    expect([answer.status, await answer.json()]).toEqual([
      401,
      { error: 'the timestamp of the request is more than five minutes off' },
    ])
  })

  test.each([
    ['somebody Slack does not know', 'U99', {}, 'Slack did not say who you are'],
    ['a guest', 'UG', { is_restricted: true }, 'guests of the workspace cannot decide'],
    ['a guest of one channel', 'UG', { is_ultra_restricted: true }, 'guests of the workspace cannot decide'],
    ['a bot', 'UG', { is_bot: true }, 'bots cannot decide'],
    ['a deactivated account', 'UG', { deleted: true }, 'this account is deactivated'],
    ['somebody of another organisation', 'UG', { team_id: 'T9' }, 'only members of this workspace can decide'],
    ['somebody not allowed', 'U7', {}, 'slack-user:U7 (eve@example.com) is not named in approval.from'],
    ['an address that is not confirmed', 'UC', { is_email_confirmed: false }, 'is not named in approval.from'],
  ])('%s', async (_, user, over, sentence) => {
    slack.users.set('UG', member('UG', 'dana@example.com', over))
    slack.users.set('UC', member('UC', 'dana@example.com', over))
    expect((await send(await replica(), clickBody(user))).status).toBe(200)
    await quiet()
    expect(whispers()).toEqual([expect.stringContaining(sentence)])
  })

  test('a stranger, also where there is no token', async () => {
    await send(await replica({ token: false }), clickBody('U1', { userTeam: 'T9' }))
    await quiet()
    expect(whispers()).toEqual(['only members of this workspace can decide'])
  })

  test('a member of the right group while Slack does not say who is in it', async () => {
    slack.groups.set('S1', ['U7'])
    slack.broken.set('usergroups.users.list', { error: 'internal_error' })
    await send(await replica(), clickBody('U7'))
    await quiet()
    expect(whispers()[0]).toContain('Slack did not say who is in S1')
  })

  test.each([{ hang: true }, { status: 500 }, { error: 'invalid_auth' }, { status: 429, retryAfter: '1' }])(
    'anybody while Slack cannot be asked: %j',
    async (fault) => {
      slack.broken.set('users.info', fault)
      await send(await replica({ timeoutMs: 200 }), clickBody('U1'))
      await quiet()
      expect(whispers()[0]).toContain('Slack did not say who you are')
    },
  )

  test('anybody while Slack does not say which workspace the app belongs to', async () => {
    slack.broken.set('auth.test', { error: 'internal_error' })
    await send(await replica(), clickBody('U1'))
    await quiet()
    expect(whispers()[0]).toContain('Slack did not say who you are')
  })

  test('a click after the question expired', async () => {
    time.advance(3_600_000)
    await send(await replica(), clickBody('U1'))
    await quiet()
    expect(whispers()[0]).toContain('This question is closed')
    expect(JSON.stringify(slack.replies[0])).not.toContain(approveAction)
  })

  test('a click on the message of an earlier question of the same move', async () => {
    const old = asked
    await approvals.close(old, 'Void', 'the objective was edited')
    asked = await approvals.ask(owner, question())
    before = stored()
    await send(await replica(), clickBody('U1', { on: old }))
    await quiet()
    expect(whispers()).toEqual(['This question is closed; nothing was done'])
  })

  test('a click on the message of another move', async () => {
    await send(await replica(), clickBody('U1', { digest: 'd0' }))
    await quiet()
    expect(whispers()).toEqual(['This question is closed; nothing was done'])
  })

  test('a click on a question that is spent', async () => {
    await approvals.close(asked, 'Consumed', 'Moved to 50 %')
    before = stored()
    await send(await replica(), clickBody('U1'))
    await quiet()
    expect(whispers()).toEqual(['This question is closed; nothing was done. Moved to 50 %'])
    expect(slack.replies[0]).toMatchObject({ replace_original: true })
  })

  test.each([
    ['somebody Slack does not know', 'U99', {}, 'Slack did not say who you are'],
    ['a guest', 'UG', { is_restricted: true }, 'guests of the workspace cannot decide'],
    ['somebody of another organisation', 'UG', { is_stranger: true }, 'only members of this workspace can decide'],
    ['somebody not allowed', 'U7', {}, 'is not named in approval.from'],
  ])('%s does not even get a dialog', async (_, user, over, sentence) => {
    slack.users.set('UG', member('UG', 'dana@example.com', over))
    slack.groups.set('S1', [])
    for (const action of [rejectAction, laterAction])
      await send(await replica({ dialogs: true }), clickBody(user, { action }))
    await quiet()
    expect(whispers()).toEqual([expect.stringContaining(sentence), expect.stringContaining(sentence)])
    expect(slack.views).toEqual([])
  })

  test.each([
    ['somebody Slack does not know', 'U99', 'Slack did not say who you are'],
    ['somebody not allowed', 'U7', 'is not named in approval.from'],
    ['a guest', 'UG', 'guests of the workspace cannot decide'],
  ])('a dialog sent by %s', async (_, user, sentence) => {
    slack.users.set('UG', member('UG', 'dana@example.com', { is_ultra_restricted: true }))
    const to = await replica({ dialogs: true })
    await send(to, clickBody('U1', { action: rejectAction }))
    const answer = await send(to, dialogBody(user, { value: 'because' }))
    expect(JSON.stringify(await answer.json())).toContain(sentence)
  })

  test('a dialog that is sent after the question was closed', async () => {
    const to = await replica({ dialogs: true })
    await send(to, clickBody('U1', { action: rejectAction }))
    await approvals.close(asked, 'Void', 'a new revision came')
    before = stored()
    const answer = await send(to, dialogBody('U1', { value: 'because' }))
    expect(await answer.json()).toEqual({
      response_action: 'errors',
      errors: { sluice_field: 'This question is closed; nothing was done. a new revision came' },
    })
    await quiet()
    expect(JSON.stringify(slack.replies)).not.toContain(approveAction)
  })

  test('a dialog that is sent while the API server is down', async () => {
    const to = await replica({ dialogs: true })
    await send(to, clickBody('U1', { action: rejectAction }))
    cluster.refuse = { method: 'PATCH', status: 503, times: 100 }
    const answer = await send(to, dialogBody('U1', { value: 'because' }))
    cluster.refuse.times = 0
    expect(JSON.stringify(await answer.json())).toContain('The cluster could not be asked')
  })

  test.each([{ error: 'expired_trigger_id' }, { status: 500 }, { error: 'ratelimited' }])(
    'a rejection whose dialog Slack does not open: %j; the person is told',
    async (fault) => {
      slack.broken.set('views.open', fault)
      await send(await replica({ dialogs: true }), clickBody('U1', { action: rejectAction }))
      await quiet()
      expect(whispers()).toEqual(['Slack did not open the dialog; nothing was done. Click again, or use sluice reject'])
    },
  )

  test('a click on a question of another cluster that shares the app; its message stays as it is', async () => {
    const elsewhere = { ...asked, name: 'payments-d7', uid: 'of-another-cluster' }
    await send(await replica({ dialogs: true }), clickBody('U1', { on: elsewhere }))
    await send(await replica({ dialogs: true }), clickBody('U1', { on: elsewhere, action: rejectAction }))
    await quiet()
    expect(slack.replies.filter((reply) => reply.replace_original)).toEqual([])
    expect(whispers()).toEqual(Array(2).fill(expect.stringContaining('This question is not known here')))
    expect(slack.views).toEqual([])
  })

  test.each([
    ['that carries something else', { private_metadata: '{"target":{"ns":"../x"}}' }],
    ['without its fields', { state: undefined }],
  ])('a dialog %s', async (_, over) => {
    const to = await replica({ dialogs: true })
    await send(to, clickBody('U1', { action: rejectAction }))
    const payload = JSON.parse(new URLSearchParams(dialogBody('U1', { value: 'x' })).get('payload') ?? '')
    const body = JSON.stringify({ ...payload, view: { ...payload.view, ...over } })
    expect((await send(to, new URLSearchParams({ payload: body }).toString())).status).toBe(200)
  })

  test('a click while the API server is down; the person is told', async () => {
    cluster.refuse = { method: 'PATCH', status: 503, times: 100 }
    await send(await replica(), clickBody('U1'))
    cluster.refuse.times = 0
    await quiet()
    expect(whispers()[0]).toContain('The cluster could not be asked')
  })

  test.each([
    ['no payload', 'x=1', 400],
    ['a payload that is not JSON', 'payload=%7B', 400],
    ['a payload of another shape', 'payload=[]', 200],
  ])('%s', async (_, body, status) => {
    expect((await send(await replica(), body)).status).toBe(status)
  })

  test('a button that carries something else', async () => {
    const payload = {
      type: 'block_actions',
      user: { id: 'U1' },
      actions: [{ action_id: approveAction, value: '{"ns":"../x"}', action_ts: '1' }],
    }
    await send(await replica(), new URLSearchParams({ payload: JSON.stringify(payload) }).toString())
  })
})

test('a body of 100 MB is refused while it comes in, whether or not it says so before', async () => {
  const to = await replica()
  const url = `${to.server.url}/slack/interactions`
  const announced = await fetch(url, { method: 'POST', body: Buffer.alloc(2 * 1024 * 1024) })
  expect(announced.status).toBe(413)
  const piece = Buffer.alloc(64 * 1024, 'x')
  let sent = 0
  const status = await new Promise<number | undefined>((resolve) => {
    const request = http.request(url, { method: 'POST' }, (response) => {
      resolve(response.statusCode)
      request.destroy()
    })
    // A server that closes on us while we write has refused too.
    request.on('error', () => resolve(undefined))
    const write = () => {
      if (sent >= 100 * 1024 * 1024 || request.destroyed) return void request.end()
      sent += piece.length
      request.write(piece, () => setImmediate(write))
    }
    write()
  })
  expect([413, undefined]).toContain(status)
  expect(sent).toBeLessThan(50 * 1024 * 1024)
  expect((await send(to, clickBody('U1'))).status).toBe(200)
})

test('buttons of others are none of our business', async () => {
  const to = await replica()
  const answer = await send(
    to,
    new URLSearchParams({ payload: JSON.stringify({ type: 'view_submission', user: { id: 'U1' } }) }).toString(),
  )
  expect(answer.status).toBe(200)
  expect(decisions()).toEqual([])
})

test('Slack gets its answer in time although the work takes longer, and the click still counts', async () => {
  const to = await replica({ answerWithinMs: 20 })
  let release = () => {}
  const after = new Promise<void>((resolve) => {
    release = resolve
  })
  slack.broken.set('users.info', { after })
  expect((await send(to, clickBody('U1'))).status).toBe(200)
  expect(decisions()).toEqual([])
  release()
  await to.endpoint.settled()
  expect(state()).toBe('Approved')
})

test('a response_url that does not lead to Slack is not called', async () => {
  let called = 0
  const trap = await startFakeSlack()
  const to = await replica()
  await send(to, clickBody('U1', { replyTo: `${trap.origin}/hooks/x` }))
  await quiet()
  called = trap.replies.length
  await trap.stop()
  expect(called).toBe(0)
  expect(log.text()).toContain('this is no address of Slack')
  expect(state()).toBe('Approved')
})
