import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { parse } from 'yaml'
import type { PendingCommit } from '../../src/api/status.ts'
import type { Entry } from '../../src/cli/history/trail.ts'
import { run } from '../../src/cli/program.ts'
import type { Terminal } from '../../src/cli/terminal.ts'
import { displayWidth } from '../../src/cli/width.ts'
import type { StateFile } from '../../src/plan/effects.ts'
import { systemRuntime } from '../../src/runtime.ts'
import { startGitRemote } from '../../src/sandbox/git/remote.ts'
import { moveTo, recorder, resultOf, rolloutRef, shopFiles, sourceOf, virtualService } from '../git/shop.ts'
import { type Person, personAt, temporaryFolder } from '../git/workbench.ts'
import { rollout } from './fixtures.ts'
import { createWorld, type Said, type World } from './world.ts'

// Many small runs of git: quick by themselves, slow where many suites share a machine.
vi.setConfig({ testTimeout: 120_000 })

let world: World
beforeAll(async () => {
  world = await createWorld()
})
afterAll(async () => {
  for (const dir of originals.values()) rmSync(dir, { recursive: true, force: true })
  await world.stop()
})

/** A command line of a person without a cluster. */
async function sluice(argv: readonly string[], given: Partial<Terminal> = {}): Promise<Said> {
  const said = { out: '', err: '' }
  const code = await run(argv, {
    out: (text) => {
      said.out += text
    },
    err: (text) => {
      said.err += text
    },
    interactive: false,
    columns: undefined,
    rows: 24,
    colours: false,
    env: { PATH: process.env.PATH, HOME: world.dir, GIT_CONFIG_NOSYSTEM: '1' },
    runtime: systemRuntime,
    untilStopped: () => new Promise(() => {}),
    ...given,
  })
  return { code, ...said }
}

const minute = (n: number) => new Date(Date.UTC(2026, 10, 22, 10, n)).toISOString()
const trailers = { Revision: 'v2-bbb', From: 'v1-aaa', Verdict: 'Pass' }
const state = (weight: number, more: Partial<StateFile> = {}): StateFile => ({
  stable: { revision: 'v1-aaa', name: 'v1', hash: 'aaa' },
  step: { index: 1, weight },
  attempt: 1,
  knownBad: [],
  evidence: [],
  approvals: [],
  ...more,
})

/** What the controller would commit: a rollout that is promoted, then one of v3 that is rolled back. */
const story = (name = 'checkout'): { entry: PendingCommit; state: StateFile }[] => [
  {
    entry: moveTo(10, { at: minute(0), trailers: { ...trailers, Step: '1/3', Weight: '0% → 10%', Verdict: 'Start' } }),
    state: state(10),
  },
  {
    entry: moveTo(50, {
      at: minute(6),
      trailers: {
        ...trailers,
        Step: '2/3',
        Weight: '10% → 50%',
        Evidence: 'success-rate 99.98 % (objective 99.5 %), 612 requests, Pass',
        'Approved-by': 'user:dana@example.com',
      },
    }),
    state: state(50),
  },
  {
    entry: moveTo(100, { at: minute(16), trailers: { ...trailers, Step: '3/3', Weight: '50% → 100%' } }),
    state: state(100),
  },
  {
    entry: moveTo(100, {
      kind: 'promote',
      at: minute(21),
      subject: `${name}: promote v2 (shop)`,
      trailers: { ...trailers, Step: '3/3' },
    }),
    state: state(100, { stable: { revision: 'v2-bbb', name: 'v2', hash: 'bbb' }, step: undefined }),
  },
  {
    entry: {
      ...moveTo(10, {
        at: minute(60),
        trailers: { Revision: 'v1-ccc', From: 'v2-bbb', Step: '1/3', Weight: '0% → 10%', Verdict: 'Start' },
      }),
      weights: { stable: 'v2', canary: 'v1', weight: 10 },
    },
    state: state(10, { stable: { revision: 'v2-bbb', name: 'v2', hash: 'bbb' } }),
  },
  {
    entry: {
      ...moveTo(0, {
        kind: 'rollback',
        at: minute(62),
        subject: `${name}: roll back v1 → v2 (shop): success-rate 93.1 % < 99.5 %`,
        trailers: { Revision: 'v1-ccc', From: 'v1-ccc', Step: '1/3', Verdict: 'Breach', Weight: '10% → 0%' },
      }),
      weights: { stable: 'v2', canary: 'v1', weight: 0 },
    },
    state: state(0, {
      stable: { revision: 'v2-bbb', name: 'v2', hash: 'bbb' },
      knownBad: [{ revision: 'v1-ccc', name: 'v1', hash: 'ccc', reason: 'Breach', at: minute(62) }],
    }),
  },
]

/** A repository in which the real writer has told the story; what is made of it in a test is a copy. */
const originals = new Map<string, string>()

async function tell(names: string[]): Promise<string> {
  const dir = mkdtempSync(join(tmpdir(), 'sluice-told-'))
  const remote = await startGitRemote({ dir: join(dir, 'config.git') })
  personAt(join(dir, 'person'), remote.dir).commit('Start', Object.assign({}, ...names.map((name) => shopFiles(name))))
  const git = recorder()
  const source = sourceOf(remote.url)
  for (const name of names) {
    for (const { entry, state } of story(name)) {
      git.submit(source, rolloutRef(name), entry, state)
      const result = await resultOf(git, source, rolloutRef(name), entry.op)
      expect(result).toMatchObject({ state: 'Done', sha: expect.any(String) })
    }
  }
  await git.stop()
  await remote.stop()
  execFileSync('git', ['-C', remote.dir, 'config', 'uploadpack.allowFilter', 'true'])
  return dir
}

async function told(names = ['checkout']) {
  const key = names.join(' ')
  const original = originals.get(key) ?? (await tell(names))
  originals.set(key, original)
  const dir = temporaryFolder()
  const repo = join(dir, 'config.git')
  cpSync(join(original, 'config.git'), repo, { recursive: true })
  const person = personAt(join(dir, 'person'), repo)
  person.subjects()
  return { dir, repo, person, url: pathToFileURL(repo).href }
}

const json = (
  said: Said,
): { entries: Entry[]; verified?: { whole: boolean; breaks: { message: string; commit: string }[] } } => {
  expect(said.err).toBe('')
  return JSON.parse(said.out)
}

/** Rewrites the branch as a person with the right to force pushes would: `edit` says what becomes of each commit's message. */
function rewrite(person: Person, dir: string, edit: (messages: string[]) => (string | undefined)[]): void {
  const shas = person.git('log', '--reverse', '--format=%H', 'origin/main').trim().split('\n')
  const messages = shas.map((sha) => person.git('log', '-1', '--format=%B', sha).trimEnd())
  const edited = edit(messages)
  let parent: string[] = []
  let tip = ''
  for (const [i, sha] of shas.entries()) {
    const message = edited[i]
    if (message === undefined) continue
    const file = join(dir, 'message')
    writeFileSync(file, `${message}\n`)
    const who = person.git('log', '-1', '--format=%an%n%ae%n%aI', sha).trim().split('\n')
    tip = execFileSync('git', ['commit-tree', `${sha}^{tree}`, ...parent, '-F', file], {
      cwd: join(dir, 'person'),
      encoding: 'utf8',
      env: {
        PATH: process.env.PATH,
        GIT_AUTHOR_NAME: who[0],
        GIT_AUTHOR_EMAIL: who[1],
        GIT_AUTHOR_DATE: who[2],
        GIT_COMMITTER_NAME: who[0],
        GIT_COMMITTER_EMAIL: who[1],
      },
    }).trim()
    parent = ['-p', tip]
  }
  execFileSync('git', ['-C', join(dir, 'config.git'), 'config', 'receive.denyNonFastForwards', 'false'])
  person.git('push', '--quiet', '--force', 'origin', `${tip}:refs/heads/main`)
}

test('the trail is told from a URL: what, from where to where, why, by whom, how long and where', async () => {
  const { url } = await told()
  const said = await sluice(['history', 'shop/checkout', '--repo', url])
  expect(said).toMatchObject({ code: 0, err: '' })
  const lines = said.out.trimEnd().split('\n')
  expect(lines[0]).toMatch(/^WHEN \(UTC\) +WHAT +WEIGHT +CHART +REVISION +VERDICT +EVIDENCE +BY +TOOK +COMMIT$/)
  expect(lines).toHaveLength(7)
  expect(lines[1]).toMatch(/^2026-11-22 10:00:00 +┌ step 1\/3 +0% → 10% +▊░+ +v2-bbb +Start/)
  expect(lines[2]).toMatch(
    /├ step 2\/3 +10% → 50% +████░░░░ +v2-bbb +Pass +success-rate 99.98.* +approved: user:dana@example.com +6m +[0-9a-f]{8}$/,
  )
  expect(lines[4]).toMatch(/└ promote +100% +████████ +v1-aaa → v2-bbb/)
  expect(lines[5]).toMatch(/┌ step 1\/3 +0% → 10%/)
  expect(lines[6]).toMatch(/└ rollback +10% → 0% +░+ +v1-ccc → v2-bbb +Breach/)
})

test('json has every entry, with what people changed in between', async () => {
  const { person, dir } = await told(['checkout', 'cart'])
  person.commit('Try v3', {
    'prod/checkout.yaml': person.read('prod/checkout.yaml').replace('desired: v2', 'desired: v3'),
  })
  person.commit('Calm down', { 'prod/cart-vs.yaml': virtualService(95, 5, 'cart') })
  const { entries } = json(await sluice(['history', '--repo', join(dir, 'config.git'), '-o', 'json']))
  expect(entries).toHaveLength(14)
  expect(entries.map(({ rollout, attempt, what }) => `${rollout} ${attempt} ${what}`)).toEqual([
    ...['step', 'step', 'step', 'promote'].map((what) => `shop/checkout 1 ${what}`),
    ...['step', 'rollback'].map((what) => `shop/checkout 2 ${what}`),
    ...['step', 'step', 'step', 'promote'].map((what) => `shop/cart 1 ${what}`),
    ...['step', 'rollback'].map((what) => `shop/cart 2 ${what}`),
    'shop/checkout 3 person',
    'shop/cart 3 person',
  ])
  expect(entries[1]).toMatchObject({
    at: '2026-11-22T10:06:00Z',
    step: '2/3',
    weight: { from: 10, to: 50 },
    revision: { from: 'v1-aaa', to: 'v2-bbb' },
    approvedBy: ['user:dana@example.com'],
    tookSeconds: 360,
    author: 'Sluice <sluice@sluice.dev>',
  })
  expect(entries[12]).toMatchObject({
    author: 'Dana <dana@example.com>',
    change: { what: 'desired', from: 'v2', to: 'v3' },
  })
  expect(entries[13]).toMatchObject({ change: { what: 'weight', from: '0%', to: '95%', file: 'prod/cart-vs.yaml' } })
  const one = json(await sluice(['history', 'cart', '--repo', join(dir, 'config.git'), '-o', 'json', '--last', '2']))
  expect(one.entries.map(({ what }) => what)).toEqual(['rollback', 'person'])
  const yaml = await sluice([
    'history',
    'cart',
    '--repo',
    join(dir, 'config.git'),
    '-o',
    'yaml',
    '--since',
    '2026-11-22T10:30Z',
  ])
  expect(parse(yaml.out).entries.map(({ what }: Entry) => what)).toEqual(['step', 'rollback', 'person'])
})

test('several operations that a forge squashed into one commit are all there', async () => {
  const { person, dir } = await told()
  const messages = person.git('log', '--reverse', '--format=%B%x00', 'origin/main').split('\0')
  const ours = messages.map((message) => message.trim()).filter((message) => message.includes('Rollout-Op'))
  const squashed = `checkout: outcomes (#12)\n\n${ours.map((message) => `* ${message}`).join('\n\n')}\n\n---------\n\nCo-authored-by: Sluice <sluice@sluice.dev>`
  const tree = person.git('rev-parse', 'origin/main^{tree}').trim()
  const first = person.git('rev-list', '--max-parents=0', 'origin/main').trim()
  const tip = person.git('commit-tree', tree, '-p', first, '-m', squashed).trim()
  const repo = join(dir, 'person')
  person.git('branch', 'squashed', tip)
  const { entries, verified } = json(
    await sluice(['history', 'shop/checkout', '--repo', repo, '--branch', 'squashed', '-o', 'json', '--verify']),
  )
  expect(entries.map(({ what }) => what)).toEqual(['step', 'step', 'step', 'promote', 'step', 'rollback'])
  expect(new Set(entries.map(({ commit }) => commit))).toEqual(new Set([tip]))
  expect(verified).toMatchObject({ whole: true, breaks: [] })
})

test('an honest branch is whole, also with people in it, and what cannot be proven is said', async () => {
  const { person, url } = await told()
  person.commit('Something else', { 'prod/other.yaml': 'kind: x\n' })
  const said = await sluice(['history', '--repo', url, '--verify'])
  expect(said).toMatchObject({ code: 0, err: '' })
  expect(said.out).toMatch(/^The story is whole: 6 operations of 1 Rollout in the branch main of file:/)
  expect(said.out).toContain('What Git alone cannot prove')
})

test('a commit that is dropped, moved or edited is found, with its commit and a sentence', async () => {
  const without = (index: number) => (messages: string[]) => messages.map((m, i) => (i === index ? undefined : m))
  const cases: [string, (messages: string[]) => (string | undefined)[], RegExp][] = [
    ['dropped', without(2), /follows operation op-\d+; that is not in the branch/],
    ['moved', (m) => [m[0], m[2], m[1], ...m.slice(3)], /which it says it follows|came between/],
    ['a weight', (m) => m.map((t) => t.replace('Weights: v1=50 v2=50', 'Weights: v1=80 v2=20')), /records 20%, but/],
  ]
  for (const [what, edit, sentence] of cases) {
    const { person, dir } = await told()
    rewrite(person, dir, edit)
    const said = await sluice(['history', '--repo', join(dir, 'config.git'), '--verify'])
    expect(said.code, what).toBe(1)
    expect(said.out, what).toMatch(/^The story is broken in \d+ places?/)
    expect(said.out, what).toMatch(sentence)
  }
}, 60_000)

test('people who write trailers or state files by hand are found', async () => {
  const { person, dir, url } = await told()
  const op = /Rollout-Op: (\S+)/.exec(person.git('log', '-1', '--format=%B', 'origin/main'))?.[1]
  const forged = `checkout: 0% → 100% (shop)\n\nRollout: shop/checkout\nRollout-Op: mine\nOperation: step\nRollout-After: ${op}\nStep: 1/1`
  const commit = person.commit(forged, {})
  const byHand = person.commit('Tidy', {
    'prod/.sluice/shop/checkout.yaml': person.read('prod/.sluice/shop/checkout.yaml').replace('knownBad', 'knownbad'),
  })
  const { verified } = json(await sluice(['history', '--repo', url, '--verify', '-o', 'json']))
  expect(verified?.whole).toBe(false)
  expect(verified?.breaks).toContainEqual(
    expect.objectContaining({ commit, kind: 'Author', message: expect.stringContaining('Dana <dana@example.com>') }),
  )
  expect(verified?.breaks).toContainEqual(expect.objectContaining({ commit: byHand, kind: 'State' }))
  const allowed = await sluice([
    'history',
    '--repo',
    join(dir, 'config.git'),
    '--verify',
    '-o',
    'json',
    '--writer',
    'dana@example.com',
  ])
  expect(JSON.parse(allowed.out).verified.breaks.filter((b: { kind: string }) => b.kind === 'Author')).toHaveLength(6)
})

test('with allowed signers, an operation that is not signed by one of them is found', async () => {
  const { person, dir } = await told()
  const key = join(temporaryFolder(), 'key')
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'sluice', '-f', key])
  const signers = join(temporaryFolder(), 'signers')
  writeFileSync(signers, `sluice@sluice.dev ${execFileSync('cat', [`${key}.pub`], { encoding: 'utf8' })}`)
  person.git('fetch', '--quiet', 'origin', 'main')
  person.git('reset', '--quiet', '--hard', 'origin/main')
  const sign = [
    '-c',
    'gpg.format=ssh',
    '-c',
    `user.signingKey=${key}`,
    '-c',
    'user.name=Sluice',
    '-c',
    'user.email=sluice@sluice.dev',
  ]
  person.git(...sign, 'rebase', '--quiet', '--force-rebase', '--root', '--exec', 'true', '-S')
  const repo = join(dir, 'person')
  const good = await sluice(['history', '--repo', repo, '--verify', '--allowed-signers', signers])
  expect(good.out).toContain('The story is whole')
  person.git('commit', '--quiet', '--amend', '--no-gpg-sign', '--no-edit')
  const bad = await sluice(['history', '--repo', repo, '--verify', '--allowed-signers', signers, '-o', 'json'])
  expect(bad.code).toBe(1)
  expect(JSON.parse(bad.out).verified.breaks).toMatchObject([{ kind: 'Signature' }])
})

test('the repository is the one of the Rollout’s source, and what the cluster committed last has to be in it', async () => {
  const { url, person } = await told()
  const tip = person.git('rev-parse', 'origin/main').trim()
  const spec = { url, branch: 'main', path: 'prod', allowedNamespaces: ['shop'] }
  const metadata = { name: 'shop-config', namespace: 'shop' }
  world.server.storage.create(
    { group: 'sluice.dev', plural: 'rolloutsources' },
    { apiVersion: 'sluice.dev/v1alpha1', kind: 'RolloutSource', metadata, spec },
  )
  const made = rollout('checkout', { phase: 'Healthy', git: { lastCommit: tip } } as never)
  world.put({ ...made, spec: { ...(made.spec as object), source: { name: 'shop-config' } } })
  const argv = ['history', 'shop/checkout', '--verify']
  const env = { KUBECONFIG: world.kubeconfig(), PATH: process.env.PATH, HOME: world.dir }
  expect(await world.sluice(argv, { terminal: { env } })).toMatchObject({
    code: 0,
    out: expect.stringContaining('is whole'),
  })
  world.setStatus('checkout', { phase: 'Healthy', git: { lastCommit: 'f'.repeat(40) } } as never)
  const cut = await world.sluice(argv, { terminal: { env } })
  expect(cut).toMatchObject({
    code: 1,
    out: expect.stringContaining('is what the cluster committed last, and is not in the branch'),
  })
})

test('the table fits the screen', async () => {
  const { url } = await told(['checkout', 'cart'])
  for (const columns of [200, 120, 80, 50, 30]) {
    const said = await sluice(['history', '--repo', url], { columns, colours: false })
    for (const line of said.out.split('\n')) expect(displayWidth(line)).toBeLessThanOrEqual(columns)
    expect(said.out).toContain('rollback')
  }
})

test('what cannot be read is one sentence with the way out, and no password in it', async () => {
  const nowhere = await sluice(['history', '--repo', 'http://dana:s3cr%2Ft@127.0.0.1:1/config.git'])
  expect(nowhere).toMatchObject({ code: 1, out: '' })
  expect(nowhere.err).toMatch(/^sluice: http:\/\/dana@127.0.0.1:1\/config.git cannot be cloned: .*--repo/)
  expect(nowhere.err).not.toContain('s3cr')
  expect((await sluice(['history', '--repo', world.dir, '--verify'])).code).toBe(2)
  expect((await sluice(['history', '--repo', 'ext::sh -c true'])).err).toMatch(/cannot be cloned|neither/)
  expect((await sluice(['history', '--since', 'yesterdayish'])).code).toBe(2)
  const { url } = await told()
  const other = await sluice(['history', 'shop/nothing', '--repo', url])
  expect(other.err).toMatch(/nothing has no operations in .*; those that have are shop\/checkout/)
  expect((await sluice(['history', '--repo', url, '--branch', 'never'])).err).toContain('never')
})
