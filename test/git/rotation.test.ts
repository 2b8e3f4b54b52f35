import { expect, onTestFinished, test } from 'vitest'
import { createBranches } from '../../src/git/branch.ts'
import { createGitRecorder } from '../../src/git/record.ts'
import type { SourceRef } from '../../src/git/source-ref.ts'
import { type Runtime, systemRuntime } from '../../src/runtime.ts'
import { eventually, hasty, moveTo, resultOf, rolloutRef, shopFiles, sourceOf, stateAt } from './shop.ts'
import { remoteWith, temporaryFolder } from './workbench.ts'

/** Time that never passes: whatever happens was not waited for. */
const still: Runtime = {
  ...systemRuntime,
  sleep: (_, signal) =>
    new Promise((_resolve, reject) => {
      if (signal?.aborted) reject(signal.reason)
      signal?.addEventListener('abort', () => reject(signal.reason), { once: true })
    }),
}

function recorderAt(runtime: Runtime, onLockedOut?: (source: SourceRef) => void) {
  const git = createGitRecorder({
    branches: createBranches({ workDir: temporaryFolder(), runtime }),
    runtime,
    identity: { cluster: 'prod-eu', takeOver: false },
    ...(onLockedOut ? { onLockedOut } : {}),
  })
  onTestFinished(() => git.stop())
  return git
}

const secret = 'delivery/git'
const right = { username: 'bot', password: 'right-one', secret }
const wrong = { username: 'bot', password: 'worn-0ut', secret }

test('a commit that the remote did not let in is tried at once with the changed Secret, and what is said names the Secret', async () => {
  const { remote, person } = await remoteWith(shopFiles(), { credentials: right })
  const asked: SourceRef[] = []
  const git = recorderAt(still, (source) => asked.push(source))
  const before = sourceOf(remote.url, {}, wrong)
  const entry = moveTo(10)
  git.submit(before, rolloutRef(), entry, stateAt(10))
  const waits = await resultOf(git, before, rolloutRef(), entry.op, (r) => r.state === 'Waiting' && !!r.message)
  expect(waits).toMatchObject({
    message: expect.stringContaining('refused our credentials (those of the Secret delivery/git)'),
  })
  expect(JSON.stringify(waits)).not.toContain(wrong.password)
  expect(asked).toMatchObject([{ name: 'shop-config' }])

  const after = sourceOf(remote.url, {}, right)
  git.submit(after, rolloutRef(), entry, stateAt(10))
  expect(await resultOf(git, after, rolloutRef(), entry.op, (r) => r.state === 'Done')).toBeTruthy()
  expect(person.subjects()).toEqual(['Start', entry.subject])
})

test('credentials that expire in the middle hold what waits, and files are brought with the ones that work', async () => {
  const credentials = { ...right }
  const { remote, person } = await remoteWith(shopFiles(), { credentials })
  const git = recorderAt(hasty)
  const [first, second] = [moveTo(10), moveTo(20)]
  git.submit(sourceOf(remote.url, {}, { ...right }), rolloutRef(), first, stateAt(10))
  await resultOf(git, sourceOf(remote.url, {}, { ...right }), rolloutRef(), first.op, (r) => r.state === 'Done')
  credentials.password = 'the-next'
  const old = sourceOf(remote.url, {}, { ...right })
  git.submit(old, rolloutRef(), second, stateAt(20))
  await resultOf(git, old, rolloutRef(), second.op, (r) => r.state === 'Waiting' && !!r.message)
  person.commit('Theirs', { 'prod/new.yaml': 'a: 1\n' })
  const next = sourceOf(remote.url, {}, { ...right, password: 'the-next' })
  git.submit(next, rolloutRef(), second, stateAt(20))
  await resultOf(git, next, rolloutRef(), second.op, (r) => r.state === 'Done')
  expect(person.subjects()).toEqual(['Start', first.subject, 'Theirs', second.subject])
})

test('a source that is locked out does not hold up another one of the same branch', async () => {
  const { remote } = await remoteWith({ ...shopFiles(), ...shopFiles('cart') }, { credentials: right })
  const git = recorderAt(hasty)
  const locked = { ...sourceOf(remote.url, {}, wrong), name: 'locked' }
  const [first, second] = [moveTo(10), moveTo(20)]
  git.submit(locked, rolloutRef(), first, stateAt(10))
  await resultOf(git, locked, rolloutRef(), first.op, (r) => r.state === 'Waiting' && !!r.message)
  const open = sourceOf(remote.url, {}, right)
  git.submit(open, rolloutRef('cart'), second, stateAt(20))
  expect(await resultOf(git, open, rolloutRef('cart'), second.op, (r) => r.state === 'Done')).toBeTruthy()
  expect(git.observe(locked, rolloutRef()).results[first.op]?.state).toBe('Waiting')
})

test('nobody sees a branch by asking for it while somebody else with better credentials does', async () => {
  const { remote } = await remoteWith(shopFiles(), { credentials: right })
  const branch = createBranches({ workDir: temporaryFolder(), runtime: systemRuntime }).of({
    url: remote.url,
    branch: 'main',
  })
  const [theirs, ours, alike] = await Promise.all([
    branch.refresh(right),
    branch.refresh(undefined),
    branch.refresh({ ...right }),
  ])
  expect([theirs.ok, ours.ok, alike.ok]).toEqual([true, false, true])
})

test('what one source has brought here is not shown to another of the same URL that the remote does not let in', async () => {
  const { remote, person } = await remoteWith(shopFiles(), { credentials: right })
  const git = recorderAt(hasty)
  const ours = sourceOf(remote.url, {}, { ...right })
  const seen = <T>(look: () => T | undefined) => eventually(look)
  await seen(() => (git.observe(ours, rolloutRef()).known ? true : undefined))

  for (const credentials of [undefined, wrong]) {
    const theirs = {
      ...sourceOf(remote.url, {}, credentials),
      namespace: 'other',
      name: `curious-${credentials?.password}`,
    }
    const rollout = { ...rolloutRef(), namespace: 'other' }
    git.observe(theirs, rollout)
    person.commit('Secret plans', { 'prod/other.txt': `${credentials?.password}` })
    await git.refresh(ours)
    await seen(() =>
      git.observe(ours, rolloutRef()).tip === person.git('rev-parse', 'HEAD').trim() ? true : undefined,
    )
    expect(git.observe(theirs, rollout)).toMatchObject({ known: false, tip: undefined, author: undefined })
    await expect(git.history(theirs, rollout)).rejects.toThrow()
    git.forget('other/checkout')
  }

  const welcome = {
    ...sourceOf(remote.url, {}, { ...right, secret: 'other/git' }),
    namespace: 'other',
    name: 'welcome',
  }
  const theirs = { ...rolloutRef(), namespace: 'other' }
  await seen(() => (git.observe(welcome, theirs).known ? true : undefined))
})
