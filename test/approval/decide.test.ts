import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ApprovalSpec, Decision } from '../../src/api/approval.ts'
import { decide } from '../../src/approval/decide.ts'
import { emailOf } from '../../src/approval/person.ts'

const noon = Date.parse('2026-03-02T12:00:00Z')
const iso = (offsetMs: number) => new Date(noon + offsetMs).toISOString()

function question(over: Partial<ApprovalSpec> = {}): ApprovalSpec {
  return {
    rollout: 'checkout',
    revision: 'v2-abc',
    step: 2,
    steps: 3,
    from: 10,
    to: 50,
    digest: 'd1',
    required: 1,
    allowed: ['user:dana@example.com', 'slack-group:S1', 'group:release', 'user:root', 'slack-user:U9'],
    separationOfDuties: false,
    authors: [],
    expiresAt: iso(3_600_000),
    onExpiry: 'Reject',
    evidence: [],
    decisions: [],
    ...over,
  }
}

function slack(user: string, over: Partial<Decision> = {}): Decision {
  return {
    verdict: 'Approve',
    by: `slack-user:${user}`,
    via: 'slack',
    digest: 'd1',
    at: iso(0),
    groups: ['S1'],
    ...over,
  }
}

function kubernetes(user: string, over: Partial<Decision> = {}): Decision {
  return { verdict: 'Approve', by: `user:${user}`, via: 'kubernetes', digest: 'd1', at: iso(0), ...over }
}

const later = noon + 60_000

describe('who may decide', () => {
  test.each([
    ['a Kubernetes user by name', kubernetes('root')],
    ['a Kubernetes user by group', kubernetes('eve', { groups: ['release'] })],
    ['somebody in Slack by id', slack('U9', { groups: [] })],
    ['somebody in Slack by group', slack('U1')],
    [
      'somebody in Slack by the address that Slack vouches for, in any case',
      slack('U2', { groups: [], email: 'Dana@Example.com' }),
    ],
    [
      'a merger by the address that the forge vouches for',
      kubernetes('dana-gh', { via: 'git', email: 'dana@example.com' }),
    ],
  ])('%s', (_, decision) => {
    expect(decide(question({ decisions: [decision] }), later).state).toBe('Approved')
  })

  test.each([
    [
      'a Kubernetes user who writes somebody else’s address into the decision',
      kubernetes('eve', { email: 'dana@example.com' }),
    ],
    ['a Kubernetes user who claims a Slack group', kubernetes('eve', { groups: ['S1'] })],
    ['somebody in Slack who has the name of a Kubernetes group', slack('U1', { groups: ['release'] })],
    ['a Kubernetes user who claims a Slack id', kubernetes('x', { by: 'slack-user:U9' })],
    ['a Slack id under the Kubernetes prefix', slack('x', { by: 'user:root', groups: [] })],
    ['a login of the forge that equals a Kubernetes user name', kubernetes('root', { via: 'git' })],
    ['nobody', kubernetes('', { by: 'user:' })],
  ])('not %s', (_, decision) => {
    const ruling = decide(question({ decisions: [decision] }), later)
    expect(ruling).toMatchObject({ state: 'Pending', by: [] })
    expect(ruling.refused).toEqual([expect.stringContaining('not named in approval.from')])
  })

  test('nobody when the list is empty', () => {
    expect(decide(question({ allowed: [], decisions: [kubernetes('root')] }), later).state).toBe('Pending')
  })
})

describe('what counts', () => {
  test('an approval of another move does not', () => {
    const ruling = decide(question({ decisions: [kubernetes('root', { digest: 'd0' })] }), later)
    expect(ruling.state).toBe('Pending')
    expect(ruling.refused[0]).toContain('another move')
  })

  test('a reject beats any number of approvals and carries its reason', () => {
    const decisions = [kubernetes('root'), slack('U1'), slack('U2', { verdict: 'Reject', reason: 'not today' })]
    const ruling = decide(question({ decisions }), later)
    expect(ruling).toMatchObject({ state: 'Rejected', by: ['slack-user:U2'], reason: 'not today' })
    expect(ruling.message).toBe('Rejected by slack-user:U2: not today')
  })

  test('a reject of somebody who may not decide does not', () => {
    const decisions = [kubernetes('root'), kubernetes('eve', { verdict: 'Reject' })]
    expect(decide(question({ decisions }), later).state).toBe('Approved')
  })

  test('the same person twice is one, also through two channels and through a chain of names', () => {
    const decisions = [
      slack('U1'),
      kubernetes('dana@example.com', { at: iso(1) }),
      slack('U1', { at: iso(2), email: 'DANA@example.com' }),
    ]
    const ruling = decide(question({ required: 2, decisions }), later)
    expect(ruling).toMatchObject({ state: 'Pending', by: ['slack-user:U1'] })
    expect(ruling.message).toContain('1 of 2 approvals')
  })

  test('two people reach a quorum of two, named once each in the order they spoke', () => {
    const decisions = [slack('U2', { at: iso(5), email: 'sam@example.com' }), slack('U1', { at: iso(9) })]
    const ruling = decide(question({ required: 2, decisions }), later)
    expect(ruling.state).toBe('Approved')
    expect(ruling.by).toEqual(['slack-user:U2 (sam@example.com)', 'slack-user:U1'])
  })
})

describe('expiry', () => {
  const expired = noon + 3_600_000

  test.each(['Reject', 'Hold'] as const)(
    'closes an unanswered question (onExpiry %s) and never approves',
    (onExpiry) => {
      expect(decide(question({ onExpiry }), expired - 1).state).toBe('Pending')
      expect(decide(question({ onExpiry }), expired).state).toBe('Expired')
    },
  )

  test('a decision made after it does not count', () => {
    for (const verdict of ['Approve', 'Reject'] as const) {
      const ruling = decide(question({ decisions: [slack('U1', { verdict, at: iso(3_600_000) })] }), expired + 5)
      expect(ruling.state).toBe('Expired')
      expect(ruling.refused[0]).toContain('after the question had expired')
    }
  })

  test('an approval that was complete before it stands', () => {
    expect(decide(question({ decisions: [slack('U1')] }), expired + 5).state).toBe('Approved')
  })

  test('an expiry or a time that cannot be read approves nothing', () => {
    expect(decide(question({ expiresAt: 'soon', decisions: [slack('U1')] }), later).state).toBe('Expired')
    expect(decide(question({ decisions: [slack('U1', { at: 'just now' })] }), later).state).toBe('Pending')
  })
})

describe('separation of duties', () => {
  const strict = (authors: string[], decisions: Decision[], required = 1) =>
    decide(question({ separationOfDuties: true, authors, decisions, required }), later)

  test('the author alone does not suffice, whatever the channel', () => {
    const author = ['Dana <dana@example.com>']
    for (const decision of [kubernetes('dana@example.com'), slack('U1', { email: 'Dana@example.com' })]) {
      const ruling = strict(author, [decision])
      expect(ruling.state).toBe('Pending')
      expect(ruling.message).toContain('somebody other than the author')
    }
  })

  test('the author and another person do', () => {
    const decisions = [kubernetes('dana@example.com'), slack('U1', { email: 'sam@example.com' })]
    expect(strict(['dana@example.com'], decisions, 2).state).toBe('Approved')
  })

  test('authors among themselves do not', () => {
    const decisions = [slack('U1', { email: 'dana@example.com' }), slack('U2', { email: 'sam@example.com' })]
    expect(strict(['dana@example.com', 'sam@example.com'], decisions, 2).state).toBe('Pending')
  })

  test('whoever asked for the retry is an author too', () => {
    expect(strict(['user:root'], [kubernetes('root')]).state).toBe('Pending')
    expect(strict(['user:someone'], [kubernetes('root')]).state).toBe('Approved')
  })

  test('where nobody knows who made the change, nobody is known to be somebody else', () => {
    const ruling = strict([], [kubernetes('root'), slack('U1', { email: 'sam@example.com' })], 2)
    expect(ruling.state).toBe('Pending')
    expect(ruling.message).toContain('it is not known who made the change')
  })

  test('somebody without an address cannot be told from an author who has one', () => {
    const ruling = strict(['dana@example.com'], [slack('U1')])
    expect(ruling.state).toBe('Pending')
    expect(ruling.message).toContain('slack-user:U1 has no known e-mail address')
  })
})

describe('for every set of decisions', () => {
  const decision = fc.record(
    {
      verdict: fc.constantFrom('Approve' as const, 'Approve' as const, 'Approve' as const, 'Reject' as const),
      by: fc.constantFrom(
        'user:root',
        'user:dana@example.com',
        'user:eve',
        'slack-user:U1',
        'slack-user:U2',
        'slack-user:U9',
      ),
      via: fc.constantFrom('kubernetes' as const, 'slack' as const, 'git' as const),
      digest: fc.constantFrom('d1', 'd1', 'd1', 'd0'),
      at: fc.integer({ min: -10, max: 4_000_000 }).map(iso),
      groups: fc.subarray(['S1', 'release', 'other']),
      email: fc.constantFrom('dana@example.com', 'DANA@EXAMPLE.COM', 'sam@example.com', 'eve@example.com'),
      id: fc.string({ maxLength: 3 }),
    },
    { requiredKeys: ['verdict', 'by', 'via', 'digest', 'at'] },
  )
  const spec = fc.record({
    required: fc.integer({ min: 1, max: 4 }),
    decisions: fc.array(decision, { maxLength: 12 }),
    separationOfDuties: fc.boolean(),
    authors: fc.subarray(['dana@example.com', 'user:root']),
  })
  const instants = fc.integer({ min: -10, max: 5_000_000 })

  /** An independent, slower reading of the rules: can `required` different people be chosen at all? */
  function eligible(given: ApprovalSpec): Decision[] {
    const allowed: [(d: Decision) => boolean][] = [
      [(d) => d.via === 'kubernetes' && (d.by === 'user:root' || d.by === 'user:dana@example.com')],
      [(d) => d.via === 'kubernetes' && d.by.startsWith('user:') && (d.groups ?? []).includes('release')],
      [(d) => d.via === 'slack' && d.by === 'slack-user:U9'],
      [(d) => d.via === 'slack' && d.by.startsWith('slack-user:') && (d.groups ?? []).includes('S1')],
      [(d) => d.via === 'slack' && d.by.startsWith('slack-user:') && d.email?.toLowerCase() === 'dana@example.com'],
      [(d) => d.via === 'git' && d.by.startsWith('user:') && d.email?.toLowerCase() === 'dana@example.com'],
    ]
    return given.decisions.filter(
      (d) => d.digest === given.digest && d.at < given.expiresAt && allowed.some(([test]) => test(d)),
    )
  }

  test('approved only with enough different allowed people on the current digest, and no allowed reject', () => {
    fc.assert(
      fc.property(spec, instants, (over, at) => {
        const given = question(over)
        if (decide(given, noon + at).state !== 'Approved') return
        const valid = eligible(given)
        expect(valid.some((d) => d.verdict === 'Reject')).toBe(false)
        expect(new Set(valid.map((d) => `${d.via} ${d.by}`)).size).toBeGreaterThanOrEqual(given.required)
        // Everybody known by an address counts once: distinct addresses plus people without any.
        const known = new Set(valid.map((d) => emailOf(d)).filter(Boolean))
        const unknown = new Set(valid.filter((d) => !emailOf(d)).map((d) => `${d.via} ${d.by}`))
        expect(known.size + unknown.size).toBeGreaterThanOrEqual(given.required)
      }),
      { numRuns: 2000 },
    )
  })

  test('the order in which decisions are stored changes nothing', () => {
    const shuffled = spec.chain((over) =>
      fc
        .shuffledSubarray(over.decisions, { minLength: over.decisions.length })
        .map((decisions) => [over, { ...over, decisions }] as const),
    )
    fc.assert(
      fc.property(shuffled, instants, ([one, other], at) => {
        expect(decide(question(other), noon + at)).toEqual(decide(question(one), noon + at))
      }),
      { numRuns: 1000 },
    )
  })

  test('decisions that do not count change nothing but the list of refusals', () => {
    fc.assert(
      fc.property(spec, instants, (over, at) => {
        const given = question(over)
        const { refused: _, ...all } = decide(given, noon + at)
        const { refused: none, ...some } = decide({ ...given, decisions: eligible(given) }, noon + at)
        expect(some).toEqual(all)
        expect(none).toEqual([])
      }),
    )
  })

  test('time alone never approves, and never takes an approval back', () => {
    fc.assert(
      fc.property(spec, instants, instants, (over, a, b) => {
        const given = question(over)
        const [before, after] = [decide(given, noon + Math.min(a, b)), decide(given, noon + Math.max(a, b))]
        if (before.state === 'Pending') expect(['Pending', 'Expired']).toContain(after.state)
        else expect(after.state).toBe(before.state)
      }),
    )
  })
})
