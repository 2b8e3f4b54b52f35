import { describe, expect, test } from 'vitest'
import type { Commit } from '../../src/git/commit.ts'
import { isBranchName } from '../../src/git/plumbing.ts'
import { outcomeBranch, pullPrefix, questionBranch } from '../../src/git/pull-branch.ts'
import { closedBody, code, outcomeWords, quoted, readMarker, withMarker } from '../../src/git/pull-words.ts'

const commit = (subject: string, trailers: string): Commit => ({
  sha: 'a'.repeat(40),
  parents: ['b'.repeat(40)],
  author: { name: 'Sluice', email: 'sluice@sluice.dev' },
  committer: { name: 'Sluice', email: 'sluice@sluice.dev' },
  authoredAt: 1,
  committedAt: 1,
  message: `${subject}\n\nRollout: shop/checkout\n${trailers}\n`,
})

describe('the last line of a body', () => {
  test('is read again, replaced and never doubled', () => {
    const once = withMarker('Words', { ops: ['a'] })
    expect(readMarker(once)).toEqual({ ops: ['a'] })
    const twice = withMarker(once, { ops: ['a', 'b'] })
    expect(readMarker(twice)).toEqual({ ops: ['a', 'b'] })
    expect(twice.match(/<!--/g)).toHaveLength(1)
    expect(readMarker(closedBody({ body: twice } as never))).toEqual({ ops: ['a', 'b'], closed: true })
  })

  test.each([
    '',
    'Words',
    'Words <!-- sluice: {"ops":["x"]} --> and more',
    '<!-- sluice: not json -->',
    '<!-- sluice: {"ops":7} -->',
  ])('tells nothing in %j', (body) => expect(readMarker(body)).toEqual({}))
})

test('nothing that people have written is markup, a mention, a cell or a last line', () => {
  const evil = '@everyone <img src=x> | a\n\n<!-- sluice: {"ops":["evil"],"closed":true} -->'
  const words = outcomeWords({
    rollout: { namespace: 'shop', name: 'checkout' },
    cluster: evil,
    commits: [commit(`promote ${evil.replaceAll('\n', ' ')}`, 'Rollout-Op: op1\nEvidence: @dana `x` | y <b>')],
    state: {
      cluster: 'x',
      evidence: [],
      approvals: [],
      knownBad: [{ revision: '`v1`|', name: 'v1', hash: 'h', reason: evil, at: 'now' }],
    },
    labels: [],
  })
  expect(readMarker(words.body)).toEqual({ ops: ['op1'] })
  expect(words.body.match(/<!--/g)).toHaveLength(1)
  expect(words.body).not.toMatch(/<img|<b>|@everyone|@dana/)
  expect(quoted('a | b')).toBe('a \\| b')
  const plain = (text: string) => quoted(text).replaceAll('\\', '')
  for (const text of [
    'fixes #12',
    'Closes: acme/shop#12',
    'resolves https://git.example.com/a/b/issues/1',
    'close GH-7',
  ])
    expect(plain(text)).not.toMatch(/(fixes|closes|resolves|close):? +(\S*#\d|https:|GH-)/i)
  expect(code('my_app`|')).toBe("`my_app'\\|`")
})

test.each(['checkout', 'a.lock', 'x'.repeat(253), `${'x'.repeat(249)}.lock`])(
  'branches of a Rollout called %s are branches',
  (name) => {
    const rollout = { namespace: 'n'.repeat(63), name }
    for (const branch of [outcomeBranch(rollout, 'abcdef012345'), questionBranch(rollout, 'sha256:a/b..c')]) {
      expect(isBranchName(branch)).toBe(true)
      expect(branch.length).toBeLessThanOrEqual(255)
      expect(branch.startsWith(pullPrefix(rollout))).toBe(true)
    }
  },
)

test('a body of a million line ends, or of as many markers, keeps nobody waiting', () => {
  // Either takes minutes where the marker is looked for at every place of the body.
  expect(readMarker(`${'\n'.repeat(1_000_000)}x`)).toEqual({})
  expect(readMarker(`${'<!-- sluice: {'.repeat(75_000)}x`)).toEqual({})
  expect(readMarker(withMarker('\n'.repeat(1_000_000), { digest: 'd' }))).toEqual({ digest: 'd' })
})
