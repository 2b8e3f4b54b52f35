import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { parse } from 'yaml'
import { createApprovals } from '../../src/approval/approvals.ts'
import { kubernetesDecision, whoAmI } from '../../src/approval/kubernetes.ts'
import { observeApproval, readApproval } from '../../src/approval/object.ts'
import { createSlackChannel } from '../../src/approval/slack-channel.ts'
import { createSlackInteractions } from '../../src/approval/slack-interactions.ts'
import { createSlackPeople } from '../../src/approval/slack-people.ts'
import { createSlackReply } from '../../src/approval/slack-reply.ts'
import { connect, type KubeClient } from '../../src/kube/client.ts'
import { connectionTo } from '../../src/kube/connection.ts'
import type { KubeObject } from '../../src/kube/object.ts'
import { resources } from '../../src/kube/resources.ts'
import { createSlackApi } from '../../src/notify/slack-api.ts'
import { systemRuntime } from '../../src/runtime.ts'
import { type ApiServer, startApiServer } from '../../src/sandbox/apiserver/index.ts'
import { type FakeSlack, member, startFakeSlack } from './fake-slack.ts'
import { owner, question, readableLog } from './questions.ts'

/** The whole way, on an API server with the CRD that is shipped: schema, pruning, status subresource, patches. */
let server: ApiServer
let slack: FakeSlack
let client: KubeClient
const { log } = readableLog()
const runtime = systemRuntime
const open = () =>
  question({
    expiresAt: Date.now() + 600_000,
    allowed: ['slack-user:U1', 'slack-user:U2', 'group:release'],
    required: 2,
  })

function clientOf(token: string): KubeClient {
  return connect({ connection: connectionTo(server.url, { token }), runtime })
}

beforeAll(async () => {
  slack = await startFakeSlack()
  server = await startApiServer({
    meshCrds: false,
    tokens: { 'kim-token': { username: 'kim', groups: ['release', 'payroll'] } },
  })
  client = clientOf(server.token())
  const crd: KubeObject = parse(
    await readFile(new URL('../../crds/sluice.dev_approvals.yaml', import.meta.url), 'utf8'),
  )
  await client.create(resources.customResourceDefinitions, crd)
  await client.create(resources.namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } })
  await vi.waitFor(() => client.list(resources.approvals, { namespace: 'shop' }))
})
afterAll(async () => {
  client.close()
  await server.stop()
  await slack.stop()
})

async function read(name: string): Promise<KubeObject> {
  const object = await client.get(resources.approvals, { namespace: 'shop', name })
  if (object === undefined) throw new Error(`${name} is gone`)
  return object
}

test('asked in Slack, answered there and with kubectl, recorded, spent, and shown to the end', async () => {
  slack.users.set('U1', member('U1', 'sam@example.com'))
  const approvals = createApprovals({ client, runtime, log })
  const api = createSlackApi({ token: 'xoxb-1', log, apiUrl: slack.apiUrl, now: runtime.now })
  const channel = createSlackChannel({ api, approvals, channelFor: () => 'C1', runtime, log })
  const reply = createSlackReply({ runtime, log, origins: [slack.origin] })
  const people = createSlackPeople({ api, runtime })
  const interactions = createSlackInteractions({ approvals, people, reply, runtime, log })
  const text = () => [...slack.messages.values()].map(({ blocks }) => blocks)

  const asked = await approvals.ask(owner, open())
  await approvals.record(await read(asked.name))
  channel.show(await read(asked.name))
  await expect.poll(async () => readApproval(await read(asked.name))?.status.slack?.channel).toBe('C1')

  const message: { elements?: { action_id?: string; value?: string }[] }[] = JSON.parse(text()[0] ?? '')
  const button = message
    .flatMap(({ elements = [] }) => elements)
    .find(({ action_id }) => action_id === 'sluice_approve')
  const click = {
    type: 'block_actions',
    user: { id: 'U1', team_id: 'T1' },
    team: { id: 'T1' },
    response_url: `${slack.origin}/hooks/1`,
    actions: [{ ...button, action_ts: '1.1' }],
  }
  expect(await interactions.handle(click)).toEqual({ result: 'Recorded' })
  expect(await interactions.handle(click)).toEqual({ result: 'Duplicate' })

  const kim = clientOf('kim-token')
  const theirs = createApprovals({ client: kim, runtime, log })
  const answer = { verdict: 'Approve', id: 'cli-1', at: runtime.now() } as const
  expect((await theirs.add(asked, kubernetesDecision(asked, await whoAmI(kim), answer))).kind).toBe('Recorded')
  kim.close()

  expect(observeApproval(await read(asked.name), runtime.now())).toMatchObject({
    state: 'Approved',
    by: ['slack-user:U1 (sam@example.com)', 'user:kim'],
  })
  await approvals.record(await read(asked.name))
  await approvals.close(asked, 'Consumed', 'Moved to 50 %')
  channel.show(await read(asked.name))
  await channel.stop()
  await reply.stop()
  expect((await read(asked.name)).status).toMatchObject({
    state: 'Consumed',
    message: 'Moved to 50 %',
    by: ['slack-user:U1 (sam@example.com)', 'user:kim'],
    slack: { channel: 'C1' },
  })
  expect(text()).toEqual([expect.stringContaining('Approved by <@U1>, kim')])
  expect(text()[0]).not.toContain('sluice_approve')
})

test('ten people at once on a faithful API server are ten decisions', async () => {
  const approvals = createApprovals({ client, runtime, log })
  const ids = Array.from({ length: 10 }, (_, i) => `P${i}`)
  const allowed = ids.map((id) => `slack-user:${id}`)
  const asked = await approvals.ask(owner, { ...open(), name: 'checkout-many', digest: 'many', required: 10, allowed })
  const at = new Date().toISOString()
  const decision = (id: string) =>
    ({ verdict: 'Approve', by: `slack-user:${id}`, via: 'slack', digest: 'many', at, id: `click ${id}` }) as const
  await Promise.all([...ids, ...ids].map((id) => approvals.add(asked, decision(id))))
  const end = readApproval(await read('checkout-many'))
  expect(end?.spec.decisions.map(({ by }) => by).sort()).toEqual(allowed)
})
