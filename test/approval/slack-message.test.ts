import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ApprovalSpec, ApprovalStatus } from '../../src/api/approval.ts'
import type { Approval } from '../../src/approval/object.ts'
import { approveAction, laterAction, readClick, rejectAction } from '../../src/approval/slack-click.ts'
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
  test('says what moves, why it may, who is asked and until when, with buttons that ask again', () => {
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
        { action_id: laterAction, text: { text: 'Approve for later…' } },
        { action_id: rejectAction, style: 'danger', text: { text: 'Reject…' } },
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
        wish: 'Approve',
        target: { ns: 'shop', name: 'checkout-d1', uid: 'uid-1', digest: 'd1' },
        user: { id: 'U1', teamId: 'T1' },
        teamId: 'T1',
        id: 'slack T1 U1 1.5 uid-1',
      },
    })
  })

  test('says what would change: versions, author, commits and where to read the difference', () => {
    const commits = Array.from({ length: 7 }, (_, i) => ({
      sha: `${i}234567890abcdef`,
      subject: `Fix #${i} & more`,
      author: 'Dana Example <dana@example.com>',
    }))
    const all = text(
      approval({
        change: {
          from: { revision: 'v1', image: 'registry.example.com/checkout:1.4.0' },
          to: { revision: 'v2-abc', image: 'registry.example.com/checkout:1.5.0' },
          author: 'Dana Example <dana@example.com>',
          compareUrl: 'https://forge.example.com/shop/compare/a...b?x=1&y=2',
          commits,
          commitCount: 12,
        },
        requiredFrom: ['slack-group:S9'],
      }),
    )
    for (const part of [
      '*Stable*\\n`v1`\\n`registry.example.com/checkout:1.4.0`',
      '*Tried*\\n`v2-abc`\\n`registry.example.com/checkout:1.5.0`',
      '*Brought by*\\nDana Example &lt;dana@example.com&gt;',
      '*12 commits since stable*',
      '<https://forge.example.com/shop/compare/a...b?x=1&amp;y=2|see the difference>',
      '`02345678` Fix #0 &amp; more _Dana Example_',
      '… and 7 more',
      'one of <!subteam^S9>',
    ])
      expect(all).toContain(part)
    expect(all).not.toContain('Fix #5')
  })

  test.each([
    ['one commit', { commits: [{ sha: 'abc', subject: 'x', author: 'y' }] }, '*1 commit since stable*'],
    ['a link alone', { compareUrl: 'https://forge.example.com/c' }, '<https://forge.example.com/c|see the difference>'],
    ['a number alone', { commitCount: 3 }, '*3 commits since stable*'],
  ])('with %s', (_, change, part) => {
    expect(text(approval({ change: { to: { revision: 'v2' }, ...change } }))).toContain(part)
  })

  test('an address that is no web page is not linked', () => {
    const all = text(approval({ change: { to: { revision: 'v2' }, compareUrl: 'javascript:alert(1)' } }))
    expect(all).not.toContain('see the difference')
    expect(all).not.toContain('javascript')
  })

  test('says where else it can be approved', () => {
    const all = text(approval({}, { pullRequest: { url: 'https://forge.example.com/pulls/7', number: 7 } }))
    expect(all).toContain('here or by merging <https://forge.example.com/pulls/7|pull request #7>')
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

  test.each([
    ['Promoted', ':white_check_mark: *Promoted*'],
    ['RolledBack', ':rewind: *Rolled back*'],
  ] as const)('%s: what became of it, and how it was allowed', (result, part) => {
    const outcome = { result, message: 'success-rate 92 % < 99.5 %', at: new Date(start).toISOString() }
    const all = text(
      approval({ decisions: [slackDecision('U1')] }, { state: 'Consumed', message: 'Moved to 50 %', outcome }),
    )
    expect(all).toContain(part)
    expect(all).toContain('success-rate 92 % &lt; 99.5 %')
    expect(all).toContain('Approved by <@U1>')
    expect(all).not.toContain(rejectAction)
  })

  test('approved for later: from when on, and it can still be rejected', () => {
    const notBefore = new Date(start + 1_800_000).toISOString()
    const all = text(approval({ decisions: [slackDecision('U1', { notBefore })] }))
    expect(all).toContain(`not before <!date^${(start + 1_800_000) / 1000}^`)
    expect(all).toContain(rejectAction)
    expect(all).not.toContain(approveAction)
  })

  test('an emergency is loud and says why', () => {
    const override = slackDecision('x', {
      by: 'user:kim',
      via: 'kubernetes',
      override: true,
      reason: 'the <!channel> is on fire',
    })
    const all = text(approval({ required: 2, decisions: [override] }))
    expect(all).toContain(':rotating_light:')
    expect(all).toContain('Overridden by kim: the &lt;!channel&gt; is on fire')
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
    change: fc.option(
      fc.record({
        from: fc.record({ revision: nasty, image: nasty }),
        to: fc.record({ revision: nasty, image: nasty }),
        author: nasty,
        compareUrl: nasty.map((path) => `https://forge.example.com/${path}`),
        commits: fc.array(fc.record({ sha: nasty, subject: nasty, author: nasty }), { maxLength: 20 }),
      }),
      { nil: undefined },
    ),
    requiredFrom: fc.array(nasty, { maxLength: 3 }),
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
        if (block.type === 'header') expect(block.text.text.length).toBeLessThanOrEqual(150)
        if (block.type === 'section') {
          for (const each of [...(block.text ? [block.text] : []), ...(block.fields ?? [])]) {
            texts.push(each.text)
            // Else Slack itself would look for names in it.
            expect(each).toMatchObject({ verbatim: true })
          }
          for (const each of block.fields ?? []) expect(each.text.length).toBeLessThanOrEqual(2_000)
        }
        if (block.type === 'context')
          for (const element of block.elements) if ('text' in element) texts.push(element.text)
      }
      for (const part of texts) {
        expect(part.length).toBeLessThanOrEqual(3_000)
        const marked = part.match(/<[^>]*>/g) ?? []
        const ours = /^<!date\^\d+\^[^>]*>$|^<https:\/\/forge\.example\.com\/[^|>]*\|see the difference>$/
        expect(marked.filter((mark) => !asked.has(mark) && !ours.test(mark))).toEqual([])
        expect(part.replace(/<[^>]*>/g, '')).not.toMatch(/[<>]/)
      }
    }),
  )
})
