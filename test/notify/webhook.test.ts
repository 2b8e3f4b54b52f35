import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import nock from 'nock'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Notification } from '../../src/notify/notifier.ts'
import { type Destination, signWebhook, type WebhookConfig, webhookNotifier } from '../../src/notify/webhook.ts'
import { clock, readableLog } from '../approval/questions.ts'

const promoted: Notification = {
  rollout: 'shop/checkout',
  topic: 'promoted',
  message: 'v2 serves all traffic',
  details: { revision: 'v2-abc', attempt: 3 },
  facts: { uid: 'u1', revision: 'v2-abc', weight: { from: 50, to: 100 } },
}

let log: ReturnType<typeof readableLog>
let lost: number
beforeEach(() => {
  log = readableLog()
  lost = 0
})

function open(url: string, { secret, ...over }: Partial<WebhookConfig & Destination> = {}) {
  const backoff = { firstMs: 2, maxMs: 10 }
  const destination = async () => ({ url, ...(secret ? { secret } : {}) })
  const common = { name: 'test', runtime: clock(), log: log.log, backoff, onLost: () => lost++ }
  return webhookNotifier({ ...common, destination, ...over })
}

describe('over a real connection', () => {
  let server: http.Server
  let url: string
  const received: { body: string; headers: http.IncomingHttpHeaders; path: string }[] = []
  let answers: { status: number; headers?: Record<string, string>; hang?: boolean }[] = []

  beforeAll(async () => {
    server = http.createServer(async (request, response) => {
      const chunks: Buffer[] = []
      for await (const chunk of request) chunks.push(chunk)
      received.push({ body: Buffer.concat(chunks).toString(), headers: request.headers, path: request.url ?? '' })
      const { status, headers, hang } = answers.shift() ?? { status: 204 }
      if (!hang) response.writeHead(status, headers).end()
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/in?key=hunter2`
  })
  beforeEach(() => {
    received.length = 0
    answers = []
  })
  afterAll(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })

  test('one signed POST says what happened', async () => {
    const notifier = open(url, { secret: 's3cret' })
    notifier.notify(promoted)
    await notifier.stop()
    expect(received).toHaveLength(1)
    const { body, headers, path } = received[0]!
    expect(path).toBe('/in?key=hunter2')
    expect(JSON.parse(body)).toMatchObject({
      id: headers['x-sluice-delivery'],
      at: '2026-03-02T12:00:00.000Z',
      rollout: { namespace: 'shop', name: 'checkout' },
      topic: 'promoted',
      message: 'v2 serves all traffic',
      revision: 'v2-abc',
    })
    expect(headers['x-sluice-event']).toBe('promoted')
    const timestamp = String(headers['x-sluice-timestamp'])
    expect(headers['x-sluice-signature']).toBe(signWebhook('s3cret', timestamp, body))
    expect(headers['x-sluice-signature']).not.toBe(signWebhook('other', timestamp, body))
  })

  test('a receiver that is busy gets the same message again, with the same id', async () => {
    answers = [{ status: 503 }, { status: 429, headers: { 'retry-after': '0' } }, { status: 200 }]
    const notifier = open(url)
    notifier.notify(promoted)
    await notifier.stop()
    expect(received).toHaveLength(3)
    expect(new Set(received.map(({ body }) => body)).size).toBe(1)
    expect(received[0]?.headers['x-sluice-signature']).toBeUndefined()
    expect(lost).toBe(0)
  })

  test('an answer that does not come in time counts as none', async () => {
    answers = [{ status: 0, hang: true }, { status: 200 }]
    const notifier = open(url, { timeoutMs: 100 })
    notifier.notify(promoted)
    await notifier.stop()
    expect(log.text()).toContain('no answer within 0.1 s')
    expect(received.length).toBeGreaterThanOrEqual(2)
    expect(lost).toBe(0)
  })

  test('is checked with openssl as the documentation says', async () => {
    const notifier = open(url, { secret: 's3cret' })
    notifier.notify(promoted)
    await notifier.stop()
    const { body, headers } = received[0]!
    const [line] = /^openssl dgst .*$/m.exec(readFileSync('docs/notifications.md', 'utf8')) ?? []
    const signed = `v1:${headers['x-sluice-timestamp']}:${body}`
    const { stdout } = spawnSync('sh', ['-c', String(line)], { input: signed, env: { ...process.env, KEY: 's3cret' } })
    expect(`v1=${String(stdout).trim().split(' ').at(-1)}`).toBe(headers['x-sluice-signature'])
  })

  test('news of one Rollout arrive in order, also while the receiver is busy now and then', async () => {
    answers = [{ status: 500 }, { status: 204 }, { status: 503 }]
    const notifier = open(url)
    for (let i = 0; i < 6; i++) notifier.notify({ ...promoted, message: String(i), rollout: `shop/${i % 2}` })
    await notifier.stop()
    const arrived = received.map(({ body }) => JSON.parse(body))
    const of = (name: string) => [...new Set(arrived.filter((b) => b.rollout.name === name).map((b) => b.message))]
    expect([of('0'), of('1')]).toEqual([
      ['0', '2', '4'],
      ['1', '3', '5'],
    ])
  })

  test('a happening that has an id keeps it', async () => {
    const notifier = open(url)
    notifier.notify({ ...promoted, id: 'happening-1', at: '2026-01-01T00:00:00.000Z' })
    await notifier.stop()
    expect(received[0]?.headers['x-sluice-delivery']).toBe('happening-1')
    expect(JSON.parse(received[0]!.body)).toMatchObject({ id: 'happening-1', at: '2026-01-01T00:00:00.000Z' })
  })

  test('two notifications have two ids', async () => {
    const notifier = open(url)
    notifier.notify(promoted)
    notifier.notify(promoted)
    await notifier.stop()
    expect(new Set(received.map(({ headers }) => headers['x-sluice-delivery'])).size).toBe(2)
  })

  test.each([{ status: 400 }, { status: 410 }, { status: 302, headers: { location: 'http://169.254.169.254/' } }])(
    'an answer of %j is final: said in the log, without path or query',
    async (answer) => {
      answers = [answer]
      const notifier = open(url)
      notifier.notify(promoted)
      await notifier.stop()
      expect(received).toHaveLength(1)
      expect(lost).toBe(1)
      expect(log.text()).toContain(`answered ${answer.status}`)
      expect(log.text()).not.toMatch(/hunter2|\/in/)
    },
  )
})

describe('while the receiver cannot be reached', () => {
  beforeAll(() => nock.disableNetConnect())
  afterEach(() => nock.cleanAll())
  afterAll(() => {
    nock.enableNetConnect()
    nock.restore()
  })

  test('it is tried again, and the log does not quote the URL', async () => {
    const error = Object.assign(new Error('connect ECONNREFUSED https://hooks.example.com/secret-path'), {
      code: 'ECONNREFUSED',
    })
    nock('https://hooks.example.com').post('/secret-path').replyWithError(error)
    nock('https://hooks.example.com').post('/secret-path').reply(200)
    const notifier = open('https://hooks.example.com/secret-path')
    notifier.notify(promoted)
    await notifier.stop()
    expect(nock.isDone()).toBe(true)
    expect(lost).toBe(0)
    expect(log.text()).toContain('https://hooks.example.com: ECONNREFUSED')
    expect(log.text()).not.toContain('secret-path')
  })
})
