import { beforeEach, describe, expect, test } from 'vitest'
import { buildApproval, readApproval } from '../../src/approval/object.ts'
import { renderQuestion } from '../../src/approval/slack-message.ts'
import { createQuestions } from '../../src/controller/questions.ts'
import { attemptOf, createThreadMemory } from '../../src/controller/slack-memory.ts'
import type { KubeObject } from '../../src/kube/object.ts'
import { owner, question, readableLog, start } from '../approval/questions.ts'

const at = new Date(start + 60_000).toISOString()

function approval(status: object, over: object = {}): KubeObject {
  const built = buildApproval(owner, question())
  const creationTimestamp = new Date(start).toISOString()
  const metadata = { ...built.metadata, uid: 'a-1', resourceVersion: '1', creationTimestamp, ...over }
  return { ...built, metadata, status }
}

function rollout(
  lastOutcome: object | undefined,
  more: object = {},
  annotations: Record<string, string> = {},
): KubeObject {
  return {
    apiVersion: 'sluice.dev/v1alpha1',
    kind: 'Rollout',
    metadata: { namespace: 'shop', name: 'checkout', annotations },
    status: { lastOutcome, ...more },
  }
}

const rolledBack = { revision: 'v2-abc', result: 'RolledBack', reason: 'Breach', message: 'success-rate 92 %', at }

describe('questions', () => {
  let shown: KubeObject[]
  let outcomes: unknown[]
  let live: KubeObject
  let there: KubeObject[]
  const questions = () =>
    createQuestions({
      channel: { show: (object) => void shown.push(object) },
      approvals: {
        record: async () => undefined,
        recordOutcome: async (key, outcome) => void outcomes.push([key.name, outcome]),
      },
      rollout: (key) => (key === 'shop/checkout' ? live : undefined),
      approvalsIn: () => there,
      now: () => start,
      log: readableLog().log,
    })
  beforeEach(() => {
    shown = []
    outcomes = []
    live = rollout(undefined)
    there = [approval({ state: 'Consumed' })]
  })

  const noted = [['checkout-d1', { result: 'RolledBack', message: 'success-rate 92 %', at }]]

  test('an answered question hears how its rollout ended', () => {
    live = rollout(rolledBack)
    questions().rolloutChanged(live, rollout(undefined))
    expect(outcomes).toEqual(noted)
  })

  test('also when its answer is spent after the rollout has ended', () => {
    live = rollout(rolledBack)
    questions().changed(approval({ state: 'Consumed' }))
    expect(outcomes).toEqual(noted)
    expect(shown).toHaveLength(1)
  })

  test.each([
    ['that was not answered', approval({ state: 'Void' }), rolledBack],
    ['of another revision', approval({ state: 'Consumed' }), { ...rolledBack, revision: 'v3' }],
    [
      'that was asked after that, in the next attempt',
      approval({ state: 'Consumed' }, { creationTimestamp: new Date(start + 120_000).toISOString() }),
      rolledBack,
    ],
    [
      'that knows already',
      approval({ state: 'Consumed', outcome: { result: 'Promoted', message: '', at } }),
      rolledBack,
    ],
  ])('a question %s does not', (_, object, outcome) => {
    there = [object]
    live = rollout(outcome)
    questions().rolloutChanged(live, rollout(undefined))
    questions().changed(object)
    expect(outcomes).toEqual([])
  })

  test('the same end is told once', () => {
    questions().rolloutChanged(rollout(rolledBack), rollout(rolledBack))
    expect(outcomes).toEqual([])
  })

  test('a question that is deleted while it is open does not ask on', () => {
    questions().gone(approval({ state: 'Pending' }))
    const last = readApproval(shown[0]!)!
    const text = JSON.stringify(renderQuestion(last, start + 1_000))
    expect(text).toContain('taken back')
    expect(text).not.toContain('sluice_approve')
  })
})

describe('threads', () => {
  let live: KubeObject | undefined
  let patches: unknown[]
  const memory = () =>
    createThreadMemory({
      client: {
        patch: async (_, key, body) => {
          patches.push([key, body])
          return live!
        },
      },
      rollout: () => live,
    })
  const story = { rollout: 'shop/checkout', attempt: 2 }
  const noted = (value: object) => ({ 'sluice.dev/slack-threads': JSON.stringify(value) })
  beforeEach(() => {
    live = rollout(undefined, { attempt: 2 })
    patches = []
  })

  test('are kept on the Rollout, and found there again', async () => {
    live = rollout(undefined, { attempt: 2 }, noted({ attempt: 2, channels: { C2: '2.2' } }))
    await memory().save(story, { C1: '1.1' })
    const annotations = noted({ attempt: 2, channels: { C2: '2.2', C1: '1.1' } })
    expect(patches).toEqual([
      [
        { namespace: 'shop', name: 'checkout' },
        { type: 'merge', body: { metadata: { annotations } } },
      ],
    ])
    live = rollout(undefined, { attempt: 2 }, annotations)
    expect(memory().load(story, 'C1')).toBe('1.1')
    expect(memory().load(story, 'C3')).toBeUndefined()
    expect(memory().load({ ...story, attempt: 3 }, 'C1')).toBeUndefined()
  })

  test('of an attempt that is over do not take the place of the present one', async () => {
    live = rollout(undefined, { attempt: 3 }, noted({ attempt: 3, channels: { C1: '3.3' } }))
    await memory().save(story, { C1: '1.1' })
    expect(patches).toEqual([])
  })

  test.each(['', 'null', '{', '{"attempt":"2"}'])('a note that somebody has spoilt is no note: %s', (text) => {
    live = rollout(undefined, {}, { 'sluice.dev/slack-threads': text })
    expect(memory().load(story, 'C1')).toBeUndefined()
  })

  test('the attempt that asks is known once the status tells of the question', () => {
    const asking = readApproval(approval({}))!
    expect(attemptOf(asking, rollout(undefined, { attempt: 2, approval: { name: 'checkout-d1' } }))).toBe(2)
    expect(attemptOf(asking, rollout(undefined, { attempt: 1, approval: { name: 'checkout-d0' } }))).toBeUndefined()
    expect(attemptOf(asking, undefined)).toBeUndefined()
  })
})
