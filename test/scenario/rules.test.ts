import { randomUUID } from 'node:crypto'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Decision } from '../../src/api/approval.ts'
import { type Approvals, createApprovals } from '../../src/approval/approvals.ts'
import { type Approval, readApproval } from '../../src/approval/object.ts'
import { signApproval } from '../../src/approval/webhook.ts'
import { run } from '../../src/cli/program.ts'
import type { Controller } from '../../src/controller/manager.ts'
import { connect, type KubeClient } from '../../src/kube/client.ts'
import { loadKubeconfig } from '../../src/kube/kubeconfig.ts'
import { systemRuntime as runtime } from '../../src/runtime.ts'
import { openStage, refs, type Scene, type Stage } from './stage.ts'

/** Who has to say yes before traffic moves, when it moves then, and what an emergency leaves behind. */
let stage: Stage
let controller: Controller
let client: KubeClient
let approvals: Approvals
let listener: http.Server
const told: { topic: string; text: string }[] = []

beforeAll(async () => {
  stage = await openStage()
  listener = http.createServer((request, response) => {
    let text = ''
    request.on('data', (chunk) => (text += chunk))
    request.on('end', () => {
      told.push({ topic: JSON.parse(text).topic, text })
      response.end()
    })
  })
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(listener.address() as AddressInfo).port}/`
  controller = await stage.controller({ webhook: { url } })
  await controller.synced
  const connection = await loadKubeconfig({ path: stage.sandbox.kubeconfig, env: {}, runtime })
  client = connect({ connection, runtime })
  approvals = createApprovals({ client, runtime, log: pino({ level: 'silent' }) })
}, 60_000)
afterAll(async () => {
  client.close()
  await stage.stop()
  listener.closeAllConnections()
  await new Promise((resolve) => listener.close(resolve))
}, 60_000)

function gate(approval: Record<string, unknown>) {
  return {
    steps: [
      { weight: 20, hold: '1s' },
      { weight: 100, hold: '1s', approval },
    ],
  }
}

function questions(s: Scene): Approval[] {
  return stage.sandbox.api.storage
    .list(refs.approvals, { namespace: s.namespace })
    .flatMap((o) => readApproval(o) ?? [])
}

async function asked(s: Scene): Promise<Approval> {
  await s.desire('v2')
  await s.until('asking', ({ phase }) => phase === 'AwaitingApproval' && questions(s).length === 1)
  return questions(s)[0]!
}

/** Says yes through Kubernetes, as the policies let this user say it. */
async function approve(question: Approval, user: string, over: Partial<Decision> = {}): Promise<void> {
  const { digest } = question.spec
  const at = new Date().toISOString()
  const decision: Decision = {
    verdict: 'Approve',
    by: `user:${user}`,
    via: 'kubernetes',
    digest,
    at,
    id: randomUUID(),
    ...over,
  }
  expect((await approvals.add(question, decision)).kind).toBe('Recorded')
}

const waits = ({ phase }: { phase?: string }) => phase === 'AwaitingApproval'
const promoted = ({ lastOutcome }: { lastOutcome?: { result: string } | undefined }) =>
  lastOutcome?.result === 'Promoted'

describe.concurrent('the rules of a gate', { timeout: 240_000 }, () => {
  test('a quorum without the group that has to be among them moves nothing', async () => {
    const rules = { from: ['user:ann', 'user:bob', 'webhook:board'], requiredFrom: ['group:security'], required: 2 }
    await using s = await stage.scene('quorum', { rollout: gate(rules) })
    const question = await asked(s)
    await approve(question, 'ann')
    await approve(question, 'bob')
    await s.stays('waiting', (status) => waits(status) && s.weight('v2') === 20, 1_500)
    expect(questions(s)[0]?.status.message).toContain('2 of 2 approvals (user:ann, user:bob); group:security has to be')
    await approve(question, 'sec', { groups: ['security'] })
    await s.until('promoted', promoted)
    expect(s.events().join('\n')).toContain('approved by user:ann, user:bob, user:sec')
  })

  test('the author of the change, who is known from Git, does not suffice', async () => {
    const rules = { from: ['group:dev'], separationOfDuties: true }
    await using s = await stage.scene('duties', { rollout: gate(rules), git: {} })
    const question = await asked(s)
    expect(question.spec.authors).toEqual([expect.stringContaining('dana@example.com')])
    await approve(question, 'dana@example.com', { groups: ['dev'] })
    await s.stays('waiting', (status) => waits(status) && s.weight('v2') === 20, 1_500)
    expect(questions(s)[0]?.status.message).toContain('somebody other than the author')
    await approve(question, 'sam@example.com', { groups: ['dev'] })
    await s.until('promoted', promoted)
  })

  test('an approval for later waits, is told, and moves by itself when its time comes', async () => {
    await using s = await stage.scene('later', { rollout: gate({ from: ['user:ann'] }) })
    const question = await asked(s)
    const notBefore = Date.now() + 4_000
    await approve(question, 'ann', { notBefore: new Date(notBefore).toISOString() })
    await s.until('approved for later', ({ approval }) => Date.parse(approval?.notBefore ?? '') === notBefore)
    await s.until('on record', () => questions(s)[0]?.status.state === 'Approved')
    expect(s.weight('v2')).toBe(20)
    expect(questions(s)[0]?.status).toMatchObject({ state: 'Approved', notBefore: new Date(notBefore).toISOString() })
    await s.until('moved', () => s.weight('v2') === 100)
    expect(Date.now()).toBeGreaterThanOrEqual(notBefore)
    await s.until('promoted', promoted)
  })

  test('a breach before its time takes the approval away', async () => {
    await using s = await stage.scene('later-breach', { rollout: gate({ from: ['user:ann'] }) })
    const question = await asked(s)
    await approve(question, 'ann', { notBefore: new Date(Date.now() + 600_000).toISOString() })
    await s.until('approved for later', ({ approval }) => approval?.notBefore !== undefined)
    s.behave('v2', { 'error-rate': '1' })
    await s.until('rolled back', ({ phase }) => phase === 'RolledBack')
    expect(s.weights('v2')).toEqual([0, 20, 0])
    await s.until('void', () => questions(s)[0]?.status.state === 'Void')
  })

  test('an override moves though nobody was asked, and is written down everywhere', async () => {
    const rules = { from: ['user:ann'], required: 1, requiredFrom: ['group:security'], separationOfDuties: true }
    await using s = await stage.scene('emergency', { rollout: gate(rules), git: {} })
    await asked(s)
    const said = { out: '', err: '' }
    const words = ['approve', 'emergency/my-app', '--emergency', '--reason', 'the site is down', '-o', 'json']
    const code = await run([...words, '--kubeconfig', stage.sandbox.kubeconfig], {
      out: (text) => (said.out += text),
      err: (text) => (said.err += text),
      interactive: false,
      columns: undefined,
      rows: 24,
      colours: false,
      env: {},
      runtime,
      untilStopped: () => new Promise(() => {}),
    })
    expect({ code, err: said.err }).toEqual({ code: 0, err: '' })
    const { by, override } = JSON.parse(said.out)
    expect([by, override]).toEqual([['user:kubernetes-admin'], 'the site is down'])
    await s.until('promoted', promoted)

    expect(s.statuses().some(({ step }) => step?.override === 'the site is down')).toBe(true)
    expect(s.events().join('\n')).toContain(
      'ApprovalOverridden: user:kubernetes-admin allowed 20% → 100% as an emergency',
    )
    expect(questions(s)[0]?.spec.decisions).toMatchObject([{ override: true, reason: 'the site is down' }])
    await s.until('in Git', async () =>
      (await s.git('log', '--format=%B', 'main')).includes('Override: the site is down'),
    )
    expect(await s.git('log', '--format=%B', 'main')).toContain('Approved-by: user:kubernetes-admin')
    await s.until('told', () => told.some(({ topic, text }) => topic === 'override' && text.includes('emergency')))
  })

  test('a signed webhook opens the gate that asks for it', async () => {
    await using s = await stage.scene('webhook', { rollout: gate({ from: ['webhook:board'] }) })
    const key = 'a key of the change board'
    stage.sandbox.api.storage.create(
      { group: '', plural: 'secrets' },
      {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { namespace: 'webhook', name: 'board', labels: { 'sluice.dev/webhook': 'approver' } },
        data: { key: Buffer.from(key).toString('base64') },
      },
    )
    const { name, spec } = await asked(s)
    const body = JSON.stringify({ verdict: 'Approve', digest: spec.digest, id: 'CHG1' })
    const timestamp = String(Math.floor(Date.now() / 1000))
    const post = (signature: string) =>
      fetch(`${controller.url}/hooks/approvals/webhook/${name}`, {
        method: 'POST',
        body,
        headers: { 'x-sluice-timestamp': timestamp, 'x-sluice-signature': signature },
      }).then(({ status }) => status)
    expect(await post(signApproval('another key of somebody', timestamp, body))).toBe(401)
    expect(await post(signApproval(key, timestamp, body))).toBe(200)
    await s.until('promoted', promoted)
    expect(s.events().join('\n')).toContain('approved by webhook:board')
  })
})
