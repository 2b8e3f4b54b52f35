import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createApprovals } from '../../src/approval/approvals.ts'
import { observeApproval, readApproval } from '../../src/approval/object.ts'
import { signApproval } from '../../src/approval/webhook.ts'
import { approvalHooks } from '../../src/controller/approval-hooks.ts'
import type { NamedSecret } from '../../src/controller/secrets.ts'
import { signWebhook } from '../../src/notify/webhook.ts'
import { createMetrics } from '../../src/server/metrics.ts'
import { createServer, type RunningServer } from '../../src/server/server.ts'
import { type ObjectsServer, startObjectsServer } from './objects-server.ts'
import { type Clock, clock, owner, question, readableLog } from './questions.ts'

const key = 'a key of change-board, long enough'
let api: ObjectsServer
let server: RunningServer
let time: Clock
let log: ReturnType<typeof readableLog>
let secrets: Record<string, { label?: string; key?: string; previousKey?: string }>
let reads: string[]

beforeAll(async () => {
  api = await startObjectsServer(() => time.now())
  const health = { live: () => ({ ok: true, message: '' }), ready: () => ({ ok: true, message: '' }) }
  const lazyLog = readableLog()
  log = lazyLog
  const runtime = { ...clock(), now: () => time.now() }
  const approvals = createApprovals({ client: api.client, runtime, log: log.log })
  server = await createServer({
    listen: '127.0.0.1:0',
    runtime,
    log: log.log,
    health,
    metrics: createMetrics(),
    webhooks: [
      approvalHooks({
        approval: (name) => api.objects.get(name),
        approvals,
        secrets: {
          async read(namespace, name, maxAge): Promise<NamedSecret> {
            reads.push(`${namespace}/${name} ${maxAge ?? ''}`.trim())
            const secret = secrets[`${namespace}/${name}`]
            if (!secret) return { ok: false, message: `the Secret ${namespace}/${name} does not exist`, waiting: false }
            return {
              ok: true,
              text: (field) =>
                field === 'key' ? secret.key : field === 'previousKey' ? secret.previousKey : undefined,
              label: (name) => (name === 'sluice.dev/webhook' ? secret.label : undefined),
            }
          },
        },
        onResult: () => {},
        runtime,
        log: log.log,
      }),
    ],
  })
})
afterAll(async () => {
  await server.stop()
  await api.stop()
})
beforeEach(async () => {
  api.objects.clear()
  time = clock()
  reads = []
  secrets = { 'shop/change-board': { label: 'approver', key } }
  const approvals = createApprovals({ client: api.client, runtime: time, log: log.log })
  await approvals.ask(owner, question({ allowed: ['user:dana@example.com', 'webhook:change-board'] }))
})

const stored = () => readApproval(api.objects.get('shop/checkout-d1')!)!
const seen = () => observeApproval(api.objects.get('shop/checkout-d1')!, time.now())
const said = (over: object = {}) => ({ verdict: 'Approve', digest: 'd1', id: 'CHG1', ...over })

interface How {
  key?: string
  at?: number
  path?: string
  headers?: Record<string, string>
}

async function send(body: unknown, how: How = {}): Promise<{ status: number; json: Record<string, unknown> }> {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  const timestamp = String(Math.floor((how.at ?? time.now()) / 1000))
  const response = await fetch(`${server.url}/hooks/approvals/${how.path ?? 'shop/checkout-d1'}`, {
    method: 'POST',
    body: text,
    headers: {
      'x-sluice-timestamp': timestamp,
      'x-sluice-signature': signApproval(how.key ?? key, timestamp, text),
      ...how.headers,
    },
  })
  return { status: response.status, json: (await response.json()) as Record<string, unknown> }
}

test('the holder of the key decides, in the name of the key, whichever time it is delivered once', async () => {
  const answer = await send(said({ reason: 'CHG1 is approved' }))
  expect(answer).toMatchObject({ status: 200, json: { result: 'Recorded', state: 'Approved' } })
  expect(stored().spec.decisions).toMatchObject([
    { verdict: 'Approve', by: 'webhook:change-board', via: 'webhook', digest: 'd1', reason: 'CHG1 is approved' },
  ])
  expect(seen()).toMatchObject({ state: 'Approved', by: ['webhook:change-board'] })
  expect(await send(said())).toMatchObject({ status: 200, json: { result: 'Duplicate', state: 'Approved' } })
  expect(stored().spec.decisions).toHaveLength(1)
})

test('the same request at two replicas at once counts once', async () => {
  const answers = await Promise.all([send(said()), send(said()), send(said())])
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200])
  expect(stored().spec.decisions).toHaveLength(1)
})

test('it rejects', async () => {
  expect(await send(said({ verdict: 'Reject', reason: 'freeze' }))).toMatchObject({
    status: 200,
    json: { state: 'Rejected' },
  })
  expect(seen()).toMatchObject({ state: 'Rejected', reason: 'freeze' })
  expect(await send(said({ id: 'CHG2' }))).toMatchObject({ status: 409, json: { state: 'Rejected' } })
})

test('while a key is rotated both sign, and afterwards the new one', async () => {
  secrets = { 'shop/change-board': { label: 'approver', key: 'the new key, long enough', previousKey: key } }
  expect((await send(said())).status).toBe(200)
  secrets = { 'shop/change-board': { label: 'approver', key: 'the new key, long enough' } }
  expect((await send(said())).status).toBe(401)
  expect((await send(said(), { key: 'the new key, long enough' })).status).toBe(200)
})

test('the signature is the one that Sluice makes for what it sends', () => {
  expect(signApproval(key, 1_700_000_000, '{"ü":1}')).toBe(signWebhook(key, '1700000000', '{"ü":1}'))
})

describe('nothing moves, and a stranger learns nothing, for', () => {
  test.each<[string, () => Promise<{ status: number; json: Record<string, unknown> }>, string]>([
    ['another key', () => send(said(), { key: 'another key, long enough' }), 'wrong signature'],
    ['an old request', () => send(said(), { at: time.now() - 301_000 }), 'timestamp'],
    ['one of the future', () => send(said(), { at: time.now() + 301_000 }), 'timestamp'],
    ['no signature', () => send(said(), { headers: { 'x-sluice-signature': '' } }), 'no signature'],
    [
      'a signature of another length',
      () => send(said(), { headers: { 'x-sluice-signature': 'v1=00' } }),
      'wrong signature',
    ],
    [
      'another time than was signed',
      () => send(said(), { headers: { 'x-sluice-timestamp': '1772452801' } }),
      'wrong signature',
    ],
    ['a question that is not there', () => send(said(), { path: 'shop/other' }), 'unknown question'],
    ['another namespace', () => send(said(), { path: 'shop2/checkout-d1' }), 'unknown question'],
    [
      'a Secret that is no key of approvers',
      () => {
        secrets = { 'shop/change-board': { key } }
        return send(said())
      },
      'has no label sluice.dev/webhook: approver',
    ],
    [
      'an empty key',
      () => {
        secrets = { 'shop/change-board': { label: 'approver', key: '' } }
        return send(said(), { key: '' })
      },
      'has no key',
    ],
    [
      'a key that can be guessed',
      () => {
        secrets = { 'shop/change-board': { label: 'approver', key: 'hunter2' } }
        return send(said(), { key: 'hunter2' })
      },
      'fewer than 16 characters',
    ],
    [
      'a key whose name is not asked, though its Secret is there',
      () => {
        secrets = {
          'shop/change-board': { label: 'approver', key },
          'shop/other': { label: 'approver', key: `${key} 2` },
        }
        return send(said(), { key: `${key} 2` })
      },
      'wrong signature',
    ],
  ])('%s', async (_, attempt, why) => {
    log.lines.length = 0
    const { status, json } = await attempt()
    expect(status).toBe(401)
    expect(json).toEqual({ error: expect.stringContaining('the log of the controller says why') })
    expect(log.text()).toContain(why)
    expect(log.text()).not.toContain(key)
    expect(stored().spec.decisions).toEqual([])
  })

  test('a question that asks no key: no Secret is read', async () => {
    api.objects.clear()
    const approvals = createApprovals({ client: api.client, runtime: time, log: log.log })
    await approvals.ask(owner, question())
    expect((await send(said())).status).toBe(401)
    expect(reads).toEqual([])
  })
})

describe('the holder of the key is told', () => {
  test.each<[string, unknown, number, string]>([
    ['a body that is no JSON', 'verdict=Approve', 400, 'cannot be understood'],
    ['no digest', { verdict: 'Approve', id: '1' }, 400, 'cannot be understood'],
    ['no id', { verdict: 'Approve', digest: 'd1' }, 400, 'cannot be understood'],
    ['another verdict', said({ verdict: 'approve' }), 400, 'cannot be understood'],
    ['a name in the body', said({ by: 'user:dana@example.com' }), 400, 'cannot be understood'],
    ['an override', said({ override: true, reason: 'x' }), 400, 'cannot be understood'],
    ['another move', said({ digest: 'd0' }), 409, 'asked for another move'],
  ])('%s', async (_, body, status, message) => {
    const answer = await send(body)
    expect(answer).toEqual({ status, json: expect.objectContaining({ error: expect.stringContaining(message) }) })
    expect(stored().spec.decisions).toEqual([])
  })

  test('a question that has expired', async () => {
    time.advance(3_600_001)
    expect(await send(said())).toMatchObject({ status: 409, json: { result: 'Closed', state: 'Expired' } })
  })

  test('an API server that does not take it', async () => {
    api.refuse = { method: 'GET', status: 500, times: 100 }
    expect((await send(said())).status).toBe(503)
    api.refuse = { method: '', status: 0, times: 0 }
    expect((await send(said())).status).toBe(200)
  })

  test('a body that is too long, before it is kept', async () => {
    const response = await fetch(`${server.url}/hooks/approvals/shop/checkout-d1`, {
      method: 'POST',
      body: 'x'.repeat(70_000),
    })
    expect(response.status).toBe(413)
  })
})

test('the lines of docs/approvals.md do it', async () => {
  const page = readFileSync(new URL('../../docs/approvals.md', import.meta.url), 'utf8')
  const lines = /<!-- webhook -->\n```sh\n([\s\S]*?)```/.exec(page)?.[1] ?? ''
  // The shell has the time of day.
  time.advance(Date.now() - time.now())
  api.objects.clear()
  const approvals = createApprovals({ client: api.client, runtime: time, log: log.log })
  await approvals.ask(owner, question({ allowed: ['webhook:change-board'], expiresAt: time.now() + 600_000 }))
  const env = { PATH: process.env.PATH ?? '', sluice: server.url, approval: 'checkout-d1', digest: 'd1', key }
  const child = spawn('bash', ['-eu', '-o', 'pipefail', '-c', lines], { env })
  let out = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (out += chunk))
  const code = await new Promise((resolve) => child.once('close', resolve))
  expect([code, out]).toEqual([0, expect.stringContaining('"result":"Recorded"')])
  expect(stored().spec.decisions).toMatchObject([{ by: 'webhook:change-board', reason: 'CHG0042 is approved' }])
})
