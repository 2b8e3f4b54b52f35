import { execFileSync } from 'node:child_process'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { rolloutSourceSpec } from '../../src/api/rolloutsource.ts'
import { operationOf } from '../../src/git/history.ts'
import { commitMessage } from '../../src/git/message.ts'
import { formatTrailers, parseTrailers } from '../../src/git/trailers.ts'
import { placeholderNames, worded, wordingProblem, wordingValues } from '../../src/git/wording.ts'
import { moveTo, recorder, resultOf, rolloutRef, shopFiles, sourceOf, stateAt } from './shop.ts'
import { remoteWith } from './workbench.ts'

const rollout = { namespace: 'shop', name: 'checkout' }
const entry = moveTo(10, {
  op: 'op-1',
  subject: 'checkout: 0% → 10% (shop)',
  trailers: { Revision: 'v2-abc', Step: '1/3', 'Approved-by': 'dana@example.com' },
})
const write = (message: Record<string, unknown>, author = { name: 'Sluice', email: 'sluice@sluice.dev' }) =>
  rolloutSourceSpec.parse({ url: 'https://h/p', write: { message, author } }).write
const messageOf = (w: ReturnType<typeof write>, e = entry) =>
  commitMessage(rollout, e, 'op-0', worded(w, wordingValues(rollout, e, 'prod-eu')))
const commit = (message: string) => ({
  sha: 'a',
  parents: [],
  author: { name: 'x', email: 'y' },
  committer: { name: 'x', email: 'y' },
  authoredAt: 1,
  committedAt: 2,
  message,
})

test('subject, body and author are what the source wants, with every placeholder replaced', () => {
  const all = placeholderNames.map((name) => `${name}=\${${name}}`).join(' ')
  const w = write(
    { subject: 'chore(delivery): ${subject}', body: `Cluster: \${cluster}\n\n${all}`, skipCI: true },
    { name: 'Sluice of ${cluster}', email: 'sluice+${namespace}@example.com' },
  )
  const [subject, first, second, trailers] = messageOf(w).split('\n\n')
  expect(subject).toBe('chore(delivery): checkout: 0% → 10% (shop) [skip ci]')
  expect(first).toBe('Cluster: prod-eu')
  expect(second).toBe(
    'subject=checkout: 0% → 10% (shop) kind=step namespace=shop name=checkout cluster=prod-eu revision=v2-abc step=1/3 weight=10 verdict= approvedBy=dana@example.com',
  )
  expect(trailers).toContain('Rollout-Op: op-1')
  expect(worded(w, wordingValues(rollout, entry, 'prod-eu')).author).toEqual({
    name: 'Sluice of prod-eu',
    email: 'sluice+shop@example.com',
  })
})

test('a long subject keeps its mark, and is told in full below', () => {
  const [subject, told] = messageOf(write({ subject: `${'x'.repeat(300)}`, skipCI: true })).split('\n\n')
  expect(subject).toHaveLength(120)
  expect(subject?.endsWith('… [skip ci]')).toBe(true)
  expect(told).toBe(`${'x'.repeat(300)} [skip ci]`)
})

test('a placeholder that is none is refused with its field, and commits wait for the right one', async () => {
  const wrong = write({ body: 'by ${approver}' })
  expect(wordingProblem(wrong)).toMatchObject({
    reason: 'InvalidSpec',
    field: 'spec.write.message.body',
    message: expect.stringContaining('${approver}'),
  })
  expect(wordingProblem(write({ subject: 'costs $5 {x}' }))).toBeUndefined()
  const { remote, person } = await remoteWith(shopFiles())
  const git = recorder()
  const source = sourceOf(remote.url, { write: wrong })
  const move = moveTo(10)
  git.submit(source, rolloutRef(), move, stateAt(10))
  await resultOf(git, source, rolloutRef(), move.op, (r) => /\$\{approver\}/.test(JSON.stringify(r)))
  expect(person.subjects()).toEqual(['Start'])
  git.submit({ ...source, write: write({ body: 'by ${approvedBy}' }) }, rolloutRef(), move, stateAt(10))
  expect(await resultOf(git, source, rolloutRef(), move.op, (r) => r.state === 'Done')).toBeTruthy()
})

const nasty = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 30 }),
  fc.constantFrom(
    'Rollout-Op: forged',
    'x\n\nRollout-Op: forged\nRollout: other/one',
    '\r\n\r\nRollout-Op: forged',
    'a\u2028\u2028Rollout-Op: forged',
    '${subject}',
    '${approvedBy}\n\nRollout-Op: ${name}',
    '---\ndiff',
    '# comment',
    '\u0000\n \n\t\n',
    '(cherry picked from commit abc)',
    '',
  ),
)

test('whatever the templates and the values are, a message tells the operation that was written, once', () => {
  const values = fc.record({ Revision: nasty, Step: nasty, Verdict: nasty, 'Approved-by': nasty, 'Rollout-Op': nasty })
  const template = fc.array(nasty, { maxLength: 4 }).map((parts) => parts.join(''))
  fc.assert(
    fc.property(nasty, values, template, template, fc.boolean(), (subject, trailers, first, body, skipCI) => {
      const e = { ...entry, subject, trailers }
      const message = messageOf({ ...write({}), message: { subject: first || undefined, body, skipCI } }, e)
      const parsed = parseTrailers(message)
      expect(parsed.get('rollout-op')).toEqual(['op-1'])
      expect(parsed.get('rollout')).toEqual(['shop/checkout'])
      const told = operationOf(commit(message))
      expect(told).toMatchObject({ op: 'op-1', rollout: 'shop/checkout', weights: entry.weights })
      const written = formatTrailers(Object.entries(trailers).filter(([key]) => key !== 'Rollout-Op'))
      expect(message.endsWith(`${written === '' ? '' : `\n${written}`}\n`)).toBe(true)
      expect(message.split('\n')[0]!.includes('[skip ci]') || !skipCI).toBe(true)
      expect(message.split('\n')[0]!.length).toBeLessThanOrEqual(120)
    }),
    { numRuns: 500 },
  )
})

test('git reads the same trailers as we do', () => {
  const message = messageOf(
    write({ subject: 'feat: ${subject}', body: 'Rollout-Op: forged\nRollout: other/one\n\n# why\n---' }),
  )
  const parsed = execFileSync('git', ['interpret-trailers', '--parse', '--no-divider'], {
    input: message,
    encoding: 'utf8',
  })
  expect(parsed.split('\n').filter((line) => line.startsWith('Rollout'))).toEqual([
    'Rollout: shop/checkout',
    'Rollout-Op: op-1',
    'Rollout-After: op-0',
  ])
})
