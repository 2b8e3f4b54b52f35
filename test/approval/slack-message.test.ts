import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ApprovalSpec, ApprovalStatus } from '../../src/api/approval.ts'
import type { Approval } from '../../src/approval/object.ts'
import { approveAction, readClick, rejectAction } from '../../src/approval/slack-click.ts'
import { renderQuestion } from '../../src/approval/slack-message.ts'
import { slackDecision, start } from './questions.ts'

function approval(over: Partial<ApprovalSpec> = {}, status: ApprovalStatus = {}): Approval {
  return {
    namespace: 'shop',
    name: 'checkout-d1',
    uid: 'uid-1',
    resourceVersion: '1',
    createdAt: start,
    deleting: false,
    status,
    spec: {
      rollout: 'checkout',
      revision: 'v2-abc',
      step: 2,
      steps: 3,
      from: 10,
      to: 50,
      digest: 'd1',
      required: 1,
      allowed: ['slack-user:U1', 'slack-group:S1', 'user:dana@example.com'],
      separationOfDuties: false,
      authors: [],
      expiresAt: new Date(start + 3_600_000).toISOString(),
      onExpiry: 'Reject',
      evidence: ['success-rate 99.98 % ≥ 99.5 %'],
      decisions: [],
      ...over,
    },
  }
}

const text = (of: Approval, now = start + 2_000) => JSON.stringify(renderQuestion(of, now))

describe('an open question', () => {
  test('says what moves, why it may, who is asked and until when, with two buttons that ask again', () => {
    const { blocks, text: short } = renderQuestion(approval(), start)
    const all = JSON.stringify(blocks)
    for (const part of [
      'shop/checkout',
      '10 % → 50 %',
      'v2-abc',
      'step 2 of 3',
      '99.98 %',
      '<@U1>',
      '<!subteam^S1>',
      'dana@example.com',
      'then it is rejected',
    ]) {
      expect(all).toContain(part)
    }
    expect(short).toContain('Approval wanted: shop/checkout: 10 % → 50 %')
    const actions = blocks?.find((block) => block.type === 'actions')
    expect(actions).toMatchObject({
      elements: [
        { action_id: approveAction, style: 'primary', confirm: { title: { text: 'Approve?' } } },
        { action_id: rejectAction, style: 'danger', confirm: { title: { text: 'Reject?' } } },
      ],
    })
  })

  test('its buttons speak for this very question', () => {
    const { blocks } = renderQuestion(approval(), start)
    const actions = blocks?.find((block) => block.type === 'actions')
    const [button] = actions?.type === 'actions' ? actions.elements : []
    const value = button?.type === 'button' ? button.value : undefined
    const actionOf = { action_id: approveAction, value, action_ts: '1.5' }
    const payload = {
      type: 'block_actions',
      user: { id: 'U1', team_id: 'T1' },
      team: { id: 'T1' },
      actions: [actionOf],
    }
    expect(readClick(payload)).toEqual({
      kind: 'Click',
      click: {
        verdict: 'Approve',
        target: { ns: 'shop', name: 'checkout-d1', uid: 'uid-1', digest: 'd1' },
        user: { id: 'U1', teamId: 'T1' },
        teamId: 'T1',
        id: 'slack T1 U1 1.5 uid-1',
      },
    })
  })

  test('shows who has approved so far', () => {
    const all = text(approval({ required: 2, decisions: [slackDecision('U1')] }))
    expect(all).toContain('Approved so far by <@U1>')
    expect(all).toContain(approveAction)
  })
})

describe('an answered question has no buttons and shows who', () => {
  test.each([
    ['approved', approval({ decisions: [slackDecision('U1')] }), 'Approved by <@U1>'],
    [
      'rejected',
      approval({ decisions: [slackDecision('U1', { verdict: 'Reject', reason: 'too late today' })] }),
      'Rejected by <@U1>: too late today',
    ],
    ['void', approval({}, { state: 'Void', message: 'the objective was edited' }), 'the objective was edited'],
    [
      'spent',
      approval({ decisions: [slackDecision('U1')] }, { state: 'Consumed', message: 'Moved to 50 %' }),
      'Approved by <@U1>',
    ],
    ['taken back', { ...approval(), deleting: true }, 'taken back'],
  ])('%s', (_, given, part) => {
    expect(text(given)).toContain(part)
    expect(text(given)).not.toContain(approveAction)
  })

  test('expired', () => {
    expect(text(approval(), start + 3_600_000)).toContain('nobody decided in time')
    expect(text(approval(), start + 3_600_000)).not.toContain(approveAction)
  })
})

test('nothing that comes from elsewhere can mention people or hide a link, and every text fits', () => {
  const nasty = fc.oneof(
    fc.constantFrom('<!channel>', '<@U666>', '<https://evil|here>', '&lt;!here&gt;', '`<!everyone>`', 'x> <!channel'),
    fc.string({ maxLength: 400 }),
  )
  const spec = fc.record({
    rollout: nasty,
    revision: nasty,
    evidence: fc.array(nasty, { maxLength: 50 }),
    allowed: fc.array(
      nasty.map((name) => `slack-user:${name}`),
      { maxLength: 5 },
    ),
    decisions: fc.array(
      nasty.map((reason) => slackDecision('U1', { verdict: 'Reject', reason, email: '<!channel>@x' })),
      { maxLength: 1 },
    ),
  })
  fc.assert(
    fc.property(spec, (over) => {
      const given = approval({ ...over, allowed: [...over.allowed, 'slack-user:U1'] })
      const message = renderQuestion(given, start + 2_000)
      // Whoever is asked by an id of Slack is mentioned: that is the point.
      const asked = new Set(given.spec.allowed.map((entry) => `<@${entry.replace('slack-user:', '')}>`))
      const texts: string[] = [message.text]
      for (const block of message.blocks ?? []) {
        if (block.type === 'section' && block.text) texts.push(block.text.text)
        if (block.type === 'context')
          for (const element of block.elements) if ('text' in element) texts.push(element.text)
      }
      for (const part of texts) {
        expect(part.length).toBeLessThanOrEqual(3_000)
        const marked = part.match(/<[^>]*>/g) ?? []
        expect(marked.filter((mark) => !asked.has(mark) && !/^<!date\^\d+\^[^>]*>$/.test(mark))).toEqual([])
        expect(part.replace(/<[^>]*>/g, '')).not.toMatch(/[<>]/)
      }
    }),
  )
})
