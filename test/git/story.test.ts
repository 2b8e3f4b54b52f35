import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { PendingCommit } from '../../src/api/status.ts'
import type { Commit } from '../../src/git/commit.ts'
import { operationsOf } from '../../src/git/history.ts'
import { commitMessage } from '../../src/git/message.ts'
import { formatStateFile, parseStateFile, type StoredState } from '../../src/git/statefile.ts'
import { type Chapter, verifyStory } from '../../src/git/story.ts'

/** What one rollout of a new revision comes to. */
type Flight = {
  steps: number
  end: 'promote' | 'rollback' | 'abort' | 'restore' | 'delete'
  after: number
  fails: number[]
}

const flight: fc.Arbitrary<Flight> = fc.record({
  steps: fc.integer({ min: 1, max: 5 }),
  end: fc.constantFrom('promote', 'rollback', 'abort', 'restore', 'delete'),
  /** How many steps are taken before it ends otherwise than well. */
  after: fc.nat(5),
  /** Steps whose move is given up once after its push, and taken again. */
  fails: fc.array(fc.nat(4), { maxLength: 2 }),
})

const names = ['checkout', 'cart']

interface Written {
  chapter: Chapter
  message: string
}

/** The commits of the real writer's words for flights of several Rollouts, one after the other in turns. */
function honest(flights: readonly Flight[]): Written[] {
  const lines = names.map((name, n) =>
    tellAll(
      name,
      flights.filter((_, i) => i % names.length === n),
    ),
  )
  const longest = Math.max(...lines.map((line) => line.length))
  return Array.from({ length: longest }, (_, i) => lines.flatMap((line) => line.slice(i, i + 1))).flat()
}

function tellAll(name: string, flights: readonly Flight[]): Written[] {
  const written: Written[] = []
  let last = 'none'
  let stable = 'v0'
  const knownBad: StoredState['knownBad'] = []
  const commit = (entry: Pick<PendingCommit, 'kind' | 'trailers' | 'weights'>) => {
    const op = `${name}-${written.length}`
    const message = commitMessage(
      { namespace: 'shop', name },
      { ...entry, op, subject: `${name}: ${entry.kind}` },
      last,
    )
    const state: StoredState = {
      cluster: 'prod',
      stable: { revision: stable, name: stable, hash: stable },
      knownBad: [...knownBad],
      evidence: [],
      approvals: [],
      op,
      ...(entry.weights ? { weights: entry.weights } : {}),
    }
    written.push(chapterOf(name, message, state))
    last = op
  }
  flights.forEach(({ steps, end, after, fails }, n) => {
    const revision = `v${n + 1}`
    const weights = (weight: number) => ({ stable, canary: revision, weight })
    const weightAt = (index: number) => Math.round((100 * index) / steps)
    const taken = end === 'promote' ? steps : Math.min(after, steps)
    const trailers = { Revision: revision, From: stable }
    const step = (i: number) =>
      commit({
        kind: 'step',
        trailers: { ...trailers, Step: `${i}/${steps}`, Weight: `${weightAt(i - 1)}% → ${weightAt(i)}%` },
        weights: weights(weightAt(i)),
      })
    for (let i = 1; i <= taken; i++) {
      step(i)
      if (!fails.includes(i)) continue
      const back = { ...trailers, Step: `${i - 1}/${steps}`, Weight: `${weightAt(i)}% → ${weightAt(i - 1)}%` }
      commit({ kind: 'restore', trailers: back, weights: weights(weightAt(i - 1)) })
      step(i)
    }
    if (end === 'promote') {
      stable = revision
      commit({ kind: end, trailers: { ...trailers, Step: `${steps}/${steps}` }, weights: weights(100) })
      return
    }
    if (end === 'rollback' || end === 'abort')
      knownBad.push({ revision, name: revision, hash: revision, reason: 'Breach', at: '2026-11-22T10:00:00Z' })
    commit({ kind: end, trailers: { ...trailers, Step: `${taken}/${steps}` }, weights: weights(0) })
  })
  return written
}

function chapterOf(name: string, message: string, state: StoredState | undefined): Written {
  const sha = `${name}${message.length}${message}`
  const author = { name: 'Sluice', email: 'sluice@sluice.dev' }
  const commit: Commit = { sha, parents: [], author, committer: author, authoredAt: 0, committedAt: 0, message }
  const file = `prod/.sluice/shop/${name}.yaml`
  const parsed = state && parseStateFile(file, Buffer.from(formatStateFile({ namespace: 'shop', name }, state)))
  const operations = operationsOf(commit)
  const chapter: Chapter = {
    commit: sha,
    author: 'Sluice <sluice@sluice.dev>',
    committer: 'Sluice <sluice@sluice.dev>',
    operations,
    states: parsed?.ok ? [{ rollout: `shop/${name}`, file, is: 'written', state: parsed.state }] : [],
    weights: operations.flatMap(({ rollout, weights }) =>
      weights ? [{ rollout, from: undefined, to: weights.weight }] : [],
    ),
  }
  return { chapter, message }
}

const chapters = (written: readonly Written[]) => written.map(({ chapter }) => chapter)
const flights = fc.array(flight, { minLength: 1, maxLength: 6 })

test('whatever the writer writes is an unbroken story', () => {
  fc.assert(
    fc.property(flights, (given) => {
      expect(verifyStory({ chapters: chapters(honest(given)), writers: ['sluice@sluice.dev'] })).toEqual([])
    }),
  )
})

test('any commit that is dropped is found, but for the newest of its Rollout', () => {
  fc.assert(
    fc.property(flights, fc.nat(), (given, at) => {
      const written = honest(given)
      const index = at % written.length
      const about = written[index]!.chapter.operations[0]!.rollout
      const isNewest = written.slice(index + 1).every(({ chapter }) => chapter.operations[0]!.rollout !== about)
      const found = verifyStory({ chapters: chapters(written.toSpliced(index, 1)) })
      expect(found.length > 0).toBe(!isNewest)
      if (!isNewest) expect(found).toContainEqual(expect.objectContaining({ kind: 'Missing', rollout: about }))
    }),
  )
})

test('any two commits of a Rollout that change places are found', () => {
  fc.assert(
    fc.property(flights, fc.nat(), fc.nat(), (given, a, b) => {
      const written = tellAll('checkout', given)
      const [i, j] = [a % written.length, b % written.length]
      fc.pre(i !== j)
      const swapped = written.with(i, written[j]!).with(j, written[i]!)
      expect(verifyStory({ chapters: chapters(swapped) })).not.toEqual([])
    }),
  )
})

test('an operation, a weight or a step that is edited is found', () => {
  const edits: [field: string, edit: (message: string) => string][] = [
    ['op', (m) => m.replace(/^Rollout-Op: .*$/m, 'Rollout-Op: forged')],
    ['after', (m) => m.replace(/^Rollout-After: .*$/m, 'Rollout-After: forged')],
    ['weights', (m) => m.replace(/^Weights: (\S+)=\S+ (\S+)=\S+$/m, 'Weights: $1=63 $2=37')],
    ['step', (m) => m.replace(/^Step: (\d+)\/(\d+)$/m, (_, i, n) => `Step: ${Number(i) + 7}/${n}`)],
  ]
  fc.assert(
    fc.property(flights, fc.nat(), fc.constantFrom(...edits), (given, at, [field, edit]) => {
      const written = tellAll('checkout', given)
      const index = at % written.length
      const { chapter, message } = written[index]!
      const isStep = chapter.operations[0]?.kind === 'step'
      fc.pre(field !== 'step' || isStep)
      // The last step before an end that is not a promotion has nothing after it to disagree with.
      fc.pre(field !== 'step' || written[index - 1]?.chapter.operations[0]?.kind === 'step')
      const { operations } = chapterOf('checkout', edit(message), undefined).chapter
      const edited = written.with(index, { message, chapter: { ...chapter, operations } })
      expect(verifyStory({ chapters: chapters(edited) }).map(({ kind }) => kind)).not.toEqual([])
    }),
  )
})

test('an operation that is told twice is found; one that was squashed with others is not broken', () => {
  const written = tellAll('checkout', [{ steps: 3, end: 'promote', after: 0, fails: [] }])
  expect(verifyStory({ chapters: [...chapters(written), { ...written[1]!.chapter, states: [] }] })).toMatchObject([
    { kind: 'Repeated' },
  ])
  const message = `Outcomes (#7)\n\n${written.map((each) => `* ${each.message}`).join('\n')}`
  const { states, weights } = written.at(-1)!.chapter
  const squashed = chapterOf('checkout', message, undefined).chapter
  expect(squashed.operations).toHaveLength(4)
  expect(verifyStory({ chapters: [{ ...squashed, states, weights: weights.slice(-1) }] })).toEqual([])
})

test('a person may change weights, which are gone on from, and delete the state file, which begins anew', () => {
  const written = tellAll('checkout', [{ steps: 3, end: 'promote', after: 0, fails: [] }])
  const [one, two, three] = chapters(written)
  const dana = {
    commit: 'd',
    author: 'Dana <dana@example.com>',
    committer: 'Dana <dana@example.com>',
    operations: [],
    states: [],
    weights: [],
  }
  const lowered = { ...dana, weights: [{ rollout: 'shop/checkout', from: 67, to: 33 }] }
  const after = two!.states.map((change) =>
    change.is === 'written' ? { ...change, state: { ...change.state, op: 'again' } } : change,
  )
  const again = {
    ...two!,
    operations: two!.operations.map((o) => ({ ...o, op: 'again', after: two!.operations[0]!.op })),
    states: after,
  }
  expect(verifyStory({ chapters: [one!, two!, lowered, again] })).toEqual([])
  expect(verifyStory({ chapters: [one!, two!, again] }).map(({ kind }) => kind)).toContain('Weights')

  const file = 'prod/.sluice/shop/checkout.yaml'
  const deleted: Chapter = { ...dana, states: [{ rollout: 'shop/checkout', file, is: 'deleted' }] }
  const anew = tellAll('checkout', [{ steps: 1, end: 'promote', after: 0, fails: [] }]).map(({ chapter }) => ({
    ...chapter,
    operations: chapter.operations.map((o) => ({
      ...o,
      op: `new-${o.op}`,
      after: o.after === 'none' ? 'none' : `new-${o.after}`,
    })),
    states: [],
  }))
  expect(verifyStory({ chapters: [one!, two!, three!, deleted, ...anew] })).toEqual([])
  expect(verifyStory({ chapters: [one!, two!, three!, ...anew] }).map(({ kind }) => kind)).toContain('Order')
})

test('the state file at the tip is of the last operation, and nobody but operations writes it', () => {
  const written = chapters(tellAll('checkout', [{ steps: 2, end: 'promote', after: 0, fails: [] }]))
  const old = {
    commit: 'd',
    author: 'Dana <dana@example.com>',
    committer: 'Dana <dana@example.com>',
    operations: [],
    weights: [],
    states: written[0]!.states,
  }
  expect(verifyStory({ chapters: [...written, old] }).map(({ kind }) => kind)).toEqual(['State', 'Tip'])
})

test('a branch whose beginning is not here is no broken one', () => {
  const written = chapters(tellAll('checkout', [{ steps: 3, end: 'promote', after: 0, fails: [] }])).slice(1)
  expect(verifyStory({ chapters: written }).map(({ kind }) => kind)).toContain('Missing')
  expect(verifyStory({ chapters: written, shallow: true }).filter(({ kind }) => kind === 'Missing')).toEqual([])
})

test('a question that was merged is no operation and no break', () => {
  const written = chapters(tellAll('checkout', [{ steps: 2, end: 'promote', after: 0, fails: [] }]))
  const [change] = written[0]!.states
  if (change?.is !== 'written') throw new Error('there is a state')
  const asked = { digest: 'd', step: 2, from: 50, to: 100, round: 1 }
  const merged = (op: string): Chapter => ({
    commit: 'm',
    author: 'Dana <dana@example.com>',
    committer: 'GitHub <noreply@github.com>',
    operations: [],
    weights: [],
    states: [{ ...change, state: { ...change.state, op, asked } }],
  })
  const { op = '' } = change.state
  expect(verifyStory({ chapters: [written[0]!, merged(op), ...written.slice(1)] })).toEqual([])
  expect(verifyStory({ chapters: [written[0]!, merged('x'), ...written.slice(1)] })).toMatchObject([{ kind: 'State' }])
})
