import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createApprovals } from '../../src/approval/approvals.ts'
import { readApproval } from '../../src/approval/object.ts'
import { approveAction, buttonValue, rejectAction } from '../../src/approval/slack-click.ts'
import { signSlackRequest } from '../../src/approval/slack-signature.ts'
import type { Controller } from '../../src/controller/manager.ts'
import { textAt } from '../../src/kube/field.ts'
import type { KubeObject } from '../../src/kube/object.ts'
import { openStage, refs, type Scene, type Stage } from './stage.ts'

const secret = 'a signing secret of no importance'

let stage: Stage
let controller: Controller
beforeAll(async () => {
  stage = await openStage()
  controller = await stage.controller({ slack: { signingSecrets: [secret] } })
  await controller.synced
}, 60_000)
afterAll(() => stage.stop(), 60_000)

function questions(s: Scene): KubeObject[] {
  return stage.sandbox.api.storage.list(refs.approvals, { namespace: s.namespace })
}

const stateOf = (object: KubeObject | undefined) => textAt(object, 'status', 'state') ?? 'Pending'

function open(s: Scene): KubeObject | undefined {
  return questions(s).find((object) => stateOf(object) === 'Pending')
}

interface Click {
  user?: string
  action?: string
  digest?: string
  secret?: string
  at?: number
  actionTs?: string
}

/** A click as Slack delivers it; answers with the HTTP status. */
async function click(question: KubeObject, how: Click = {}): Promise<number> {
  const approval = readApproval(question)!
  const payload = {
    type: 'block_actions',
    user: { id: how.user ?? 'U0DANA' },
    actions: [
      {
        action_id: how.action ?? approveAction,
        value: buttonValue({
          ns: approval.namespace,
          name: approval.name,
          uid: approval.uid,
          digest: how.digest ?? approval.spec.digest,
        }),
        action_ts: how.actionTs ?? `${Date.now() / 1000}`,
      },
    ],
  }
  return deliver(new URLSearchParams({ payload: JSON.stringify(payload) }).toString(), how)
}

async function deliver(body: string, how: Click = {}): Promise<number> {
  const timestamp = Math.floor((how.at ?? Date.now()) / 1000)
  const response = await fetch(`${controller.url}/slack/interactions`, {
    method: 'POST',
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      'x-slack-request-timestamp': String(timestamp),
      'x-slack-signature': signSlackRequest(how.secret ?? secret, body, timestamp),
    },
    body,
  })
  return response.status
}

function withApproval(approval: Record<string, unknown> = {}) {
  return {
    rollout: {
      steps: [
        { weight: 20, hold: '1s' },
        { weight: 100, hold: '1s', approval: { from: ['slack-user:U0DANA', 'slack-user:U0EVE'], ...approval } },
      ],
    },
  }
}

async function asked(s: Scene): Promise<KubeObject> {
  await s.desire('v2')
  await s.until('asking', (status) => status.phase === 'AwaitingApproval' && open(s) !== undefined)
  return open(s)!
}

describe.concurrent('people decide', { timeout: 240_000 }, () => {
  test('a step with an approval waits, is analysed meanwhile, and goes on when the right person clicks', async () => {
    await using s = await stage.scene('waits', withApproval())
    const question = await asked(s)
    const events = s.status().analysis?.[0]?.good ?? 0
    await s.until('analysed meanwhile', (status) => (status.analysis?.[0]?.good ?? 0) > events)
    expect(s.weights('v2')).toEqual([0, 20])
    expect(questions(s)).toHaveLength(1)
    expect(await click(question)).toBe(200)
    await s.until('promoted', (status) => status.lastOutcome?.result === 'Promoted')
    expect(s.weights('v2')).toEqual([0, 20, 100])
    expect(s.events().join('\n')).toContain('approved by slack-user:U0DANA')
    await s.until('spent', () => stateOf(questions(s)[0]) === 'Consumed')
    expect(questions(s)).toHaveLength(1)
  })

  test('a breach while people think takes the question away and traffic back', async () => {
    await using s = await stage.scene('breaches', withApproval())
    const question = await asked(s)
    s.behave('v2', { 'error-rate': '1' })
    await s.until('rolled back', (status) => status.phase === 'RolledBack')
    expect(s.weights('v2')).toEqual([0, 20, 0])
    await s.until('closed', () => stateOf(questions(s)[0]) === 'Void')
    await click(question)
    await s.stays('at 0', () => s.weight('v2') === 0, 2_000)
  })

  test('forged, old, repeated and strangers’ clicks move nothing', async () => {
    await using s = await stage.scene('forged', withApproval())
    const question = await asked(s)
    expect(await click(question, { secret: 'another secret' })).toBe(401)
    expect(await click(question, { at: Date.now() - 600_000 })).toBe(401)
    await click(question, { user: 'U0MALLORY' })
    await click(question, { digest: 'of another move' })
    const body = new URLSearchParams({ payload: '{"type":"block_actions"}' }).toString()
    const at = Date.now()
    await deliver(body, { at })
    expect(await deliver(body, { at })).toBe(409)
    await s.stays('waiting', (status) => status.phase === 'AwaitingApproval' && s.weight('v2') === 20, 2_000)
    expect(readApproval(open(s)!)!.spec.decisions).toEqual([])
  })

  test('a click on the message of an older version moves nothing', async () => {
    await using s = await stage.scene('older', {
      ...withApproval(),
      versions: [{ name: 'v1' }, { name: 'v2' }, { name: 'v3' }],
    })
    const question = await asked(s)
    await s.desire('v3')
    await s.until(
      'asking for v3',
      (status) => status.canary?.name === 'v3' && status.phase === 'AwaitingApproval' && open(s) !== undefined,
    )
    await s.until('void', () => stateOf(questions(s).find((q) => q.metadata.uid === question.metadata.uid)) === 'Void')
    await click(question)
    await s.stays('waiting', (status) => status.phase === 'AwaitingApproval', 2_000)
    expect(s.weights('v3')).toEqual([0, 20])
  })

  test('objectives edited after an approval make it void, and the question is asked again', async () => {
    await using s = await stage.scene('changed', {
      rollout: {
        ...withApproval({ required: 2 }).rollout,
      },
    })
    const question = await asked(s)
    await click(question)
    await s.until('half approved', () => readApproval(open(s)!)!.spec.decisions.length === 1)
    s.edit({ analysis: { slis: [{ name: 'success-rate', successRate: { objective: 98 } }] } })
    await s.until('asked again', () => {
      const now = open(s)
      return now !== undefined && now.metadata.uid !== question.metadata.uid
    })
    expect(readApproval(open(s)!)!.spec.decisions).toEqual([])
    expect(s.weights('v2')).toEqual([0, 20])
    await click(open(s)!)
    await click(open(s)!, { user: 'U0EVE' })
    await s.until('promoted', (status) => status.lastOutcome?.result === 'Promoted')
  })

  test('two people and two replicas that decide at once are counted once each, and the move is made once', async () => {
    await using s = await stage.scene('at-once', withApproval({ required: 2 }))
    const question = await asked(s)
    const actionTs = `${Date.now() / 1000}`
    await Promise.all([
      click(question, { actionTs }),
      click(question, { actionTs: `${actionTs}1` }),
      click(question, { user: 'U0EVE' }),
    ])
    await s.until('promoted', (status) => status.lastOutcome?.result === 'Promoted')
    const by = readApproval(questions(s)[0]!)!.spec.decisions.map((decision) => decision.by)
    expect(by.toSorted()).toEqual(['slack-user:U0DANA', 'slack-user:U0EVE'])
    expect(s.weights('v2')).toEqual([0, 20, 100])
  })

  test('a rejection sends traffic back and keeps the person’s word', async () => {
    await using s = await stage.scene('rejected', withApproval())
    const question = await asked(s)
    await click(question, { action: rejectAction })
    await s.until('aborted', (status) => status.lastOutcome?.result === 'Aborted')
    expect(s.weights('v2')).toEqual([0, 20, 0])
    expect(s.status().lastOutcome?.message).toContain('slack-user:U0DANA')
    expect(s.status().knownBad?.[0]?.name).toBe('v2')
  })

  test('a question that expires rejects where that is wished', async () => {
    await using s = await stage.scene('expires', withApproval({ expires: '2s' }))
    await asked(s)
    await s.until('aborted', (status) => status.lastOutcome?.reason === 'ApprovalExpired')
    expect(s.weights('v2')).toEqual([0, 20, 0])
  })

  test('a question that expires is asked again where that is wished, and never approves', async () => {
    await using s = await stage.scene('holds', withApproval({ expires: '2s', onExpiry: 'Hold' }))
    const first = await asked(s)
    await s.until('asked again', () => {
      const now = open(s)
      return now !== undefined && now.metadata.uid !== first.metadata.uid
    })
    expect(s.weights('v2')).toEqual([0, 20])
    // The question is there before the status that tells of it.
    await s.until('waiting', (status) => status.phase === 'AwaitingApproval')
    await click(first)
    await s.stays('at 20 %', () => s.weight('v2') === 20, 1_000)
  })

  test('an approval written by kubectl counts like a click', async () => {
    await using s = await stage.scene('kubectl', withApproval({ from: ['user:kubernetes-admin'] }))
    const question = readApproval(await asked(s))!
    const { connect } = await import('../../src/kube/client.ts')
    const { loadKubeconfig } = await import('../../src/kube/kubeconfig.ts')
    const { systemRuntime: runtime } = await import('../../src/runtime.ts')
    const connection = await loadKubeconfig({ path: stage.sandbox.kubeconfig, env: {}, runtime })
    const client = connect({ connection, runtime })
    const pino = (await import('pino')).default
    await createApprovals({ client, runtime, log: pino({ level: 'silent' }) }).add(question, {
      verdict: 'Approve',
      by: 'user:kubernetes-admin',
      via: 'kubernetes',
      digest: question.spec.digest,
      at: new Date().toISOString(),
    })
    await s.until('promoted', (status) => status.lastOutcome?.result === 'Promoted')
    client.close()
  })
})
