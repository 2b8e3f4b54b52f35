import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { systemRuntime as runtime } from '../../src/runtime.ts'
import { openStage, refs, type Stage } from './stage.ts'

let stage: Stage
let receiver: Server
let url: string
const received: { event: string | undefined; id: string | undefined; body: Record<string, unknown> }[] = []

beforeAll(async () => {
  stage = await openStage()
  receiver = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const { 'x-sluice-event': event, 'x-sluice-delivery': id } = request.headers
    received.push({ event: String(event), id: String(id), body: JSON.parse(Buffer.concat(chunks).toString()) })
    response.writeHead(204).end()
  })
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/in`
}, 60_000)
afterAll(async () => {
  await stage.stop()
  receiver.closeAllConnections()
  await new Promise((resolve) => receiver.close(resolve))
}, 60_000)

test('a Rollout’s own webhook hears how it goes, once, also across a restart; one that is broken is said', {
  timeout: 240_000,
}, async () => {
  const first = await stage.controller()
  await first.synced
  await using s = await stage.scene('heard', {
    rollout: {
      steps: [
        { weight: 20, hold: '1s' },
        { weight: 100, hold: '1m' },
      ],
    },
  })
  const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { namespace: 'heard', name: 'hook' } }
  const data = { url: Buffer.from(url).toString('base64'), secret: Buffer.from('s3cret').toString('base64') }
  stage.sandbox.api.storage.create({ group: '', plural: 'secrets' }, { ...secret, data })
  s.edit({
    notify: [
      { webhook: { secretRef: { name: 'hook' } }, on: ['started', 'step', 'promoted', 'rolledBack'] },
      { webhook: { secretRef: { name: 'nothing' } } },
    ],
  })
  await s.desire('v2')
  await s.until('at 20 %', () => s.weight('v2') === 20)
  await first.stop()
  const second = await stage.controller()
  await second.synced
  await s.until('at 100 %', () => s.weight('v2') === 100)
  s.behave('v2', { 'error-rate': '1' })
  await s.until('rolled back', (status) => status.lastOutcome?.result === 'RolledBack')
  await s.until('told', () => received.some(({ event }) => event === 'rolledBack'))
  expect(received.map(({ event, body }) => [event, body.message].join(': '))).toEqual([
    expect.stringMatching(/^started: v2/),
    'step: 0% → 20%',
    'step: 20% → 100%',
    expect.stringMatching(/^rolledBack: v2 rolled back: success-rate/),
  ])
  expect(new Set(received.map(({ id }) => id)).size).toBe(4)
  expect(received.at(-1)?.body).toMatchObject({
    rollout: { namespace: 'heard', name: 'my-app', uid: s.rollout()?.metadata.uid },
    topic: 'rolledBack',
    weight: { from: 100, to: 0 },
  })
  await s.until('said', () => s.events().some((event) => event.startsWith('NotifyFailed:')))
  expect(s.events().filter((event) => event.startsWith('NotifyFailed:'))).toEqual([
    'NotifyFailed: webhook of the Secret heard/nothing cannot be told: the Secret heard/nothing does not exist',
  ])
  // Nobody sends anything any more.
  await runtime.sleep(500)
  expect(received).toHaveLength(4)
  expect(stage.sandbox.api.storage.list(refs.events, { namespace: 'heard' }).length).toBeGreaterThan(0)
})
