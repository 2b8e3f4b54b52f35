import nock from 'nock'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Notification } from '../../src/notify/notifier.ts'
import { renderNotification, slackNotifier } from '../../src/notify/slack.ts'
import { createSlackApi } from '../../src/notify/slack-api.ts'
import { escapeSlack, fitSection, slackCode } from '../../src/notify/slack-text.ts'
import { createSlackThreads, type ThreadMemory } from '../../src/notify/slack-threads.ts'
import { type FakeSlack, startFakeSlack } from '../approval/fake-slack.ts'
import { clock, readableLog } from '../approval/questions.ts'

const token = 'xoxb-very-secret-token'
const note = (over: Partial<Notification> = {}): Notification => ({
  rollout: 'shop/checkout',
  topic: 'step',
  message: 'now at 10 %',
  details: { attempt: 1 },
  ...over,
})

describe('in the channel', () => {
  let slack: FakeSlack
  let log: ReturnType<typeof readableLog>
  beforeAll(async () => {
    slack = await startFakeSlack()
  })
  afterAll(() => slack.stop())
  beforeEach(() => {
    slack.messages.clear()
    slack.calls.length = 0
    slack.broken.clear()
    log = readableLog()
    kept.clear()
    failing = false
  })

  const kept = new Map<string, Readonly<Record<string, string>>>()
  let failing = false
  const memory: ThreadMemory = {
    load: ({ rollout, attempt }, channel) => kept.get(`${rollout} ${attempt}`)?.[channel],
    async save({ rollout, attempt }, threads) {
      if (failing) throw new Error('no API server')
      kept.set(`${rollout} ${attempt}`, threads)
    },
  }
  const shown = () => [...slack.messages.values()]

  function open() {
    const runtime = clock()
    const api = createSlackApi({ token, log: log.log, apiUrl: slack.apiUrl, timeoutMs: 5_000, now: runtime.now })
    const notifier = slackNotifier({
      api,
      threads: createSlackThreads({ memory, log: log.log }),
      runtime,
      log: log.log,
      backoff: { firstMs: 2, maxMs: 10 },
    })
    return {
      notify: (told: Notification, channel = 'C1') => notifier.notify(told, channel),
      stop: () => notifier.stop(),
    }
  }

  test('one thread an attempt; how it ends stands in the channel too', async () => {
    const notifier = open()
    notifier.notify(note({ topic: 'started', message: 'starts' }))
    notifier.notify(note())
    notifier.notify(note({ rollout: 'shop/cart', topic: 'started', message: 'starts' }))
    notifier.notify(note({ topic: 'rolledBack', message: 'went back' }))
    notifier.notify(note({ topic: 'started', message: 'starts again', details: { attempt: 2 } }))
    await notifier.stop()
    const [first] = slack.messages.keys()
    expect([...slack.messages.values()].map(({ text, threadTs }) => [text, threadTs])).toEqual([
      ['shop/checkout: starts', undefined],
      ['shop/checkout: now at 10 %', first],
      ['shop/cart: starts', undefined],
      ['shop/checkout: went back', first],
      ['shop/checkout: starts again', undefined],
    ])
    expect(shown().map(({ broadcast }) => broadcast ?? false)).toEqual([false, false, false, true, false])
    expect(slack.calls[0]?.body).toMatchObject({ channel: 'C1', link_names: 'false', unfurl_links: 'false' })
  })

  test('each channel has a thread of its own', async () => {
    const notifier = open()
    for (const channel of ['C1', '#deploys', 'C1', '#deploys']) notifier.notify(note(), channel)
    await notifier.stop()
    const [one, two] = slack.messages.keys()
    expect(shown().map(({ channel, threadTs }) => [channel, threadTs])).toEqual([
      ['C1', undefined],
      ['#deploys', undefined],
      ['C1', one],
      ['#deploys', two],
    ])
  })

  test('a restart goes on with the thread, and forgets those of earlier attempts', async () => {
    const before = open()
    before.notify(note({ topic: 'started', message: 'starts' }))
    await before.stop()
    const after = open()
    after.notify(note())
    after.notify(note({ details: { attempt: 2 } }))
    await after.stop()
    const [first] = slack.messages.keys()
    expect(shown().map(({ threadTs }) => threadTs)).toEqual([undefined, first, undefined])
  })

  test('a thread that somebody has deleted is begun anew', async () => {
    const before = open()
    before.notify(note({ topic: 'started', message: 'starts' }))
    await before.stop()
    slack.messages.clear()
    const after = open()
    after.notify(note({ message: 'one' }))
    after.notify(note({ message: 'two' }))
    await after.stop()
    const [first] = slack.messages.keys()
    expect(shown().map(({ text, threadTs }) => [text, threadTs])).toEqual([
      ['shop/checkout: one', undefined],
      ['shop/checkout: two', first],
    ])
  })

  test('a thread whose place could not be kept is told all the same', async () => {
    failing = true
    const notifier = open()
    notifier.notify(note())
    notifier.notify(note())
    await notifier.stop()
    const [first] = slack.messages.keys()
    expect(shown().map(({ threadTs }) => threadTs)).toEqual([undefined, first])
    expect(log.text()).toContain('could not record where the thread is')
  })

  test('what belongs to no attempt stands alone', async () => {
    const notifier = open()
    notifier.notify(note({ details: {} }))
    notifier.notify(note({ details: {} }))
    await notifier.stop()
    expect(shown().map(({ threadTs }) => threadTs)).toEqual([undefined, undefined])
  })

  test('a question is not posted twice: the approval has its own message', async () => {
    const notifier = open()
    notifier.notify(note({ topic: 'approval', message: 'asks' }))
    await notifier.stop()
    expect(slack.calls).toEqual([])
  })

  test('waits when Slack says so, and then tells everything in order', async () => {
    slack.broken.set('chat.postMessage', { status: 429, retryAfter: '0' })
    const notifier = open()
    notifier.notify(note({ message: 'one' }))
    await expect.poll(() => log.text()).toContain('rate limited')
    slack.broken.clear()
    await notifier.stop()
    expect([...slack.messages.values()].map(({ text }) => text)).toEqual(['shop/checkout: one'])
  })
})

test('no answer in time is no answer', async () => {
  const slack = await startFakeSlack()
  slack.broken.set('users.info', { hang: true })
  const api = createSlackApi({ token, log: readableLog().log, apiUrl: slack.apiUrl, timeoutMs: 30, now: () => 0 })
  await expect(api.user('U1')).rejects.toMatchObject({ permanent: false, message: 'Slack users.info: no answer' })
  await slack.stop()
})

describe('text', () => {
  test('cannot mention, link or break out of code', () => {
    const { text, blocks } = renderNotification(note({ message: '<!channel> & <@U1>', details: { 'a<b': '<!here>' } }))
    expect(text).toBe('shop/checkout: &lt;!channel&gt; &amp; &lt;@U1&gt;')
    expect(JSON.stringify(blocks)).not.toMatch(/<[!@]/)
    expect(slackCode('v2`<!here>`\nx')).toBe('`v2 &lt;!here&gt; x`')
  })

  test('is cut where it is too long, but not in the middle of an escape', () => {
    const long = escapeSlack('&'.repeat(1_000))
    const cut = fitSection(long)
    expect(cut.length).toBeLessThanOrEqual(2_900)
    expect(cut.replace(/&amp;/g, '')).toBe('…')
    expect(fitSection('short')).toBe('short')
  })
})

describe('errors of the Web API', () => {
  const call = (now = 0) => createSlackApi({ token, log: readableLog().log, timeoutMs: 100, now: () => now }).user('U1')
  const scope = () => nock('https://slack.com').post('/api/users.info')
  beforeAll(() => nock.disableNetConnect())
  afterEach(() => nock.cleanAll())
  afterAll(() => {
    nock.enableNetConnect()
    nock.restore()
  })

  test('say what Slack said, whether to try again and when, and never the token', async () => {
    const cases: [() => void, object][] = [
      [
        () => scope().reply(200, { ok: false, error: 'user_not_found' }),
        { permanent: true, message: 'Slack users.info: user_not_found' },
      ],
      [() => scope().reply(200, { ok: false, error: 'fatal_error' }), { permanent: false }],
      [() => scope().reply(200, { ok: false, error: 'ratelimited' }), { permanent: false, retryAfterMs: 30_000 }],
      [() => scope().reply(429, '', { 'retry-after': '7' }), { permanent: false, retryAfterMs: 7_000 }],
      [() => scope().reply(503, 'upstream'), { permanent: false, message: 'Slack users.info: HTTP 503' }],
      [() => scope().reply(403, 'no'), { permanent: true }],
      [() => scope().reply(200, '<html>'), { permanent: false }],
      [
        () => scope().replyWithError(`socket hang up ${token}`),
        { permanent: false, message: 'Slack users.info: no answer' },
      ],
    ]
    for (const [prepare, expected] of cases) {
      prepare()
      const error = await call().catch((reason: unknown) => reason)
      expect(error).toMatchObject({ name: 'DeliveryFailed', ...expected })
      expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain(token)
      nock.cleanAll()
    }
  })
})
