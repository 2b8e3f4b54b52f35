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

function git(login: string, over: Partial<Decision> = {}): Decision {
  return { verdict: 'Approve', by: `git-user:${login}`, via: 'git', digest: 'd1', at: iso(0), ...over }
}

function webhook(name: string, over: Partial<Decision> = {}): Decision {
  return { verdict: 'Approve', by: `webhook:${name}`, via: 'webhook', digest: 'd1', at: iso(0), ...over }
}

function override(user: string, over: Partial<Decision> = {}): Decision {
  return kubernetes(user, { override: true, reason: 'the site is down', ...over })
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
    ['a merger by the address that the forge vouches for', git('dana-gh', { email: 'dana@example.com' })],
  ])('%s', (_, decision) => {
    expect(decide(question({ decisions: [decision] }), later).state).toBe('Approved')
  })

  test.each([
    ['a merger by login, in any case', 'git-user:Dana-GH', git('dana-gh')],
    ['a merger by team', 'git-group:acme/release', git('dana-gh', { groups: ['Acme/Release'] })],
    ['the holder of a key', 'webhook:change-board', webhook('change-board')],
  ])('%s', (_, entry, decision) => {
    expect(decide(question({ allowed: [entry], decisions: [decision] }), later).state).toBe('Approved')
  })

  test.each([
    ['a Kubernetes user with the login of a merger', 'git-user:dana-gh', kubernetes('dana-gh')],
    [
      'a Kubernetes user who claims the team of a merger',
      'git-group:release',
      kubernetes('x', { groups: ['release'] }),
    ],
    ['a merger in a team with the name of a Kubernetes group', 'group:release', git('x', { groups: ['release'] })],
    ['a merger who claims a key', 'webhook:board', git('x', { by: 'webhook:board' })],
    ['another key', 'webhook:board', webhook('bored')],
    ['the holder of a key who writes an address', 'user:dana@example.com', webhook('x', { email: 'dana@example.com' })],
  ])('not %s', (_, entry, decision) => {
    expect(decide(question({ allowed: [entry], decisions: [decision] }), later)).toMatchObject({
      state: 'Pending',
      by: [],
    })
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

describe('a group that has to be among them', () => {
  const spec = { required: 2, requiredFrom: ['group:release', 'slack-group:S1'] }

  test('is waited for when the quorum is complete without it', () => {
    const ruling = decide(question({ ...spec, decisions: [kubernetes('root'), slack('U1')] }), later)
    expect(ruling).toMatchObject({ state: 'Pending', missing: ['group:release has to be among them'] })
    expect(ruling.message).toContain('2 of 2 approvals (slack-user:U1, user:root); group:release has to be among them')
  })

  test('approves with the others', () => {
    const decisions = [kubernetes('eve', { groups: ['release'] }), slack('U1')]
    expect(decide(question({ ...spec, decisions }), later).state).toBe('Approved')
  })

  test('is not enough without the quorum', () => {
    const decisions = [kubernetes('eve', { groups: ['release'] })]
    const ruling = decide(question({ required: 2, requiredFrom: ['group:release'], decisions }), later)
    expect(ruling).toMatchObject({ state: 'Pending', missing: ['1 more person'] })
  })

  test('may be the same person for several, also through two channels', () => {
    const both = kubernetes('dana@example.com', { groups: ['release'] })
    const decisions = [both, slack('U1', { email: 'dana@example.com', at: iso(1) })]
    expect(decide(question({ ...spec, required: 1, decisions }), later).state).toBe('Approved')
    expect(decide(question({ ...spec, required: 2, decisions }), later).state).toBe('Pending')
  })
})

describe('an approval for later', () => {
  const nine = '2026-03-03T09:00:00.000Z'

  test('says when the move may be made', () => {
    const ruling = decide(question({ decisions: [kubernetes('root', { notBefore: nine })] }), later)
    expect(ruling).toMatchObject({ state: 'Approved', notBefore: Date.parse(nine) })
    expect(ruling.message).toBe(`Approved by user:root, not to be moved before ${nine}`)
  })

  test('of several the latest counts', () => {
    const decisions = [kubernetes('root', { notBefore: nine }), slack('U1', { notBefore: '2026-03-03T07:00:00Z' })]
    expect(decide(question({ required: 2, decisions }), later).notBefore).toBe(Date.parse(nine))
  })

  test('of one person the newest word counts, also when it is “now”', () => {
    const first = kubernetes('root', { notBefore: nine })
    const second = kubernetes('root', { notBefore: '2026-03-02T15:00:00+01:00', at: iso(1) })
    const third = kubernetes('root', { at: iso(2) })
    expect(decide(question({ decisions: [second, first] }), later).notBefore).toBe(Date.parse('2026-03-02T14:00:00Z'))
    expect(decide(question({ decisions: [first, second, third] }), later)).not.toHaveProperty('notBefore')
  })

  test('does not count when its time cannot be read', () => {
    const ruling = decide(question({ decisions: [kubernetes('root', { notBefore: 'tomorrow' })] }), later)
    expect(ruling.state).toBe('Pending')
    expect(ruling.refused[0]).toContain('its notBefore is not a time')
  })
})

describe('an override', () => {
  const strict = { required: 2, requiredFrom: ['group:release'], separationOfDuties: true, authors: ['user:boss'] }

  test('approves alone, whoever was asked, at once, and says so', () => {
    const decisions = [kubernetes('root', { notBefore: '2026-03-03T09:00:00Z' }), override('boss', { at: iso(1) })]
    const ruling = decide(question({ ...strict, decisions }), later)
    expect(ruling).toMatchObject({ state: 'Approved', by: ['user:boss'], override: 'the site is down' })
    expect(ruling).not.toHaveProperty('notBefore')
    expect(ruling.message).toBe('Overridden by user:boss, with 1 of 2 approvals (user:root): the site is down')
  })

  test('is said also where it was not needed', () => {
    const ruling = decide(question({ decisions: [kubernetes('root'), override('boss')] }), later)
    expect(ruling).toMatchObject({ state: 'Approved', by: ['user:boss'], override: 'the site is down' })
  })

  test('does not undo a rejection, before or after it', () => {
    for (const at of [iso(-5), iso(5)]) {
      const decisions = [override('boss', { at }), slack('U1', { verdict: 'Reject' })]
      expect(decide(question({ decisions }), later).state).toBe('Rejected')
    }
  })

  test.each([
    ['without a reason', override('root', { reason: ' ' }), 'needs a reason'],
    ['for another move', override('root', { digest: 'd0' }), 'another move'],
    ['after the expiry', override('root', { at: iso(3_600_000) }), 'after the question had expired'],
    ['for later', override('root', { notBefore: iso(1) }), 'not for later'],
    ['from Slack', slack('U1', { override: true, reason: 'x' }), 'through Kubernetes'],
    ['from a merge', git('dana', { override: true, reason: 'x', email: 'dana@example.com' }), 'through Kubernetes'],
    ['by nobody', kubernetes('', { by: 'slack-user:U1', override: true, reason: 'x' }), 'through Kubernetes'],
  ])('does not count %s, not even as an approval', (_, decision, why) => {
    const ruling = decide(question({ decisions: [decision] }), later)
    expect(ruling).toMatchObject({ state: 'Pending', by: [] })
    expect(ruling.refused).toEqual([expect.stringMatching(new RegExp(`^Override by .* does not count: .*${why}`))])
  })

  test('that says no is a rejection like any other', () => {
    expect(decide(question({ decisions: [override('boss', { verdict: 'Reject' })] }), later).state).toBe('Pending')
    expect(decide(question({ decisions: [override('root', { verdict: 'Reject' })] }), later).state).toBe('Rejected')
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

  test('a merger is told from the author by the address that the forge vouches for, and else not at all', () => {
    const [allowed, authors] = [['git-user:dana-gh', 'git-user:sam-gh'], ['Dana <dana@example.com>']]
    const state = (decision: Decision) =>
      decide(question({ separationOfDuties: true, authors, allowed, decisions: [decision] }), later).state
    expect(state(git('sam-gh', { email: 'sam@example.com' }))).toBe('Approved')
    expect(state(git('dana-gh', { email: 'Dana@example.com' }))).toBe('Pending')
    expect(state(git('sam-gh'))).toBe('Pending')
  })

  test.each([
    ['12345+dana-gh@users.noreply.github.com', 'dana-gh', 'Pending'],
    ['Dana-GH@users.noreply.github.com', 'dana-gh', 'Pending'],
    ['77-dana-gh@users.noreply.gitlab.example.com', 'dana-gh', 'Pending'],
    ['12345+dana-gh@users.noreply.github.com', 'sam-gh', 'Approved'],
  ])('an author whose forge hides the address, %s, is the one of that login: %s', (address, login, state) => {
    const decision = git(login, { email: `${login}@example.com` })
    const spec = { separationOfDuties: true, authors: [`Dana <${address}>`], allowed: [`git-user:${login}`] }
    expect(decide(question({ ...spec, decisions: [decision] }), later).state).toBe(state)
  })

  test.each([
    [
      'an author whose forge hides the address',
      'D <1+dana@users.noreply.github.com>',
      slack('U1', { email: 'd@x.org' }),
    ],
    ['an author without an address', 'Dana <>', slack('U1', { email: 'sam@example.com' })],
    ['an author whom only another channel knows', 'user:eve', slack('U1', { email: 'sam@example.com' })],
    ['an author who is just a name', 'dana', kubernetes('root')],
    ['the holder of a key', 'user:eve', webhook('board', { email: 'sam@example.com' })],
  ])('%s cannot be compared, so nobody is surely somebody else', (_, author, decision) => {
    const allowed = ['slack-user:U1', 'user:root', 'webhook:board']
    const given = question({ separationOfDuties: true, authors: [author], allowed, decisions: [decision] })
    const ruling = decide(given, later)
    expect(ruling.state).toBe('Pending')
    expect(ruling.message).toContain('so nobody can tell whether it is the author')
  })
})

describe('for every set of decisions', () => {
  const decision = fc.record(
    {
      verdict: fc.constantFrom(...Array<'Approve'>(9).fill('Approve'), 'Reject' as const),
      by: fc.constantFrom(
        'user:root',
        'user:dana@example.com',
        'user:eve',
        'slack-user:U1',
        'slack-user:U2',
        'slack-user:U9',
        'git-user:dana',
        'git-user:Dana',
        'webhook:board',
      ),
      via: fc.constantFrom(
        'kubernetes' as const,
        'kubernetes' as const,
        'slack' as const,
        'git' as const,
        'webhook' as const,
      ),
      override: fc.constantFrom(false, false, false, true),
      reason: fc.constantFrom('', ' ', 'because'),
      notBefore: fc.constantFrom(iso(0), iso(9_000_000), 'tomorrow'),
      digest: fc.constantFrom('d1', 'd1', 'd1', 'd0'),
      at: fc.integer({ min: -10, max: 4_000_000 }).map(iso),
      groups: fc.subarray(['S1', 'release', 'other']),
      email: fc.constantFrom('dana@example.com', 'DANA@EXAMPLE.COM', 'sam@example.com', 'eve@example.com'),
      id: fc.string({ maxLength: 3 }),
    },
    { requiredKeys: ['verdict', 'by', 'via', 'digest', 'at'] },
  )
  /** One that counts; among random ones few do. */
  const good = fc
    .tuple(
      fc.constantFrom(
        kubernetes('root'),
        kubernetes('eve', { groups: ['release'] }),
        slack('U9'),
        slack('U1'),
        git('dana'),
        override('boss', { reason: 'because' }),
      ),
      fc.integer({ min: 0, max: 9 }),
    )
    .map(([one, at]): Decision => ({ ...one, at: iso(at) }))
  const spec = fc.record({
    required: fc.integer({ min: 1, max: 4 }),
    decisions: fc.array(fc.oneof(decision, good), { maxLength: 6 }),
    separationOfDuties: fc.boolean(),
    authors: fc.subarray(['dana@example.com', 'user:root']),
    requiredFrom: fc.subarray(['group:release', 'slack-group:S1', 'git-user:dana']),
    allowed: fc.constantFrom(question().allowed, [...question().allowed, 'git-user:dana', 'webhook:board']),
  })
  const instants = fc.integer({ min: -10, max: 5_000_000 })

  /** An independent, slower reading of the rules: which decisions count as one person's yes or no? */
  function eligible(given: ApprovalSpec): Decision[] {
    const more = given.allowed.includes('webhook:board')
    const allowed: ((d: Decision) => boolean)[] = [
      (d) => d.via === 'kubernetes' && (d.by === 'user:root' || d.by === 'user:dana@example.com'),
      (d) => d.via === 'kubernetes' && d.by.startsWith('user:') && (d.groups ?? []).includes('release'),
      (d) => d.via === 'slack' && d.by === 'slack-user:U9',
      (d) => d.via === 'slack' && d.by.startsWith('slack-user:') && (d.groups ?? []).includes('S1'),
      (d) => d.via === 'slack' && d.by.startsWith('slack-user:') && d.email?.toLowerCase() === 'dana@example.com',
      (d) => d.via === 'git' && d.by.startsWith('git-user:') && d.email?.toLowerCase() === 'dana@example.com',
      (d) => more && d.via === 'git' && d.by.toLowerCase() === 'git-user:dana',
      (d) => more && d.via === 'webhook' && d.by === 'webhook:board',
    ]
    return given.decisions.filter(
      (d) =>
        d.digest === given.digest &&
        d.at < given.expiresAt &&
        (d.verdict === 'Reject' || (!d.override && d.notBefore !== 'tomorrow')) &&
        allowed.some((test) => test(d)),
    )
  }

  function overriding(given: ApprovalSpec): Decision[] {
    return given.decisions.filter(
      (d) =>
        d.override &&
        d.verdict === 'Approve' &&
        d.via === 'kubernetes' &&
        d.by.startsWith('user:') &&
        d.reason === 'because' &&
        d.notBefore === undefined &&
        d.digest === given.digest &&
        d.at < given.expiresAt,
    )
  }

  test('approved only by an override, or by enough different allowed people on the current digest, of every required group, and no allowed reject', () => {
    let [byRule, byOverride] = [0, 0]
    fc.assert(
      fc.property(spec, instants, (over, at) => {
        const given = question(over)
        const ruling = decide(given, noon + at)
        const overridden = overriding(given).length > 0
        expect(ruling.override).toBe(ruling.state === 'Approved' && overridden ? 'because' : undefined)
        if (ruling.state !== 'Approved') return
        const valid = eligible(given)
        expect(valid.some((d) => d.verdict === 'Reject')).toBe(false)
        if (overridden) {
          byOverride++
          expect(ruling.message).toContain('Overridden by')
          return
        }
        byRule++
        expect(new Set(valid.map((d) => `${d.via} ${d.by.toLowerCase()}`)).size).toBeGreaterThanOrEqual(given.required)
        // Everybody known by an address counts once: distinct addresses plus people without any.
        const known = new Set(valid.map((d) => emailOf(d)).filter(Boolean))
        const unknown = new Set(valid.filter((d) => !emailOf(d)).map((d) => `${d.via} ${d.by.toLowerCase()}`))
        expect(known.size + unknown.size).toBeGreaterThanOrEqual(given.required)
        const present = {
          'group:release': valid.some((d) => d.via === 'kubernetes' && d.groups?.includes('release')),
          'slack-group:S1': valid.some((d) => d.via === 'slack' && d.groups?.includes('S1')),
          'git-user:dana': valid.some((d) => d.via === 'git' && d.by.toLowerCase() === 'git-user:dana'),
        }
        expect(given.requiredFrom?.filter((entry) => !present[entry as keyof typeof present])).toEqual([])
        const moments = valid.map((d) => Date.parse(d.notBefore ?? ''))
        if (ruling.notBefore !== undefined) expect(moments).toContain(ruling.notBefore)
        else if (moments.length > 0) expect(moments.every((moment) => moment > 0)).toBe(false)
      }),
      { numRuns: 3000 },
    )
    expect(byRule).toBeGreaterThan(50)
    expect(byOverride).toBeGreaterThan(50)
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
        const { refused: none, ...some } = decide(
          { ...given, decisions: [...eligible(given), ...overriding(given)] },
          noon + at,
        )
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
