import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import {
  eventually,
  hasty,
  moveTo,
  recorder,
  resultOf,
  rolloutManifest,
  rolloutRef,
  shopFiles,
  sourceOf,
  stateAt,
  virtualService,
} from './shop.ts'
import { remoteWith, temporaryFolder } from './workbench.ts'

const statePath = 'prod/.sluice/shop/checkout.yaml'

describe('a step', () => {
  test('is one commit that changes the two weights and not one other byte of the manifest', async () => {
    const { remote, person } = await remoteWith(shopFiles())
    const git = recorder()
    const source = sourceOf(remote.url)
    const entries = [moveTo(10), moveTo(50), moveTo(100)]
    for (const entry of entries) git.submit(source, rolloutRef(), entry, stateAt(entry.weights!.weight))
    for (const entry of entries) {
      expect(await resultOf(git, source, rolloutRef(), entry.op)).toMatchObject({
        state: 'Done',
        sha: expect.any(String),
      })
    }
    expect(person.subjects()).toEqual([
      'Start',
      'checkout: → 10% (shop)',
      'checkout: → 50% (shop)',
      'checkout: → 100% (shop)',
    ])
    expect(person.git('show', 'HEAD~2:prod/checkout-vs.yaml')).toBe(virtualService(90, 10))
    expect(person.read('prod/checkout-vs.yaml')).toBe(virtualService(0, 100))
    expect(person.read('prod/checkout.yaml')).toBe(rolloutManifest('v2'))
    const [newest] = person.git('log', '-1', '--format=%(trailers:only,unfold)').split('\n\n')
    expect(newest).toContain(
      `Rollout: shop/checkout\nRollout-Op: ${entries[2]!.op}\nOperation: step\nRollout-After: ${entries[1]!.op}\nWeights: v1=0 v2=100\nRevision: v2-abc\nStep: 1/3`,
    )
    expect(person.git('log', '-1', '--format=%an <%ae> %aI').trim()).toBe(
      'Sluice <sluice@sluice.dev> 2026-11-22T10:00:00+00:00',
    )
    expect(person.read(statePath)).toContain('cluster: prod-eu\n')
  })

  test('that Git has already is not committed again, whoever asks', async () => {
    const { remote, person } = await remoteWith(shopFiles())
    const source = sourceOf(remote.url)
    const entry = moveTo(10)
    const first = recorder()
    first.submit(source, rolloutRef(), entry, stateAt(10))
    const done = await resultOf(first, source, rolloutRef(), entry.op)
    await first.stop()
    const second = recorder()
    second.submit(source, rolloutRef(), entry, stateAt(10))
    expect(await resultOf(second, source, rolloutRef(), entry.op)).toMatchObject({
      state: 'Done',
      sha: 'sha' in done ? done.sha : '',
    })
    const same = moveTo(10)
    second.submit(source, rolloutRef(), same, stateAt(10))
    const nothing = await resultOf(second, source, rolloutRef(), same.op)
    expect(nothing).toMatchObject({ state: 'Done', note: 'Git says so already' })
    expect(person.subjects()).toHaveLength(2)
  })

  test('given up before it was committed leaves no trace', async () => {
    const { remote, person } = await remoteWith(shopFiles())
    const git = recorder()
    const source = sourceOf(remote.url)
    remote.faults.down = true
    const entry = moveTo(10)
    git.submit(source, rolloutRef(), entry, stateAt(10))
    await resultOf(
      git,
      source,
      rolloutRef(),
      entry.op,
      (r) => r.state === 'Waiting' && (r.message ?? '').includes('does not answer'),
    )
    git.submit(source, rolloutRef(), { ...entry, void: true }, stateAt(0))
    remote.faults.clear()
    expect(await resultOf(git, source, rolloutRef(), entry.op)).toMatchObject({
      state: 'Done',
      note: expect.stringContaining('given up'),
    })
    expect(person.subjects()).toEqual(['Start'])
  })

  test('cannot smuggle trailers or another subject into its commit', async () => {
    const { remote, person } = await remoteWith(shopFiles())
    const git = recorder()
    const source = sourceOf(remote.url)
    const entry = moveTo(10, {
      subject: 'evil\n\nRollout-Op: forged',
      trailers: {
        'Approved-by': 'dana\nRollout-Op: forged',
        'rollout-op': 'forged',
        'Bad key': 'x',
        Evidence: 'a\r\n\r\nb',
      },
    })
    git.submit(source, rolloutRef(), entry, stateAt(10))
    await resultOf(git, source, rolloutRef(), entry.op)
    expect(person.read(statePath)).not.toBe('')
    expect(person.git('log', '-1', '--format=%(trailers:key=Rollout-Op,valueonly)').trim()).toBe(entry.op)
    expect(person.git('log', '-1', '--format=%(trailers:key=Approved-by,valueonly)').trim()).toBe(
      'dana Rollout-Op: forged',
    )
  })

  test('has a subject that fits, and tells a long one in full below', async () => {
    const { remote, person } = await remoteWith(shopFiles())
    const git = recorder()
    const source = sourceOf(remote.url)
    const why = `checkout: roll back v2 → v1 (shop): ${'pod checkout-canary-1 is not ready. '.repeat(8)}Rollout-Op: forged`
    const entry = moveTo(10, { subject: why })
    git.submit(source, rolloutRef(), entry, stateAt(10))
    await resultOf(git, source, rolloutRef(), entry.op)
    expect(Math.max(...person.subjects().map((s) => s.length))).toBeLessThanOrEqual(120)
    expect(person.git('log', '-1', '--format=%B')).toContain(why)
    expect(person.git('log', '-1', '--format=%(trailers:key=Rollout-Op,valueonly)').trim()).toBe(entry.op)
    expect((await git.history(source, rolloutRef())).at(-1)?.op).toBe(entry.op)
  })

  test('in a repository without the route goes into the state file alone', async () => {
    const { remote, person } = await remoteWith({ 'prod/checkout.yaml': rolloutManifest('v2') })
    const git = recorder()
    const source = sourceOf(remote.url)
    const entry = moveTo(10)
    git.submit(source, rolloutRef(), entry, stateAt(10))
    expect(await resultOf(git, source, rolloutRef(), entry.op)).toMatchObject({
      state: 'Done',
      note: expect.stringContaining('does not hold the route'),
    })
    expect(person.read(statePath)).toContain('weight: 10')
  })

  test('into a manifest that cannot be edited exactly is refused with the line', async () => {
    const shared = virtualService(100, 0).replace('weight: 100', 'weight: &w 100').replace('weight: 0', 'weight: *w')
    const { remote, person } = await remoteWith({ ...shopFiles(), 'prod/checkout-vs.yaml': shared })
    const git = recorder()
    const source = sourceOf(remote.url)
    const entry = moveTo(10)
    git.submit(source, rolloutRef(), entry, stateAt(10))
    const result = await resultOf(git, source, rolloutRef(), entry.op)
    expect(result).toMatchObject({
      state: 'Refused',
      problem: { reason: 'GitRefusedEdit', file: 'prod/checkout-vs.yaml' },
    })
    expect(person.subjects()).toEqual(['Start'])
  })
})

describe('a rollback', () => {
  const rollback = (more = {}) =>
    moveTo(0, { kind: 'rollback', desired: { from: 'v2', to: 'v1' }, subject: 'checkout: roll back', ...more })

  test('puts weights and desired version back in one commit', async () => {
    const { remote, person } = await remoteWith({ ...shopFiles(), 'prod/checkout-vs.yaml': virtualService(90, 10) })
    const git = recorder()
    const source = sourceOf(remote.url)
    const entry = rollback()
    git.submit(source, rolloutRef(), entry, stateAt(0))
    expect(await resultOf(git, source, rolloutRef(), entry.op)).toMatchObject({ state: 'Done' })
    expect(person.read('prod/checkout-vs.yaml')).toBe(virtualService(100, 0))
    expect(person.read('prod/checkout.yaml')).toBe(rolloutManifest('v1'))
    expect(person.subjects()).toHaveLength(2)
  })

  test('leaves a version that a person chose meanwhile alone', async () => {
    const { remote, person } = await remoteWith({ ...shopFiles(), 'prod/checkout.yaml': rolloutManifest('v3') })
    const git = recorder()
    const source = sourceOf(remote.url)
    const entry = rollback()
    git.submit(source, rolloutRef(), entry, stateAt(0))
    expect(await resultOf(git, source, rolloutRef(), entry.op)).toMatchObject({
      state: 'Done',
      note: expect.stringContaining('desired is v3'),
    })
    expect(person.read('prod/checkout.yaml')).toBe(rolloutManifest('v3'))
  })

  test('arrives once when the remote was down meanwhile', async () => {
    const { remote, person } = await remoteWith({ ...shopFiles(), 'prod/checkout-vs.yaml': virtualService(90, 10) })
    const git = recorder()
    const source = sourceOf(remote.url)
    remote.faults.down = true
    const entry = rollback()
    git.submit(source, rolloutRef(), entry, stateAt(0))
    await resultOf(
      git,
      source,
      rolloutRef(),
      entry.op,
      (r) => r.state === 'Waiting' && (r.message ?? '').includes('does not answer'),
    )
    git.submit(source, rolloutRef(), entry, stateAt(0))
    remote.faults.clear()
    expect(await resultOf(git, source, rolloutRef(), entry.op)).toMatchObject({ state: 'Done' })
    expect(person.subjects()).toEqual(['Start', 'checkout: roll back'])
  })
})

describe('people win', () => {
  test('a person’s weight stands: ours is not written, and they are named', async () => {
    const { remote, person } = await remoteWith(shopFiles())
    const git = recorder()
    const source = sourceOf(remote.url)
    const first = moveTo(50)
    git.submit(source, rolloutRef(), first, stateAt(50))
    await resultOf(git, source, rolloutRef(), first.op)
    const theirs = person.commit('Careful now', { 'prod/checkout-vs.yaml': virtualService(80, 20) })
    person.commit('Unrelated', { 'prod/checkout-vs.yaml': `${virtualService(80, 20)}# more\n` })
    const second = moveTo(100)
    git.submit(source, rolloutRef(), second, stateAt(100))
    expect(await resultOf(git, source, rolloutRef(), second.op)).toMatchObject({
      state: 'Conflict',
      weight: 20,
      commit: theirs,
      author: 'Dana <dana@example.com>',
    })
    const conflict = await eventually(() => git.observe(source, rolloutRef()).conflict)
    expect(conflict).toEqual({ weight: 20, commit: theirs, author: 'Dana <dana@example.com>' })
    expect(person.read('prod/checkout-vs.yaml')).toBe(`${virtualService(80, 20)}# more\n`)

    const accepted = { ...rolloutRef(), accepted: git.observe(source, rolloutRef()).tip! }
    git.submit(source, accepted, { ...second, accept: accepted.accepted }, stateAt(100))
    expect(await resultOf(git, source, accepted, second.op, (r) => r.state === 'Done')).toMatchObject({ state: 'Done' })
    expect(person.read('prod/checkout-vs.yaml')).toBe(`${virtualService(0, 100)}# more\n`)
    await eventually(() => (git.observe(source, accepted).conflict === undefined ? true : undefined))
  })

  test('their weights stand even when they push while we do', async () => {
    const { remote, person } = await remoteWith(shopFiles())
    const git = recorder()
    const source = sourceOf(remote.url)
    const first = moveTo(10)
    git.submit(source, rolloutRef(), first, stateAt(10))
    await resultOf(git, source, rolloutRef(), first.op)
    remote.faults.delayMs = 250
    const second = moveTo(50)
    git.submit(source, rolloutRef(), second, stateAt(50))
    await hasty.sleep(9)
    while (!git.observe(source, rolloutRef()).results[second.op]) await hasty.sleep(5)
    await new Promise((later) => setTimeout(later, 700))
    person.commit('Meanwhile', { 'prod/checkout-vs.yaml': virtualService(95, 5) })
    const result = await resultOf(git, source, rolloutRef(), second.op)
    expect(['Conflict', 'Done']).toContain(result.state)
    expect(person.read('prod/checkout-vs.yaml')).toBe(virtualService(95, 5))
    expect(person.subjects().filter((s) => s.includes('50%'))).toHaveLength(result.state === 'Done' ? 1 : 0)
  })

  test('a commit of ours that is not about weights does not make theirs ours', async () => {
    const { remote, person } = await remoteWith(shopFiles())
    const git = recorder()
    const source = sourceOf(remote.url)
    const first = moveTo(50)
    git.submit(source, rolloutRef(), first, stateAt(50))
    await resultOf(git, source, rolloutRef(), first.op)
    person.commit('Theirs', { 'prod/checkout-vs.yaml': virtualService(80, 20) })
    const other = moveTo(0, { weights: undefined, kind: 'retry' })
    git.submit(source, rolloutRef(), other, stateAt(1))
    expect(await resultOf(git, source, rolloutRef(), other.op)).toMatchObject({ state: 'Done' })
    const next = moveTo(100)
    git.submit(source, rolloutRef(), next, stateAt(100))
    expect(await resultOf(git, source, rolloutRef(), next.op)).toMatchObject({ state: 'Conflict', weight: 20 })
  })

  test('before any commit of ours, a change since the decision is a conflict, and the weights found are not', async () => {
    const { remote, person } = await remoteWith({ ...shopFiles(), 'prod/checkout-vs.yaml': virtualService(70, 30) })
    const git = recorder()
    const source = sourceOf(remote.url)
    const base = person.git('rev-parse', 'HEAD').trim()
    person.commit('Theirs', { 'prod/checkout-vs.yaml': virtualService(60, 40) })
    const late = moveTo(50, { base })
    git.submit(source, rolloutRef(), late, stateAt(50))
    expect(await resultOf(git, source, rolloutRef(), late.op)).toMatchObject({ state: 'Conflict', weight: 40 })
    const fresh = moveTo(50, { base: git.observe(source, rolloutRef()).tip! })
    git.submit(source, rolloutRef(), fresh, stateAt(50))
    expect(await resultOf(git, source, rolloutRef(), fresh.op)).toMatchObject({ state: 'Done' })
  })

  test('names who brought the desired version, our own rollback aside', async () => {
    const { remote, person } = await remoteWith(shopFiles())
    const git = recorder()
    const source = sourceOf(remote.url)
    const entry = moveTo(0, { desired: { from: 'v2', to: 'v1' } })
    await eventually(() => (git.observe(source, rolloutRef()).known ? true : undefined))
    expect(git.observe(source, rolloutRef()).author).toBe('Dana <dana@example.com>')
    git.submit(source, rolloutRef(), entry, stateAt(0))
    await resultOf(git, source, rolloutRef(), entry.op)
    person.git('config', 'user.name', 'x')
    person.write({ 'prod/checkout.yaml': rolloutManifest('v3') })
    person.read('README')
    person.write({ 'prod/checkout.yaml': rolloutManifest('v3') })
    person.git('add', '-A')
    person.git('commit', '--quiet', '--author', 'Kim <kim@example.com>', '-m', 'Release v3')
    person.git('push', '--quiet', 'origin', 'HEAD:main')
    person.commit('Comment', { 'prod/checkout.yaml': `# hello\n${rolloutManifest('v3')}` })
    await git.refresh(source)
    await eventually(() => (git.observe(source, rolloutRef()).author === 'Kim <kim@example.com>' ? true : undefined))
    const squashed = 'Release v4 (#7)\n\nCo-authored-by: Lee <lee@example.com>\nco-authored-by: Dana <dana@example.com>'
    person.commit(squashed, { 'prod/checkout.yaml': rolloutManifest('v4') })
    await git.refresh(source)
    const all = 'Dana <dana@example.com>, Lee <lee@example.com>'
    await eventually(() => (git.observe(source, rolloutRef()).author === all ? true : undefined))
  })
})

describe('who may write', () => {
  test('another cluster’s path is refused, and nothing is written, unless it is taken over', async () => {
    const { remote, person } = await remoteWith(shopFiles())
    const source = sourceOf(remote.url)
    const ours = recorder({ cluster: 'eu' })
    const first = moveTo(10)
    ours.submit(source, rolloutRef(), first, stateAt(10))
    await resultOf(ours, source, rolloutRef(), first.op)
    const theirs = recorder({ cluster: 'us' })
    const second = moveTo(50)
    theirs.submit(source, rolloutRef(), second, stateAt(50))
    expect(await resultOf(theirs, source, rolloutRef(), second.op)).toMatchObject({
      state: 'Refused',
      problem: { reason: 'GitOtherCluster' },
    })
    const problem = await eventually(() => theirs.observe(source, rolloutRef()).problem)
    expect(problem).toMatchObject({ reason: 'GitOtherCluster', message: expect.stringContaining('eu') })
    expect(person.subjects()).toHaveLength(2)
    const rebuilt = recorder({ cluster: 'us', takeOver: true })
    rebuilt.submit(source, rolloutRef(), second, stateAt(50))
    expect(await resultOf(rebuilt, source, rolloutRef(), second.op)).toMatchObject({ state: 'Done' })
    await eventually(() => (rebuilt.observe(source, rolloutRef()).memory?.cluster === 'us' ? true : undefined))
  })

  test('a namespace that is not allowed', async () => {
    const { remote } = await remoteWith(shopFiles())
    const git = recorder()
    const closed = sourceOf(remote.url, { allowedNamespaces: [] })
    const entry = moveTo(10)
    git.submit(closed, rolloutRef(), entry, stateAt(10))
    expect(await resultOf(git, closed, rolloutRef(), entry.op)).toMatchObject({
      state: 'Refused',
      problem: { reason: 'SourceNotAllowed' },
    })
  })

  test('a protected branch is said once and not hammered; it works when it is opened', async () => {
    const { remote, person, dir } = await remoteWith(shopFiles())
    const git = recorder()
    const source = sourceOf(remote.fileUrl)
    const hook = join(dir, 'config.git', 'sluice-reject')
    writeFileSync(hook, 'protected branch\n')
    const entries = [moveTo(10), moveTo(50)]
    for (const entry of entries) git.submit(source, rolloutRef(), entry, stateAt(entry.weights!.weight))
    for (const { op } of entries) {
      expect(await resultOf(git, source, rolloutRef(), op)).toMatchObject({
        state: 'Refused',
        problem: { reason: 'GitProtected' },
      })
    }
    rmSync(hook)
    git.submit(source, rolloutRef(), entries[0]!, stateAt(10))
    expect(git.observe(source, rolloutRef()).results[entries[0]!.op]).toMatchObject({ state: 'Refused' })
    person.commit('The branch moves', { 'prod/x.txt': '' })
    await git.refresh(source)
    git.submit(source, rolloutRef(), entries[0]!, stateAt(10))
    expect(await resultOf(git, source, rolloutRef(), entries[0]!.op, (r) => r.state === 'Done')).toMatchObject({
      state: 'Done',
    })
  })
})

test('a state file that is garbage is named, not overwritten', async () => {
  const { remote, person } = await remoteWith({ ...shopFiles(), [statePath]: 'cluster: [\n' })
  const git = recorder()
  const source = sourceOf(remote.url)
  const entry = moveTo(10)
  git.submit(source, rolloutRef(), entry, stateAt(10))
  const refused = { state: 'Refused', problem: { reason: 'ManifestInvalid', file: statePath } }
  expect(await resultOf(git, source, rolloutRef(), entry.op)).toMatchObject(refused)
  expect(person.read(statePath)).toBe('cluster: [\n')
})

test('remembers stable and known bad, and where Git wanted them last, for a cluster that is built anew', async () => {
  const { remote, person } = await remoteWith(shopFiles())
  const git = recorder()
  const source = sourceOf(remote.url)
  const knownBad = [{ revision: 'v2-abc', name: 'v2', hash: 'abc', reason: 'success-rate', at: '2026-11-22T10:00:00Z' }]
  const entry = moveTo(0)
  git.submit(source, rolloutRef(), entry, { ...stateAt(0), knownBad })
  await resultOf(git, source, rolloutRef(), entry.op)
  const fresh = recorder()
  const memory = await eventually(() => fresh.observe(source, rolloutRef()).memory)
  const desired = { commit: person.git('rev-list', '--max-parents=0', 'HEAD').trim(), file: 'prod/checkout.yaml' }
  const { stable, step, attempt } = stateAt(0)
  expect(memory).toEqual({ cluster: 'prod-eu', stable, step, attempt, knownBad: [{ ...knownBad[0], ...desired }] })
})

test('an answer that got lost after the push does not commit twice', async () => {
  const { remote, person } = await remoteWith(shopFiles())
  const git = recorder()
  const source = sourceOf(remote.url)
  remote.faults.loseAnswers = 1
  const entry = moveTo(10)
  git.submit(source, rolloutRef(), entry, stateAt(10))
  expect(await resultOf(git, source, rolloutRef(), entry.op, (r) => r.state === 'Done')).toMatchObject({
    sha: expect.any(String),
  })
  expect(person.subjects()).toHaveLength(2)
})

test('the audit trail is rebuilt from trailers alone', async () => {
  const { remote, person } = await remoteWith(shopFiles())
  const git = recorder()
  const source = sourceOf(remote.url)
  const entries = [moveTo(10), moveTo(50, { trailers: { 'Approved-by': 'dana@example.com', Verdict: 'Pass' } })]
  for (const entry of entries) git.submit(source, rolloutRef(), entry, stateAt(entry.weights!.weight))
  for (const entry of entries) await resultOf(git, source, rolloutRef(), entry.op)
  person.commit('Somebody else', { 'a.txt': '' })
  const trail = await recorder({ workDir: temporaryFolder() }).history(source, rolloutRef())
  expect(trail.map((o) => [o.op, o.weights?.weight, o.approvedBy])).toEqual([
    [entries[0]!.op, 10, []],
    [entries[1]!.op, 50, ['dana@example.com']],
  ])
})

test('a Secret that is corrected during an outage reaches the operations that wait', async () => {
  const { remote, person } = await remoteWith(shopFiles(), { credentials: { username: 'bot', password: 'right' } })
  const git = recorder()
  const wrong = sourceOf(remote.url, {}, { username: 'bot', password: 'wrong' })
  const entry = moveTo(10)
  git.submit(wrong, rolloutRef(), entry, stateAt(10))
  const refused = (r: { state: string; message?: string }) =>
    r.state === 'Waiting' && (r.message ?? '').includes('refused our credentials')
  await resultOf(git, wrong, rolloutRef(), entry.op, refused)
  const right = sourceOf(remote.url, {}, { username: 'bot', password: 'right' })
  git.submit(right, rolloutRef(), entry, stateAt(10))
  expect(await resultOf(git, right, rolloutRef(), entry.op)).toMatchObject({ state: 'Done' })
  expect(person.subjects()).toHaveLength(2)
})

test('a Rollout that moves to another repository leaves nothing of what waits in the old one', async () => {
  const old = await remoteWith(shopFiles())
  const next = await remoteWith(shopFiles())
  const git = recorder()
  old.remote.faults.down = true
  const entry = moveTo(10)
  const before = sourceOf(old.remote.url)
  git.submit(before, rolloutRef(), entry, stateAt(10))
  await resultOf(
    git,
    before,
    rolloutRef(),
    entry.op,
    (r) => r.state === 'Waiting' && (r.message ?? '').includes('does not answer'),
  )
  const after = sourceOf(next.remote.url)
  git.submit(after, rolloutRef(), entry, stateAt(10))
  expect(await resultOf(git, after, rolloutRef(), entry.op)).toMatchObject({ state: 'Done', sha: expect.any(String) })
  old.remote.faults.clear()
  await git.refresh(before)
  expect(old.person.subjects()).toEqual(['Start'])
  expect(next.person.subjects()).toHaveLength(2)
})

test('tells when there is news, forgets what is recorded, and says nothing about a Rollout that is gone', async () => {
  const { remote, person } = await remoteWith(shopFiles())
  const git = recorder()
  const source = sourceOf(remote.url)
  const told: string[] = []
  git.onChange((key) => told.push(key))
  expect(git.observe(source, rolloutRef())).toMatchObject({
    known: false,
    mode: 'Push',
    commits: 'EveryStep',
    results: {},
  })
  await eventually(() => (git.observe(source, rolloutRef()).known ? true : undefined))
  expect(told).toContain('shop/checkout')
  const entry = moveTo(10)
  git.submit(source, rolloutRef(), entry, stateAt(10))
  await resultOf(git, source, rolloutRef(), entry.op)
  git.forget('shop/checkout', [entry.op])
  expect(git.observe(source, rolloutRef()).results).toEqual({})
  git.forget('shop/checkout')
  told.length = 0
  person.commit('News', { 'prod/checkout-vs.yaml': virtualService(1, 99) })
  await git.refresh(source)
  expect(told).toEqual([])
})

test('that another cluster was taken over is said once', async () => {
  const { remote, person } = await remoteWith(shopFiles())
  const source = sourceOf(remote.url)
  const lost = recorder({ cluster: 'lost' })
  const step = moveTo(10)
  lost.submit(source, rolloutRef(), step, stateAt(10))
  await resultOf(lost, source, rolloutRef(), step.op)
  const git = recorder({ takeOver: true })
  for (const attempt of [1, 2]) {
    const adopt = moveTo(10, { kind: 'adopt', weights: undefined, subject: 'taken over' })
    git.submit(source, rolloutRef(), adopt, { ...stateAt(10), attempt })
    expect(await resultOf(git, source, rolloutRef(), adopt.op)).toMatchObject({ state: 'Done' })
  }
  expect(person.subjects().filter((subject) => subject === 'taken over')).toHaveLength(1)
  expect(person.read('prod/.sluice/shop/checkout.yaml')).toContain('cluster: prod-eu')
})
