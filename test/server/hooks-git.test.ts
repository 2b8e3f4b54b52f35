import { execFile } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import http from 'node:http'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { systemRuntime } from '../../src/runtime.ts'
import { gitHookEndpoint } from '../../src/server/hooks-git.ts'
import { createMetrics } from '../../src/server/metrics.ts'
import { createServer, type RunningServer } from '../../src/server/server.ts'
import { readableLog } from '../approval/questions.ts'

let server: RunningServer
let log: ReturnType<typeof readableLog>
let arrived: string[]
let tokens: Map<string, string>

beforeEach(async () => {
  log = readableLog()
  arrived = []
  tokens = new Map([
    ['delivery/shop-config', 'hunter2'],
    ['delivery/proposing', 'hunter2'],
  ])
  const well = { ok: true, message: '' }
  const source = { url: 'https://github.com/shop/config.git', branch: 'main' }
  const proposing = { ...source, pullRequests: true }
  server = await createServer({
    listen: '127.0.0.1:0',
    runtime: systemRuntime,
    log: log.log,
    health: { live: () => well, ready: () => well },
    metrics: createMetrics(),
    webhooks: [
      gitHookEndpoint({
        sourceOf: (key) =>
          key === 'delivery/proposing'
            ? proposing
            : ['delivery/shop-config', 'delivery/no-secret'].includes(key)
              ? source
              : undefined,
        tokenOf: async (key) => tokens.get(key),
        arrived: (key, sender) => void arrived.push(`${key} ${sender}`),
        runtime: systemRuntime,
        log: log.log,
      }),
    ],
  })
})
afterEach(() => server.stop())

const push = (branch = 'main', repository = 'shop/config') => ({
  ref: `refs/heads/${branch}`,
  repository: { full_name: repository },
})

interface Given {
  key?: string
  body?: unknown
  event?: string
  token?: string
}

async function deliver({ key = 'delivery/shop-config', body = push(), event = 'push', token = 'hunter2' }: Given = {}) {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  const answer = await fetch(`${server.url}/hooks/git/${key}`, {
    method: 'POST',
    body: text,
    headers: {
      'content-type': 'application/json',
      'x-github-event': event,
      'x-hub-signature-256': `sha256=${createHmac('sha256', token).update(text).digest('hex')}`,
    },
  })
  return [answer.status, await answer.json()] as const
}

describe('a signed webhook', () => {
  test('of a push to the branch has the source looked at', async () => {
    expect(await deliver()).toEqual([202, { message: 'looking at main' }])
    expect(arrived).toEqual(['delivery/shop-config GitHub'])
  })

  test.each<[string, Given, string]>([
    ['another branch', { body: push('dev') }, 'ignored: this source reads main'],
    ['another repository', { body: push('main', 'shop/app') }, 'ignored: this source reads another repository'],
    ['a tag', { body: { ref: 'refs/tags/main' } }, 'ignored: this source reads main'],
    ['a pull request', { event: 'pull_request' }, 'ignored: pull requests do not matter here'],
    ['an issue', { event: 'issues' }, 'ignored: only pushes matter here'],
  ])('of %s is taken and ignored', async (_, given, message) => {
    expect(await deliver(given)).toEqual([202, { message }])
    expect(arrived).toEqual([])
  })

  test('of a pull request matters where state goes by them, whatever its branch', async () => {
    const body = push('sluice/shop-checkout')
    expect((await deliver({ key: 'delivery/proposing', event: 'pull_request', body }))[0]).toBe(202)
    expect(arrived).toEqual(['delivery/proposing GitHub'])
  })

  test('is answered when it is the forge’s trial', async () => {
    expect(await deliver({ event: 'ping', body: { zen: 'x' } })).toEqual([
      200,
      { message: 'pong: delivery/shop-config reads main' },
    ])
    expect(arrived).toEqual([])
  })

  test('that says nothing more is news', async () => {
    expect((await deliver({ body: 'anything' }))[0]).toBe(202)
    expect(arrived).toHaveLength(1)
  })

  test('of a push with 20 MB of commits is checked as it passes, and is news', async () => {
    const body = `${JSON.stringify(push()).slice(0, -1)},"commits":"${'x'.repeat(20 * 1024 * 1024)}"}`
    expect(await deliver({ body })).toEqual([202, { message: 'looking at main' }])
    expect((await deliver({ body, token: 'wrong' }))[0]).toBe(401)
    expect(arrived).toHaveLength(1)
  })

  test('is sent as the documentation says', async () => {
    const script = /^body='[\s\S]*?shop-config"$/m.exec(readFileSync('docs/webhooks.md', 'utf8'))?.[0] ?? ''
    const env = { ...process.env, TOKEN: 'hunter2', URL: server.url }
    const { stdout } = await promisify(execFile)('sh', ['-c', script], { env })
    expect(JSON.parse(stdout)).toEqual({ message: 'looking at main' })
  })

  test('that is replayed has the branch looked at once more, and no more', async () => {
    await deliver()
    expect(await deliver()).toEqual([202, { message: 'looking at main' }])
    expect(arrived).toHaveLength(2)
  })
})

describe('a webhook that nobody can answer for', () => {
  test('is refused in the same words, whatever is wrong, and the log says what it was', async () => {
    const strangers: Given[] = [
      { token: 'wrong' },
      { key: 'delivery/unknown' },
      { key: 'delivery/no-secret' },
      { key: 'delivery/shop-config', event: 'ping', token: 'wrong' },
      { key: '..%2F..%2Fkube-system/x' },
      { key: `delivery/${'x'.repeat(2_000)}` },
    ]
    const answers = []
    for (const given of strangers) answers.push(JSON.stringify(await deliver(given)))
    expect(new Set(answers).size).toBe(1)
    expect(answers[0]).toMatch(/^\[401,/)
    expect(arrived).toEqual([])
    for (const why of ['unknown source', 'no token', 'wrong signature']) expect(log.text()).toContain(why)
    expect(log.text()).not.toContain('hunter2')
  })

  test('does not fill the log, however often it comes', async () => {
    for (let i = 0; i < 60; i++) await deliver({ token: 'wrong' })
    expect(log.lines.filter((line) => line.msg === 'webhook refused')).toHaveLength(20)
  })

  test('is not read when it says that it has 100 MB', async () => {
    const { hostname, port } = new URL(server.url)
    const status = await new Promise((resolve, reject) => {
      const headers = { 'content-length': 100 * 1024 * 1024 }
      const request = http.request({ hostname, port, path: '/hooks/git/delivery/shop-config', method: 'POST', headers })
      request.on('response', (response) => resolve(response.statusCode))
      request.on('error', reject)
      // Only the beginning: the answer comes without the rest.
      request.write('{')
    })
    expect(status).toBe(413)
  })
})
