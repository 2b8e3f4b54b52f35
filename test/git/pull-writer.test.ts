import { describe, expect, onTestFinished, test } from 'vitest'
import { createBranches } from '../../src/git/branch.ts'
import { createForges } from '../../src/git/forge/find.ts'
import { withMarker } from '../../src/git/pull-words.ts'
import { createGitRecorder, type GitRecorder } from '../../src/git/record.ts'
import type { CommitResult } from '../../src/plan/observation.ts'
import { type ForgeBench, forgeWith, type Kind } from './forge/bench.ts'
import { eventually, hasty, moveTo, resultOf, rolloutRef, shopFiles, stateAt, virtualService } from './shop.ts'
import { temporaryFolder } from './workbench.ts'

const both: Kind[] = ['GitHub', 'GitLab']
const key = 'shop/checkout'
let seconds = 0

/** An outcome that puts the canary at a weight. */
function outcome(weight: number, kind: 'rollback' | 'promote' = 'promote') {
  seconds += 1
  const at = new Date(Date.UTC(2026, 10, 22, 10, 0, seconds)).toISOString()
  return moveTo(weight, { kind, at, subject: `checkout: ${kind} at ${weight}% (shop)` })
}

function recorder(workDir = temporaryFolder(), cluster = 'prod-eu'): GitRecorder {
  const made = createGitRecorder({
    branches: createBranches({ workDir, runtime: hasty }),
    forges: createForges({ runtime: hasty }),
    runtime: hasty,
    identity: { cluster, takeOver: false },
    onError: (error) => {
      throw error
    },
  })
  onTestFinished(() => made.stop())
  return made
}

const submit = (git: GitRecorder, at: ForgeBench, entry: ReturnType<typeof outcome>) =>
  git.submit(at.source, rolloutRef(), entry, stateAt(entry.weights!.weight))

const proposed = (result: CommitResult) => result.state === 'Waiting' && result.proposed !== undefined

async function lying(git: GitRecorder, at: ForgeBench, op: string) {
  const result = await resultOf(git, at.source, rolloutRef(), op, proposed)
  if (result.state !== 'Waiting') throw new Error('unreachable')
  return result
}

/** The branches of ours that are left. */
const branches = (at: ForgeBench) =>
  at.person
    .git('ls-remote', 'origin', 'refs/heads/sluice/*')
    .split('\n')
    .flatMap((line) => line.split('refs/heads/')[1] ?? [])

const ended = (git: GitRecorder, at: ForgeBench, op: string) =>
  eventually(() => {
    git.look(at.source)
    const result = git.observe(at.source, rolloutRef()).results[op]
    return result && result.state !== 'Waiting' ? result : undefined
  })

describe.each(both)('an outcome at %s', (kind) => {
  test.each(kind === 'GitHub' ? (['merge', 'rebase'] as const) : (['squash', 'fast-forward'] as const))(
    'lies in one pull request until it is merged (%s), and is then in Git',
    async (method) => {
      const at = await forgeWith(kind, shopFiles())
      const git = recorder()
      const entry = outcome(100)
      const before = at.person.git('ls-remote', 'origin', 'refs/heads/main')
      submit(git, at, entry)
      const { message, proposed: url } = await lying(git, at, entry.op)
      const [pull] = at.fake.open()
      expect(url).toContain(String(pull!.number))
      expect(message).toBe(`lies in pull request ${kind === 'GitHub' ? '#' : '!'}1`)
      expect(pull).toMatchObject({
        title: entry.subject,
        branch: `sluice/shop/checkout/${entry.op}`,
        base: 'main',
        labels: ['delivery'],
      })
      expect(pull!.body).toContain('v2-abc')
      expect(at.person.git('ls-remote', 'origin', 'refs/heads/main')).toBe(before)

      const tip = at.fake.merge(1, 'dana', method)
      const result = await ended(git, at, entry.op)
      expect(result).toMatchObject({ state: 'Done' })
      expect(at.person.read('prod/checkout-vs.yaml')).toBe(virtualService(0, 100))
      expect(at.person.git('merge-base', '--is-ancestor', (result as { sha: string }).sha, tip)).toBe('')
      expect(git.observe(at.source, rolloutRef()).conflict).toBeUndefined()
      await eventually(() => (branches(at).length === 0 ? true : undefined))
      expect(at.fake.pulls).toHaveLength(1)
    },
  )

  test('is known by its number where it was squashed and its message rewritten, and is nobody’s edit', async () => {
    const at = await forgeWith(kind, shopFiles())
    const git = recorder()
    const entry = outcome(100)
    const rollout = { ...rolloutRef(), proposed: { weights: [entry.weights!] } }
    git.submit(at.source, rollout, entry, stateAt(100))
    await resultOf(git, at.source, rollout, entry.op, proposed)
    const tip = at.fake.merge(1, 'dana', 'squash', 'Something else altogether')
    const result = await eventually(() => {
      git.look(at.source)
      const seen = git.observe(at.source, rollout)
      expect(seen.conflict).toBeUndefined()
      return seen.results[entry.op]?.state === 'Done' ? seen.results[entry.op] : undefined
    })
    expect(result).toMatchObject({ state: 'Done', sha: tip })
    // Recorded, and so no longer owed.
    const after = { ...rolloutRef(), proposed: { weights: [], merged: tip } }
    git.observe(at.source, after)
    const again = recorder()
    await eventually(() => (again.observe(at.source, after).known ? true : undefined))
    expect(again.observe(at.source, after).conflict).toBeUndefined()
    // What a person changes afterwards is a person's.
    const theirs = at.person.commit('less', { 'prod/checkout-vs.yaml': virtualService(30, 70) })
    await again.refresh(at.source)
    const conflict = await eventually(() => again.observe(at.source, after).conflict)
    expect(conflict).toMatchObject({ commit: theirs, weight: 70, author: 'Dana <dana@example.com>' })
  })

  test('declined by a person stays declined, and the next one is proposed anew', async () => {
    const at = await forgeWith(kind, shopFiles())
    const git = recorder()
    const first = outcome(100)
    submit(git, at, first)
    await lying(git, at, first.op)
    at.fake.close(1, 'robin')
    const result = await ended(git, at, first.op)
    expect(result).toMatchObject({ state: 'Refused', problem: { reason: 'PullRequestDeclined' } })
    expect(JSON.stringify(result)).toMatch(/declined by robin in [#!]1/)
    // Asked for again, also by another process.
    const again = recorder()
    submit(again, at, first)
    expect((await ended(again, at, first.op)).state).toBe('Refused')
    expect(at.fake.open()).toEqual([])

    const next = outcome(0, 'rollback')
    submit(again, at, next)
    await lying(again, at, next.op)
    expect(at.fake.open()).toMatchObject([{ title: next.subject }])
    await eventually(() => (branches(at).length === 1 ? true : undefined))
  })
})

describe('an outcome', () => {
  const kind: Kind = 'GitHub'

  test('declined by a person is declined, also where its body says that we closed it', async () => {
    const at = await forgeWith(kind, shopFiles())
    const git = recorder()
    const entry = outcome(100)
    submit(git, at, entry)
    await lying(git, at, entry.op)
    at.fake.faults.down = true
    at.fake.close(1, 'dana')
    at.fake.pulls[0]!.body = withMarker(at.fake.pulls[0]!.body, { ops: [entry.op], closed: true })
    at.fake.faults.down = false
    const result = await ended(git, at, entry.op)
    expect(result).toMatchObject({ state: 'Refused', problem: { reason: 'PullRequestDeclined' } })
    expect(at.fake.pulls).toHaveLength(1)
  })

  test('a merged body that claims a later operation does not put it into Git', async () => {
    const at = await forgeWith(kind, shopFiles())
    const git = recorder()
    const [first, second] = [outcome(100), outcome(0, 'rollback')]
    submit(git, at, first)
    await lying(git, at, first.op)
    at.fake.faults.down = true
    at.fake.pulls[0]!.body = withMarker(at.fake.pulls[0]!.body, { ops: [first.op, second.op] })
    at.fake.merge(1, 'dana', 'squash', 'Something else')
    submit(git, at, second)
    at.fake.faults.down = false
    expect(await ended(git, at, first.op)).toMatchObject({ state: 'Done' })
    await lying(git, at, second.op)
    expect(at.fake.open()).toHaveLength(1)
  })

  test('a newer one carries the older, whose pull request is closed with a word', async () => {
    const at = await forgeWith(kind, shopFiles())
    const git = recorder()
    const older = outcome(100)
    submit(git, at, older)
    await lying(git, at, older.op)
    const newer = outcome(0, 'rollback')
    submit(git, at, newer)
    await lying(git, at, newer.op)
    await eventually(() => (branches(at).length === 1 ? true : undefined))
    expect(at.fake.pulls.map((pull) => pull.state)).toEqual(['closed', 'open'])
    expect(at.fake.pulls[0]!.comments[0]!.body).toMatch(/^Superseded by [#!]2/)
    at.fake.merge(2, 'dana')
    for (const { op } of [older, newer]) expect(await ended(git, at, op)).toMatchObject({ state: 'Done' })
    const ops = at.person.read('x') + at.person.git('log', '--reverse', '--format=%(trailers:key=Rollout-Op,valueonly)')
    expect(ops.split('\n').filter(Boolean)).toEqual([older.op, newer.op])
  })

  test('is built anew where main has changed the same file, and left alone where it has not', async () => {
    const at = await forgeWith(kind, shopFiles())
    const git = recorder()
    const entry = outcome(100)
    submit(git, at, entry)
    await lying(git, at, entry.op)
    const head = at.fake.pulls[0]!.head
    at.person.commit('elsewhere', { 'prod/other.txt': 'x' })
    await git.refresh(at.source)
    git.look(at.source)
    await hasty.sleep(50)
    at.person.commit('a comment', { 'prod/checkout-vs.yaml': `# New words\n${virtualService(100, 0)}` })
    await eventually(() => {
      git.look(at.source)
      at.fake.open()
      return at.person.git('ls-remote', 'origin', `refs/heads/sluice/shop/checkout/${entry.op}`).startsWith(head)
        ? undefined
        : true
    })
    at.fake.merge(1, 'dana')
    expect(at.person.read('prod/checkout-vs.yaml')).toBe(`# New words\n${virtualService(0, 100)}`)
    expect(at.person.read('prod/other.txt')).toBe('x')
    expect(await ended(git, at, entry.op)).toMatchObject({ state: 'Done' })
    expect(at.fake.pulls).toHaveLength(1)
  })

  test('to which a person has pushed is left as it is, and said so', async () => {
    const at = await forgeWith(kind, shopFiles())
    const git = recorder()
    const entry = outcome(100)
    submit(git, at, entry)
    await lying(git, at, entry.op)
    const { person } = at
    person.git('fetch', '--quiet', 'origin', `sluice/shop/checkout/${entry.op}`)
    person.git('reset', '--quiet', '--hard', 'FETCH_HEAD')
    person.write({ 'prod/extra.txt': 'mine' })
    person.git('add', '-A')
    person.git('commit', '--quiet', '-m', 'one more thing')
    person.git('push', '--quiet', 'origin', `HEAD:refs/heads/sluice/shop/checkout/${entry.op}`)
    const head = person.git('rev-parse', 'HEAD').trim()
    person.commit('a comment', { 'prod/checkout-vs.yaml': `# New words\n${virtualService(100, 0)}` })
    await eventually(() => {
      git.look(at.source)
      const result = git.observe(at.source, rolloutRef()).results[entry.op]
      return result?.state === 'Waiting' && /Dana .*has pushed/.test(result.message ?? '') ? true : undefined
    })
    expect(person.git('ls-remote', 'origin', `refs/heads/sluice/shop/checkout/${entry.op}`)).toContain(head)
  })

  test('whose answers are lost, or while the forge is down, is one pull request in the end', async () => {
    const at = await forgeWith(kind, shopFiles())
    const git = recorder()
    const entry = outcome(100)
    at.fake.faults.down = true
    submit(git, at, entry)
    const waiting = await resultOf(git, at.source, rolloutRef(), entry.op, (r) => r.state === 'Waiting' && !!r.message)
    expect(waiting).toMatchObject({ state: 'Waiting' })
    at.fake.faults.loseAnswers = 2
    at.fake.faults.down = false
    await lying(git, at, entry.op)
    expect(at.fake.pulls).toHaveLength(1)
    expect(at.fake.pulls[0]!.labels).toEqual(['delivery'])
  })

  test('merged into another branch than it was meant for is declined', async () => {
    const at = await forgeWith(kind, shopFiles())
    const git = recorder()
    const entry = outcome(100)
    submit(git, at, entry)
    await lying(git, at, entry.op)
    at.branch('other', { 'o.txt': 'x' })
    at.fake.pulls[0]!.base = 'other'
    at.fake.merge(1, 'dana')
    expect(JSON.stringify(await ended(git, at, entry.op))).toContain('instead of main')
  })

  test('of another cluster in the same repository is not touched', async () => {
    const at = await forgeWith(kind, { ...shopFiles(), 'us/x.txt': '' })
    const git = recorder()
    const entry = outcome(100)
    submit(git, at, entry)
    await lying(git, at, entry.op)
    const other = recorder(temporaryFolder(), 'prod-us')
    const there = { ...at, source: { ...at.source, path: 'us' } }
    const theirs = outcome(50)
    submit(other, there, theirs)
    await lying(other, there, theirs.op)
    other.look(there.source)
    await hasty.sleep(100)
    expect(at.fake.open()).toHaveLength(2)
  })
})

test('a branch that nobody may push to is said once, with the remedy, and not tried in a loop', async () => {
  const at = await forgeWith('GitHub', shopFiles())
  const git = recorder()
  let refused = 0
  at.person.git('ls-remote', 'origin')
  const { writeFileSync } = await import('node:fs')
  const dir = at.person.git('remote', 'get-url', 'origin').trim()
  writeFileSync(`${dir}/hooks/pre-receive`, '#!/bin/sh\necho "GH013: Repository rule violations found" >&2; exit 1\n')
  git.onChange((name) => {
    if (name === key) refused += 1
  })
  const entry = outcome(100)
  submit(git, at, entry)
  const result = await resultOf(git, at.source, rolloutRef(), entry.op)
  expect(result).toMatchObject({ state: 'Refused', problem: { reason: 'GitProtected' } })
  expect(JSON.stringify(result)).toContain('GH013')
  const said = refused
  await hasty.sleep(200)
  expect(refused).toBe(said)
})
