import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createNotices, type NoticesOptions } from '../../src/controller/notices.ts'
import { createNamedSecrets } from '../../src/controller/secrets.ts'
import type { EventInput } from '../../src/kube/event-message.ts'
import { KubeError } from '../../src/kube/kube-error.ts'
import type { KubeObject } from '../../src/kube/object.ts'
import type { Notification } from '../../src/notify/notifier.ts'
import type { Plan } from '../../src/plan/effects.ts'
import { systemRuntime } from '../../src/runtime.ts'
import { readableLog } from '../approval/questions.ts'

let received: { path: string; headers: http.IncomingHttpHeaders; body: Record<string, unknown> }[]
let server: http.Server
let url: string
let secrets: Record<string, Record<string, string> | 'forbidden'>
let sources: Record<string, KubeObject>
let events: string[]
let lost: string[]
let inSlack: [string, Notification][]
let log: ReturnType<typeof readableLog>

beforeEach(async () => {
  received = []
  secrets = {}
  sources = {}
  events = []
  lost = []
  inSlack = []
  log = readableLog()
  server = http.createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const path = request.url ?? ''
    received.push({ path, headers: request.headers, body: JSON.parse(Buffer.concat(chunks).toString()) })
    response.writeHead(path === '/gone' ? 410 : 204).end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterEach(async () => {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})

function open(over: Partial<NoticesOptions> = {}) {
  const client = {
    async get(_: unknown, { namespace, name }: { namespace?: string; name: string }) {
      const found = secrets[`${namespace}/${name}`]
      if (found === 'forbidden') throw new KubeError('no', { status: 403, reason: 'Forbidden' })
      if (!found) return undefined
      const data = Object.fromEntries(Object.entries(found).map(([k, v]) => [k, Buffer.from(v).toString('base64')]))
      return { apiVersion: 'v1', kind: 'Secret', metadata: { namespace, name }, data }
    },
  }
  return createNotices({
    own: {},
    slack: () => ({ notify: (told, channel) => void inSlack.push([channel, told]), stop: async () => undefined }),
    secrets: createNamedSecrets(client, systemRuntime),
    source: (key) => sources[key],
    cluster: () => 'prod-eu',
    events: {
      record: ({ regarding, type, reason, message }: EventInput) => {
        const name = 'metadata' in regarding ? regarding.metadata.name : regarding.name
        events.push(`${type} ${name} ${reason}: ${message}`)
      },
    },
    metrics: { notificationLost: (adapter) => void lost.push(adapter) },
    runtime: systemRuntime,
    log: log.log,
    backoff: { firstMs: 1, maxMs: 2 },
    ...over,
  })
}

function rollout(spec: Record<string, unknown>, name = 'checkout', namespace = 'shop'): KubeObject {
  const metadata = { namespace, name, uid: `uid-${name}`, resourceVersion: '7' }
  return { apiVersion: 'sluice.dev/v1alpha1', kind: 'Rollout', metadata, spec, status: { step: { weight: 10 } } }
}

const rolledBack: Plan['effects'][number] & { kind: 'notify' } = {
  kind: 'notify',
  topic: 'rolledBack',
  message: 'v2 rolled back: success-rate 93.1% < 99.5%',
}
function planned(effect: Plan['effects'][number] = rolledBack): Plan {
  const at = '2026-03-02T12:00:00.000Z'
  const status: Plan['status'] = {
    phase: 'RolledBack',
    attempt: 7,
    stepSummary: '0/3',
    step: { index: 0, weight: 0, since: at },
    lastOutcome: { revision: 'v2-abc', result: 'RolledBack', reason: 'success-rate', message: 'bad', at },
  }
  return { status, fallback: status, effects: [effect], measuring: false }
}

describe('a webhook that a Rollout names', () => {
  test('gets all that is documented, signed with the key of its Secret', async () => {
    secrets['shop/hook'] = { url: `${url}/in`, secret: 's3cret' }
    const notices = open()
    notices.tell(rollout({ notify: [{ webhook: { secretRef: { name: 'hook' } } }] }), rolledBack, planned())
    await notices.stop(5_000)
    expect(received).toHaveLength(1)
    expect(received[0]?.headers['x-sluice-signature']).toMatch(/^v1=[0-9a-f]{64}$/)
    expect(received[0]?.body).toEqual({
      id: received[0]?.headers['x-sluice-delivery'],
      at: expect.any(String),
      cluster: 'prod-eu',
      rollout: { namespace: 'shop', name: 'checkout', uid: 'uid-checkout' },
      topic: 'rolledBack',
      message: rolledBack.message,
      phase: 'RolledBack',
      reason: 'success-rate',
      attempt: 7,
      revision: 'v2-abc',
      step: { index: 0, of: 3 },
      weight: { from: 10, to: 0 },
    })
  })

  test('gets the same id when a restarted controller tells the same again, and another when it happens again', async () => {
    const told = rollout({ notify: [{ webhook: { url } }] })
    for (const version of ['7', '7', '8']) {
      const notices = open()
      const metadata = { ...told.metadata, resourceVersion: version }
      notices.tell({ ...told, metadata }, rolledBack, planned())
      await notices.stop(5_000)
    }
    const ids = received.map(({ body }) => body.id)
    expect(ids[0]).toBe(ids[1])
    expect(ids[2]).not.toBe(ids[0])
  })

  test.each<[string, Record<string, Record<string, string> | 'forbidden'>, Record<string, unknown>, string]>([
    ['is missing', {}, {}, 'the Secret shop/hook does not exist'],
    ['may not be read', { 'shop/hook': 'forbidden' }, {}, 'may not be read; bind the ClusterRole sluice-secret-reader'],
    ['has no url', { 'shop/hook': { secret: 'x' } }, {}, 'has no url'],
    ['has another url', { 'shop/hook': { url: 'ftp://x/hunter2' } }, {}, 'is no http or https URL'],
    ['has no key', { 'shop/hook': { token: 'x' } }, { url: 'http://127.0.0.1:9/' }, 'has no secret to sign with'],
  ])('whose Secret %s is said once, and disturbs nobody else', async (_, given, more, why) => {
    secrets = given
    const notices = open()
    const notify = [{ webhook: { secretRef: { name: 'hook' }, ...more } }, { webhook: { url: `${url}/other` } }]
    for (const message of ['one', 'two', 'three']) {
      notices.tell(rollout({ notify }), { ...rolledBack, message }, planned())
    }
    await notices.stop(5_000)
    expect(received.map(({ path }) => path)).toEqual(['/other', '/other', '/other'])
    const failed = events.filter((event) => event.includes('NotifyFailed'))
    expect(failed).toHaveLength(1)
    expect(failed[0]).toContain(why)
    expect(notices.deadLetters.list().map(({ message }) => message)).toEqual(['three', 'two', 'one'])
    expect(lost).toEqual(['webhook', 'webhook', 'webhook'])
    expect(events.join() + log.text()).not.toContain('hunter2')
  })

  test('that refuses a message is an event, a metric and a dead letter', async () => {
    const notices = open()
    notices.tell(rollout({ notify: [{ webhook: { url: `${url}/gone` } }] }), rolledBack, planned())
    await notices.stop(5_000)
    expect(events.at(-1)).toMatch(
      /^Warning checkout NotificationLost: webhook http:\S+ was not told of rolledBack .*answered 410$/,
    )
    expect(notices.deadLetters.list()).toMatchObject([
      {
        rollout: 'shop/checkout',
        topic: 'rolledBack',
        place: `webhook ${url}`,
        attempts: 1,
        why: `${url} answered 410`,
      },
    ])
    expect(lost).toEqual(['webhook'])
  })

  test('that is lost for 1,000 Rollouts at once is said in a few events', async () => {
    const notices = open()
    for (let i = 0; i < 1_000; i++) {
      notices.tell(rollout({ notify: [{ webhook: { url: `${url}/gone` } }] }, `app-${i}`), rolledBack, planned())
    }
    await notices.stop(10_000)
    // 120 one by one, and a digest of the rest.
    expect(received).toHaveLength(121)
    expect(received.at(-1)?.body).toMatchObject({ topic: 'digest', digest: { count: 880 } })
    expect(events.filter((event) => event.includes('NotificationLost')).length).toBeLessThanOrEqual(20)
    expect(notices.deadLetters.list()).toHaveLength(121)
  })
})

describe('who is told', () => {
  const source = (spec: Record<string, unknown>): KubeObject => ({
    apiVersion: 'sluice.dev/v1alpha1',
    kind: 'RolloutSource',
    metadata: { namespace: 'delivery', name: 'config' },
    spec: { notify: [{ slack: { channel: '#source' } }], ...spec },
  })
  const own = { slackChannel: '#own' }
  const spec = { source: { namespace: 'delivery', name: 'config' } }
  const channels = () => inSlack.map(([channel]) => channel)

  test('the source’s channels, if it lets the namespace in; else the controller’s', async () => {
    const notices = open({ own })
    sources['delivery/config'] = source({ allowedNamespaces: ['shop'] })
    notices.tell(rollout(spec), rolledBack, planned())
    sources['delivery/config'] = source({ allowedNamespaces: ['other'] })
    notices.tell(rollout(spec, 'stranger'), rolledBack, planned())
    await notices.stop()
    expect(channels()).toEqual(['#source', '#own'])
  })

  test('nobody, where the list is empty; the event is there all the same', async () => {
    const notices = open({ own })
    notices.tell(rollout({ notify: [] }), { ...rolledBack, topic: 'stuck', message: 'nowhere to go' }, planned())
    await notices.stop()
    expect(channels()).toEqual([])
    expect(events).toEqual(['Warning checkout Stuck: nowhere to go'])
  })

  test('an event that the plan has is not doubled', async () => {
    const notices = open()
    const event = {
      kind: 'event',
      type: 'Warning',
      reason: 'RolledBack',
      message: 'success-rate 93.1% < 99.5%',
    } as const
    notices.tell(rollout({}), rolledBack, planned(event))
    await notices.stop()
    expect(events).toEqual([])
  })

  test('a question is not told to Slack as a notification, and is asked where the Rollout’s news go', async () => {
    const notices = open({ own })
    const mine = rollout({ notify: [{ slack: { channel: '#a' }, on: ['promoted'] }, { slack: { channel: '#b' } }] })
    notices.tell(mine, { kind: 'notify', topic: 'approval', message: 'may it?' }, planned())
    await notices.stop()
    expect(channels()).toEqual([])
    expect(notices.questionChannel(mine)).toBe('#b')
    expect(notices.questionChannel(rollout({}))).toBe('#own')
    expect(notices.questionChannel(rollout({ notify: [{ webhook: { url } }] }))).toBe('#own')
    expect(notices.questionChannel(rollout({ notify: [] }))).toBeUndefined()
  })

  test('a channel cannot be told without a token, which is said', async () => {
    const notices = open({ slack: undefined })
    notices.tell(rollout({ notify: [{ slack: { channel: '#a' } }] }), rolledBack, planned())
    await notices.stop()
    expect(events.at(-1)).toContain('NotifyFailed: slack #a cannot be told: the controller has no Slack token')
    expect(lost).toEqual(['slack'])
  })
})
