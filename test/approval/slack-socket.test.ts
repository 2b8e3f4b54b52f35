import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { SlackInteractions } from '../../src/approval/slack-interactions.ts'
import { type SlackSocket, startSlackSocket } from '../../src/approval/slack-socket.ts'
import { systemRuntime } from '../../src/runtime.ts'
import { type FakeSocket, startFakeSocket } from './fake-socket.ts'
import { readableLog } from './questions.ts'

const appToken = 'xapp-very-secret-token'
let slack: FakeSocket
let log: ReturnType<typeof readableLog>
let sockets: SlackSocket[]
let handled: unknown[]
let connected: boolean[]
let handle: SlackInteractions['handle']
const unhandled: unknown[] = []
const onUnhandled = (reason: unknown) => unhandled.push(reason)

function connect(answerWithinMs?: number): SlackSocket {
  const socket = startSlackSocket({
    appToken,
    interactions: {
      handle: (payload, late) => {
        handled.push(payload)
        return handle(payload, late)
      },
    },
    runtime: systemRuntime,
    log: log.log,
    apiUrl: slack.apiUrl,
    backoff: { firstMs: 10, maxMs: 40 },
    onConnected: (now) => connected.push(now),
    ...(answerWithinMs === undefined ? {} : { answerWithinMs }),
  })
  sockets.push(socket)
  return socket
}

const isOpen = (count = 1) => expect.poll(() => slack.open.length, { timeout: 10_000 }).toBe(count)

beforeEach(async () => {
  slack = await startFakeSocket()
  log = readableLog()
  sockets = []
  handled = []
  connected = []
  unhandled.length = 0
  handle = async () => ({ result: 'Recorded' })
  process.on('unhandledRejection', onUnhandled)
})
afterEach(async () => {
  await Promise.all(sockets.map((socket) => socket.stop()))
  await slack.stop()
  process.off('unhandledRejection', onUnhandled)
  expect(unhandled).toEqual([])
  expect(log.text()).not.toContain(appToken)
  expect(log.text()).not.toContain('secret-ticket')
})

test('a click arrives and is acknowledged', async () => {
  connect()
  await isOpen()
  expect(await slack.deliver({ type: 'block_actions', user: { id: 'U1' } })).toEqual({})
  expect(handled).toEqual([{ type: 'block_actions', user: { id: 'U1' } }])
  expect(connected).toEqual([true])
})

test('what a dialog is answered stands in the acknowledgement', async () => {
  const answer = { response_action: 'errors', errors: { sluice_field: 'This question is closed' } }
  handle = async () => ({ result: 'Closed', answer })
  connect()
  await isOpen()
  expect(await slack.deliver({ type: 'view_submission' })).toEqual(answer)
})

test('Slack has its acknowledgement in time although the work takes longer, and the work knows', async () => {
  const late = Promise.withResolvers<boolean>()
  handle = async (_, signal) => {
    await new Promise((resolve) => signal?.addEventListener('abort', resolve))
    late.resolve(signal?.aborted === true)
    return { result: 'Closed', answer: { response_action: 'errors' } }
  }
  connect(20)
  await isOpen()
  expect(await slack.deliver({ type: 'view_submission' })).toEqual({})
  expect(await late.promise).toBe(true)
})

test('what is not for us is acknowledged and nothing else', async () => {
  connect()
  await isOpen()
  expect(await slack.deliver({ event: { type: 'message' } }, 'events_api')).toEqual({})
  expect(await slack.deliver({ command: '/x' }, 'slash_commands')).toEqual({})
  expect(handled).toEqual([])
})

test('each replica holds a connection, and clicks reach either', async () => {
  connect()
  connect()
  await isOpen(2)
  await slack.deliver({ n: 1 })
  await slack.deliver({ n: 2 })
  expect(handled).toEqual([{ n: 1 }, { n: 2 }])
})

describe('connects again', () => {
  test.each([
    ['when Slack asks for it', () => slack.open[0]?.send('{"type":"disconnect","reason":"refresh_requested"}')],
    ['when the connection is cut', () => slack.open[0]?.cut()],
  ])('%s', async (_, happen) => {
    connect()
    await isOpen()
    happen()
    await expect.poll(() => slack.asked, { timeout: 10_000 }).toBe(2)
    await isOpen()
    expect(await slack.deliver({ n: 1 })).toEqual({})
    expect(connected).toEqual([true, false, true])
  })

  test.each([
    [{ error: 'internal_error' }],
    [{ status: 429 }],
    [{ status: 500 }],
    [{ status: 200, body: '<html>maintenance</html>' }],
    [{ body: '{"ok":true}' }],
    [{ refuse: true }],
  ])('once Slack is well again: %j', async (trouble) => {
    slack.trouble = trouble
    connect()
    await expect.poll(() => slack.asked, { timeout: 10_000 }).toBeGreaterThan(2)
    slack.trouble = {}
    await isOpen()
    expect(await slack.deliver({ n: 1 })).toEqual({})
    expect(log.lines.filter(({ msg, level }) => String(msg).includes('not connected') && level !== 20)).toHaveLength(1)
  })

  test('with a token that Slack does not take: said once, with what to do, and tried on', async () => {
    slack.trouble = { error: 'invalid_auth' }
    connect()
    await expect.poll(() => slack.asked, { timeout: 10_000 }).toBeGreaterThan(2)
    const said = log.lines.filter(({ level }) => level === 50)
    expect(said).toMatchObject([
      { why: 'invalid_auth', fix: expect.stringContaining('SLUICE_SLACK_APP_TOKEN'), msg: expect.any(String) },
    ])
    slack.trouble = {}
    await isOpen()
  })
})

test.each(['null', '{"type":"events_api"}', 'no JSON', '[]'])(
  'a message that is none ends nothing: %s',
  async (text) => {
    connect()
    await isOpen()
    slack.open[0]?.send(text)
    expect(await slack.deliver({ n: 1 })).toEqual({})
  },
)

describe('stops', () => {
  test('with an open connection', async () => {
    const socket = connect()
    await isOpen()
    await socket.stop()
    await isOpen(0)
    expect(slack.asked).toBe(1)
  })

  test('while it waits for Slack to say hello', async () => {
    slack.trouble = { silent: true }
    const socket = connect()
    await expect.poll(() => slack.asked).toBe(1)
    await socket.stop()
    expect(connected).toEqual([false])
  })
})
