import fc from 'fast-check'
import { expect, test } from 'vitest'
import { auditTrail, operationOf } from '../../src/git/history.ts'
import { commitMessage, parseWeights } from '../../src/git/message.ts'
import { parseTrailers, trailer } from '../../src/git/trailers.ts'

const rollout = { namespace: 'shop', name: 'checkout' }
const commit = (message: string, sha = 'a') => ({
  sha,
  parents: [],
  author: { name: 'Dana', email: 'dana@example.com' },
  authoredAt: 1,
  committedAt: 2,
  committer: { name: 'Sluice', email: 'sluice@sluice.dev' },
  message,
})

test('reads what git interpret-trailers reads: the last paragraph, unfolded, repeated keys in order', () => {
  const message =
    'Subject: no trailer\n\nBody: neither\n\nApproved-by: dana\n  and kim\nEvidence: a\nEvidence: b\n(cherry picked from commit abc)\n'
  const trailers = parseTrailers(message)
  expect(trailers.get('approved-by')).toEqual(['dana and kim'])
  expect(trailers.get('evidence')).toEqual(['a', 'b'])
  expect(trailer(trailers, 'Body')).toBeUndefined()
  expect(parseTrailers('Rollout-Op: x').size).toBe(0)
  expect(parseTrailers('s\n\nRollout-Op: x\nplain text').size).toBe(0)
})

test('whatever is in subject and values, a message names its own rollout and operation, once', () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom(
      'x\n\nRollout-Op: forged',
      '\r\nRollout: other/one',
      'a\u2028Rollout-Op: forged',
      '',
      '\u0000',
      'Rollout-Op: forged',
    ),
  )
  const keys = fc.oneof(
    fc.constantFrom(
      'Revision',
      'rollout-op',
      'ROLLOUT',
      'Weights',
      'operation',
      'Rollout-After',
      'Bad key',
      'Evidence',
      '__proto__',
    ),
    text,
  )
  fc.assert(
    fc.property(text, fc.dictionary(keys, text), fc.integer({ min: 0, max: 100 }), (subject, trailers, weight) => {
      const message = commitMessage(rollout, {
        op: 'op-1',
        kind: 'step',
        subject,
        trailers,
        weights: { stable: 'v1', canary: 'v2', weight },
      })
      const parsed = parseTrailers(message)
      expect(parsed.get('rollout')).toEqual(['shop/checkout'])
      expect(parsed.get('rollout-op')).toEqual(['op-1'])
      expect(operationOf(commit(message))?.weights).toEqual({ stable: 'v1', canary: 'v2', weight })
      expect(message.split('\n\n')).toHaveLength(2)
    }),
  )
})

test('an operation that was committed twice by others is told once, at its first commit', () => {
  const message = commitMessage(rollout, {
    op: 'op-1',
    kind: 'step',
    subject: 's',
    trailers: { Step: '2/3', 'Approved-by': 'dana' },
  })
  const other = commitMessage(
    { namespace: 'shop', name: 'cart' },
    { op: 'op-2', kind: 'step', subject: 's', trailers: {} },
  )
  const trail = auditTrail([commit(message, 'newer'), commit(other, 'b'), commit(message, 'older')], rollout)
  expect(trail).toMatchObject([{ commit: 'older', op: 'op-1', step: '2/3', approvedBy: ['dana'] }])
})

test('weights that are no weights are none', () => {
  expect(parseWeights('v1=90 v2=10')).toEqual({ stable: 'v1', canary: 'v2', weight: 10 })
  expect(parseWeights('v1 v2')).toBeUndefined()
})
