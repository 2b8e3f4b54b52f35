import { expect, test } from 'vitest'
import { createGitLog } from '../../src/controller/git-log.ts'
import type { Operation } from '../../src/git/history.ts'
import type { KubeObject } from '../../src/kube/object.ts'

const rollout = (name: string): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Rollout',
  metadata: { namespace: 'a', name },
})
const operation = (commit: string): Operation => ({
  commit,
  decidedAt: 0,
  committedAt: 0,
  author: 'dana',
  subject: commit,
  rollout: 'a/b',
  op: commit,
  evidence: [],
  approvedBy: [],
  requestedBy: [],
  override: [],
})

function world() {
  let now = 0
  const reads: string[] = []
  const told: string[] = []
  const errors: unknown[] = []
  let commits = ['one']
  const log = createGitLog({
    read: async ({ metadata }) => {
      reads.push(metadata.name)
      if (commits.length === 0) throw new Error('no Git')
      return commits.map(operation)
    },
    runtime: { monotonic: () => now },
    onRead: (key) => told.push(key),
    onError: (error) => errors.push(error),
    most: 2,
  })
  const settle = () => new Promise((resolve) => setTimeout(resolve, 0))
  return {
    log,
    reads,
    told,
    errors,
    settle,
    pass: (ms: number) => {
      now += ms
    },
    commit: (...next: string[]) => {
      commits = next
    },
  }
}

const subjects = (operations: readonly Operation[] | undefined) => operations?.map(({ subject }) => subject)

test('asking never waits: what is known at once, what is read later is told', async () => {
  const w = world()
  expect(w.log.of(rollout('b'), 'x')).toBeUndefined()
  await w.settle()
  expect(w.told).toEqual(['a/b'])
  expect(subjects(w.log.of(rollout('b'), 'x'))).toEqual(['one'])
  expect(w.reads).toEqual(['b'])
})

test('is read anew after a commit, and now and then, and not otherwise', async () => {
  const w = world()
  w.log.of(rollout('b'), 'x')
  await w.settle()
  w.commit('one', 'two')
  expect(subjects(w.log.of(rollout('b'), 'x'))).toEqual(['one'])
  await w.settle()
  expect(w.reads).toHaveLength(1)
  w.log.of(rollout('b'), 'y')
  await w.settle()
  expect(subjects(w.log.of(rollout('b'), 'y'))).toEqual(['one', 'two'])
  w.pass(30_000)
  w.log.of(rollout('b'), 'y')
  await w.settle()
  expect([w.reads.length, w.told.length]).toEqual([3, 2])
})

test('keeps what it knew while Git cannot be read', async () => {
  const w = world()
  w.log.of(rollout('b'), 'x')
  await w.settle()
  w.commit()
  w.log.of(rollout('b'), 'y')
  await w.settle()
  expect(subjects(w.log.of(rollout('b'), 'y'))).toEqual(['one'])
  expect(w.errors).toHaveLength(1)
})

test('forgets those that nobody has looked at for longest', async () => {
  const w = world()
  for (const name of ['b', 'c', 'd']) w.log.of(rollout(name), 'x')
  await w.settle()
  expect(w.log.of(rollout('d'), 'x')).toHaveLength(1)
  expect(w.log.of(rollout('b'), 'x')).toBeUndefined()
})
