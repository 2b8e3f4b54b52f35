import { readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openRepository, type Repository } from '../../src/git/repository.ts'
import { systemRuntime } from '../../src/runtime.ts'
import { remoteWith, temporaryFolder } from './workbench.ts'

function open(url: string, options: { timeoutMs?: number; depth?: number; workDir?: string } = {}): Repository {
  return openRepository({ workDir: temporaryFolder(), url, runtime: systemRuntime, ...options })
}

const author = { name: 'Sluice', email: 'sluice@sluice.dev' }
const draft = (path: string, text: string, message = 'Change') => ({
  message,
  author,
  decidedAt: 1_700_000_000_000,
  at: 1_700_000_600_000,
  files: [{ path, content: Buffer.from(text), mode: '100644' }],
})

async function tipOf(repository: Repository, credentials?: { username: string; password: string }): Promise<string> {
  const fetched = await repository.fetch('main', credentials)
  if (!fetched.ok) throw new Error(fetched.problem.message)
  return fetched.tip
}

describe.each(['url', 'fileUrl'] as const)('a repository over %s', (scheme) => {
  test('reads, commits and pushes bytes as they are', async () => {
    const odd = Buffer.from([0xff, 0xfe, 0x00, 0x0a, 0x0d, 0x0a])
    const { remote, person } = await remoteWith({
      'a/odd.bin': odd,
      'a/ü "q".yaml': 'x: 1\r\n',
      'b.yaml': 'no newline',
    })
    const repository = open(remote[scheme])
    const tip = await tipOf(repository)
    const files = await repository.files(tip, 'a')
    expect(files.map((f) => f.path)).toEqual(['a/odd.bin', 'a/ü "q".yaml'])
    expect((await repository.contents([files[0]!.sha]))[0]).toEqual(odd)

    const shas = await repository.commit(tip, [
      draft('a/ü "q".yaml', 'x: 2\r\n'),
      draft('new/deep.yaml', 'y', 'Second'),
    ])
    expect(await repository.push(shas[1]!, 'main')).toEqual({ ok: true })
    expect(person.subjects()).toEqual(['Start', 'Change', 'Second'])
    expect(person.read('a/ü "q".yaml')).toBe('x: 2\r\n')
    expect(person.read('b.yaml')).toBe('no newline')
    const [newest] = await repository.log(['-1', shas[1]!])
    expect(newest).toMatchObject({
      sha: shas[1],
      parents: [shas[0]],
      author,
      authoredAt: 1_700_000_000_000,
      committedAt: 1_700_000_600_000,
    })
  })

  test('loses a race without a trace', async () => {
    const { remote, person } = await remoteWith({ 'a.yaml': '1' })
    const repository = open(remote[scheme])
    const [sha] = await repository.commit(await tipOf(repository), [draft('a.yaml', '2')])
    person.commit('Theirs', { 'b.yaml': '1' })
    expect(await repository.push(sha!, 'main')).toEqual({ ok: false, failure: { kind: 'lostRace' } })
    expect(person.subjects()).toEqual(['Start', 'Theirs'])
  })

  test('says what a declining hook said', async () => {
    const { remote, dir } = await remoteWith({ 'a.yaml': '1' })
    writeFileSync(join(dir, 'config.git', 'sluice-reject'), 'main is for the release team\n')
    const repository = open(remote[scheme])
    const [sha] = await repository.commit(await tipOf(repository), [draft('a.yaml', '2')])
    const pushed = await repository.push(sha!, 'main')
    expect(pushed).toMatchObject({ ok: false, failure: { kind: 'problem', transient: false } })
    expect(JSON.stringify(pushed)).toContain('main is for the release team')
    expect(JSON.stringify(pushed)).toContain('GitProtected')
  })

  test('names a branch that does not exist', async () => {
    const { remote } = await remoteWith({ 'a.yaml': '1' })
    expect(await open(remote[scheme]).fetch('nope')).toMatchObject({
      ok: false,
      problem: { reason: 'GitBranchMissing' },
    })
  })
})

test('keeps the clone shallow and still fetches a commit outside it by name', async () => {
  const { remote, person } = await remoteWith({ 'a.yaml': '0' })
  const first = person.git('rev-parse', 'HEAD').trim()
  for (let i = 1; i < 6; i++) person.commit(`c${i}`, { 'a.yaml': String(i) })
  const repository = open(remote.url, { depth: 2 })
  const tip = await tipOf(repository)
  expect(await repository.log([tip])).toHaveLength(2)
  expect(await repository.fetchCommit(first)).toBe('here')
  expect(await repository.files(first, '')).toHaveLength(1)
  expect(await repository.fetchCommit('0123456789012345678901234567890123456789')).toBe('gone')
  const [sha] = await repository.commit(tip, [draft('a.yaml', 'six')])
  expect(await repository.push(sha!, 'main')).toEqual({ ok: true })
})

test('heals locks of a killed git, a truncated object, and a clone that is gone', async () => {
  const { remote, person } = await remoteWith({ 'a.yaml': '1' })
  const workDir = temporaryFolder()
  await tipOf(open(remote.url, { workDir }))
  const clone = join(workDir, readdirSync(workDir).find((name) => name.endsWith('.git'))!)
  person.commit('Next', { 'a.yaml': '2' })
  for (const lock of ['shallow.lock', 'HEAD.lock', 'refs/remotes/sluice/main.lock'])
    writeFileSync(join(clone, lock), '')
  const again = open(remote.url, { workDir })
  await tipOf(again)
  writeFileSync(join(clone, 'refs/remotes/sluice/main.lock'), '')
  person.commit('More', { 'a.yaml': '3' })
  await tipOf(again)

  for (const entry of readdirSync(join(clone, 'objects'), { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) truncateOf(join(entry.parentPath, entry.name))
  }
  const fresh = open(remote.url, { workDir })
  const broken = await fresh
    .fetch('main')
    .then((f) => (f.ok ? fresh.files(f.tip, '') : undefined))
    .catch(() => undefined)
  const healed = broken ?? (await fresh.files(await tipOf(fresh), ''))
  expect(healed).toHaveLength(1)

  rmSync(clone, { recursive: true })
  await fresh.fetch('main')
  expect(await fresh.files(await tipOf(fresh), '')).toHaveLength(1)
})

function truncateOf(file: string): void {
  try {
    rmSync(file)
    writeFileSync(file, '')
    truncateSync(file, 0)
  } catch {}
}

test('gives up on a remote that stalls, and says so', async () => {
  const { remote } = await remoteWith({ 'a.yaml': '1' })
  remote.faults.delayMs = Number.POSITIVE_INFINITY
  const fetched = await open(remote.url, { timeoutMs: 500 }).fetch('main')
  expect(fetched).toMatchObject({ ok: false, transient: true, problem: { reason: 'GitUnreachable' } })
})

test('tells down, broken and refused apart, and never prints a credential', async () => {
  const credentials = { username: 'bot', password: 'p@ss/w0rd s3cret' }
  const { remote } = await remoteWith({ 'a.yaml': '1' }, { credentials })
  const repository = open(remote.url)
  const tip = await tipOf(repository, credentials)
  const [sha] = await repository.commit(tip, [draft('a.yaml', '2')])
  expect(await repository.push(sha!, 'main', credentials)).toEqual({ ok: true })

  const wrong = { username: 'bot', password: 'wr0ng-s3cret' }
  const seen = [
    await repository.fetch('main', wrong),
    await repository.fetch('main'),
    await repository.push(sha!, 'main', wrong),
  ]
  for (const answer of seen) expect(JSON.stringify(answer)).toContain('GitAuth')
  remote.faults.down = true
  const down = await repository.fetch('main', credentials)
  expect(down).toMatchObject({ ok: false, transient: true, problem: { reason: 'GitUnreachable' } })
  remote.faults.clear()
  remote.faults.status = 503
  const broken = await repository.fetch('main', credentials)
  expect(broken).toMatchObject({ ok: false, transient: true, problem: { reason: 'GitUnreachable' } })
  const everything = JSON.stringify([...seen, down, broken])
  for (const secret of ['s3cret', Buffer.from('bot:wr0ng-s3cret').toString('base64')])
    expect(everything).not.toContain(secret)
  remote.faults.clear()
  expect((await repository.fetch('main', credentials)).ok).toBe(true)
})
