import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatStateFile, memoryOf, parseStateFile, type StoredState, stateFilePath } from '../../src/git/statefile.ts'

const rollout = { namespace: 'shop', name: 'checkout' }
const state: StoredState = {
  cluster: 'prod-eu',
  stable: { revision: 'v1-aaa', name: 'v1', hash: 'aaa', image: 'shop/checkout:1.9.3' },
  step: { index: 1, weight: 10 },
  weights: { stable: 'v1', canary: 'v2', weight: 10 },
  attempt: 3,
  evidence: ['success-rate: 99.9 %'],
  approvals: ['dana@example.com'],
  knownBad: [{ revision: 'v2-bbb', name: 'v2', hash: 'bbb', reason: 'success-rate', at: '2026-11-22T10:00:00Z' }],
}

test('stands inside the source’s folder', () => {
  expect(stateFilePath('', rollout)).toBe('.sluice/shop/checkout.yaml')
  expect(stateFilePath('clusters/prod', rollout)).toBe('clusters/prod/.sluice/shop/checkout.yaml')
})

test('says the same in the same bytes, whatever the order of the fields', () => {
  const reversed = {
    ...Object.fromEntries(Object.entries(state).reverse()),
    cluster: 'prod-eu',
    evidence: state.evidence,
    approvals: state.approvals,
    knownBad: state.knownBad,
  }
  expect(formatStateFile(rollout, reversed)).toBe(formatStateFile(rollout, state))
})

test('comes back as it was written, whatever the words in it', () => {
  const word = fc.oneof(
    fc.string({ minLength: 1 }),
    fc.constantFrom('007', 'yes', '1e3', 'null', '2026-01-01', '# x', 'a: b', '- x'),
  )
  const place = fc.option(word, { nil: undefined })
  const anyState = fc.record({
    cluster: word,
    stable: fc.record({ revision: word, name: word, hash: word, image: word, commit: place, file: place }),
    step: fc.constant({ index: 1, weight: 10 }),
    weights: fc.constant(undefined),
    attempt: fc.nat(),
    evidence: fc.array(word),
    approvals: fc.array(word),
    knownBad: fc.array(
      fc.record({ revision: word, name: word, hash: word, reason: word, at: word, commit: place, file: place }),
    ),
  })
  fc.assert(
    fc.property(anyState, (written) => {
      const read = parseStateFile('f', Buffer.from(formatStateFile(rollout, written)))
      expect(read.ok && JSON.parse(JSON.stringify(read.state))).toEqual(JSON.parse(JSON.stringify(written)))
    }),
    { numRuns: 60 },
  )
})

describe('what somebody did to it', () => {
  test.each([
    ['broken YAML', 'cluster: [', 'no readable state file'],
    ['no cluster', 'stable: {}', 'cluster'],
    ['a list', '- 1', 'the file'],
    ['nothing', '', 'the file'],
  ])('%s is named', (_name, text, message) => {
    const read = parseStateFile('.sluice/f.yaml', Buffer.from(text))
    expect(read).toMatchObject({
      ok: false,
      problem: { reason: 'ManifestInvalid', file: '.sluice/f.yaml', message: expect.stringContaining(message) },
    })
  })

  test('fields it does not know, and reformatting, do no harm', () => {
    const text = `# mine\r\n${formatStateFile(rollout, state).replaceAll('\n', '\r\n')}future: {a: 1}\r\n`
    const read = parseStateFile('f', Buffer.from(text))
    expect(read.ok && memoryOf(read.state)).toEqual(memoryOf(state))
  })
})

test('a file that was cut off anywhere before its marks of bad revisions are whole is no state file', () => {
  const text = formatStateFile(rollout, state)
  const [, list = ''] = /^knownBad:\n([\s\S]*)$/m.exec(text) ?? []
  for (let at = 0; at < text.length - list.length - 'knownBad:\n'.length; at++)
    expect(parseStateFile('f', Buffer.from(text.slice(0, at))).ok, text.slice(0, at)).toBe(false)
  for (const line of list.split('\n').slice(0, 3).keys())
    expect(
      parseStateFile('f', Buffer.from(text.slice(0, text.indexOf(list)) + list.split('\n').slice(0, line).join('\n')))
        .ok,
    ).toBe(false)
})
