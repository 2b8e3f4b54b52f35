import http from 'node:http'
import type { AddressInfo } from 'node:net'
import nock from 'nock'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Notification } from '../../src/notify/notifier.ts'
import { signWebhook, type WebhookConfig, webhookNotifier } from '../../src/notify/webhook.ts'
import { clock, readableLog } from '../approval/questions.ts'

const promoted: Notification = {
  rollout: 'shop/checkout',
  topic: 'promoted',
  message: 'v2 serves all traffic',
  details: { revision: 'v2-abc', attempt: 3 },
}

let log: ReturnType<typeof readableLog>
let lost: number
beforeEach(() => {
  log = readableLog()
  lost = 0
})

function open(url: string, over: Partial<WebhookConfig> = {}) {
  const backoff = { firstMs: 2, maxMs: 10 }
  return webhookNotifier({ url, runtime: clock(), log: log.log, backoff, onLost: () => lost++, ...over })
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
      details: { revision: 'v2-abc', attempt: 3 },
    })
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
