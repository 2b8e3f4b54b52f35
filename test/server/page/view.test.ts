import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readApproval } from '../../../src/approval/object.ts'
import { evidenceView } from '../../../src/server/page/evidence.ts'
import { pageModel } from '../../../src/server/page/view.ts'
import { inFlight, inputOf, iso, minuteSteps, NOW, revision, specOf } from './fixtures.ts'

const approval = (given: Record<string, unknown> = {}) => {
  const read = readApproval({
    apiVersion: 'sluice.dev/v1alpha1',
    kind: 'Approval',
    metadata: { namespace: 'shop', name: 'app-q', uid: 'u', resourceVersion: '1', creationTimestamp: iso(0) },
    spec: {
      rollout: 'app',
      revision: 'v2-abc',
      step: 2,
      steps: 3,
      from: 10,
      to: 50,
      digest: 'd',
      required: 2,
      allowed: ['user:dana', 'user:lee'],
      expiresAt: iso(3_600_000),
      onExpiry: 'Reject',
      change: { to: { revision: 'v2' }, compareUrl: 'javascript:alert(1)' },
      ...given,
    },
  })
  if (!read) throw new Error('not readable')
  return read
}

describe('what the page says', () => {
  test('where the rollout stands, and how long it still holds', () => {
    const view = pageModel(inputOf(inFlight()), NOW)
    expect(view.steps.map(({ weight, state }) => [weight, state])).toEqual([
      [10, 'here'],
      [50, 'ahead'],
      [100, 'ahead'],
    ])
    expect(view.steps[0]?.holding).toEqual({ totalMs: 60_000, leftMs: 50_000, endsAt: NOW + 50_000 })
    expect(view.weight).toBe(10)
  })

  test('a hold whose clock stands says so, and has no end', () => {
    const status = inFlight({ step: { index: 1, weight: 10, since: iso(-10_000), heldMs: 15_000 } })
    const view = pageModel(inputOf(status), NOW)
    expect(view.steps[0]?.holding).toEqual({ totalMs: 60_000, leftMs: 45_000 })
    expect(view.gates[0]).toMatchObject({ kind: 'Hold', open: false, text: expect.stringContaining('stands') })
  })

  test('everything that is between a rollout and its next step, open or not', () => {
    const input = inputOf(
      inFlight({ window: { open: false, reason: 'nobody is there', opensAt: iso(5_000), at: iso(0), generation: 1 } }),
      {
        spec: specOf({
          steps: minuteSteps,
          windows: [{ allow: '0 9 * * 1-5', for: '8h' }],
          analysis: { minRequests: 50 },
        }),
        dependencies: [{ key: 'shop/db', phase: 'Progressing' }],
      },
    )
    const view = pageModel(input, NOW)
    expect(view.gates.map(({ kind, open }) => [kind, open])).toEqual([
      ['Hold', false],
      ['Requests', true],
      ['Window', false],
      ['Dependency', false],
      ['Approval', false],
    ])
    expect(view.gates[2]?.opensAt).toBe(NOW + 5_000)
    expect(view.gates[4]?.text).toBe('will be asked of 2 of user:dana, user:lee')
  })

  test('an open question with who is asked, how to answer, and no link that runs something', () => {
    const view = pageModel(inputOf(inFlight({ phase: 'AwaitingApproval' }), { questions: [approval()] }), NOW)
    expect(view.questions).toMatchObject([{ allowed: ['user:dana', 'user:lee'], required: 2, by: [] }])
    expect(view.questions[0]?.compareUrl).toBeUndefined()
    expect(view.commands.map(({ line }) => line).slice(0, 3)).toEqual([
      'sluice approve shop/app',
      'sluice reject shop/app',
      'sluice abort shop/app',
    ])
  })

  test('a question that is over is not shown', () => {
    const view = pageModel(inputOf(inFlight(), { questions: [approval({ expiresAt: iso(-1) })] }), NOW)
    expect(view.questions).toEqual([])
  })

  test.each([
    ['Progressing', inFlight(), ['promote', 'pause', 'abort']],
    ['Paused', inFlight({ phase: 'Paused' }), ['resume', 'abort']],
    ['Healthy', { phase: 'Healthy', stable: revision('v1') }, []],
    [
      'RolledBack',
      {
        phase: 'RolledBack',
        stable: revision('v1'),
        knownBad: [{ revision: 'v2-abc', name: 'v2', hash: 'abc', reason: 'Breach', at: iso(0) }],
      },
      ['retry'],
    ],
  ] as const)('%s: only commands that make sense', (_, status, verbs) => {
    const view = pageModel(inputOf(structuredClone(status) as never), NOW)
    const acts = view.commands.filter(({ kind }) => kind === 'act')
    expect(acts.map(({ line }) => line)).toEqual(verbs.map((verb) => `sluice ${verb} shop/app`))
  })

  test('a suspended Rollout is said to be, and offers nothing to do', () => {
    const view = pageModel(inputOf(inFlight(), { spec: specOf({ suspend: true }) }), NOW)
    expect(view.notes.join()).toContain('suspended')
    expect(view.commands.some(({ kind }) => kind === 'act')).toBe(false)
  })

  test('a Rollout that nobody has looked at says that', () => {
    const view = pageModel(inputOf({}), NOW)
    expect([view.phase, view.tone]).toEqual(['Unseen', 'faint'])
    expect(view.message).toContain('is sluice controller running?')
  })
})

describe('the confidence of the judge', () => {
  const threshold = Math.log10(200)

  test('is one minus one in the evidence, never rounded up', () => {
    expect(evidenceView(1, threshold, 'Undecided').words).toBe(
      '90.0 % sure that the objective is broken; at 99.5 % traffic goes back.',
    )
    expect(evidenceView(Math.log10(199.9), threshold, 'Undecided').confidence).toBe('99.4 %')
    expect(evidenceView(1, threshold, 'Undecided').meaning).toContain('at most one of 10 rollouts')
  })

  test('is nothing when nothing speaks against the canary', () => {
    expect(evidenceView(-3, threshold, 'Pass')).toMatchObject({ share: 0, words: 'Nothing speaks against the canary.' })
  })

  test('is nothing when a few bad requests are no more than chance', () => {
    expect(evidenceView(-1, threshold, 'Undecided', 2).words).toBe('What is bad is no more than chance may bring.')
  })

  test('is full at a breach, and only then called one', () => {
    expect(evidenceView(9, threshold, 'Breach')).toMatchObject({ share: 1, words: expect.stringMatching(/^Breach: /) })
    expect(evidenceView(9, threshold, 'Undecided').words).toContain('too few bad requests')
  })

  test('rises with the evidence and stays between nothing and all', () => {
    fc.assert(
      fc.property(
        fc.double({ min: -50, max: 50, noNaN: true }),
        fc.double({ min: 0, max: 10, noNaN: true }),
        (a, more) => {
          const [less, greater] = [
            evidenceView(a, threshold, 'Undecided'),
            evidenceView(a + more, threshold, 'Undecided'),
          ]
          expect(less.share).toBeLessThanOrEqual(greater.share)
          expect(less.share).toBeGreaterThanOrEqual(0)
          expect(greater.share).toBeLessThanOrEqual(1)
          expect(greater.confidence).not.toContain('100')
        },
      ),
    )
  })

  test('is asked with the α that each test has: more SLIs need more', () => {
    const sli = (name: string) => ({ name, successRate: { objective: 99 } })
    const one = pageModel(inputOf(inFlight()), NOW)
    const two = pageModel(
      inputOf(inFlight(), { spec: specOf({ analysis: { slis: [sli('success-rate'), sli('other')] } }) }),
      NOW,
    )
    expect(one.slis[0]?.threshold).toBeCloseTo(2)
    expect(two.slis[0]?.threshold).toBeCloseTo(Math.log10(200))
  })
})
