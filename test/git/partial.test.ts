import { execFileSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createBranches } from '../../src/git/branch.ts'
import { openRepository } from '../../src/git/repository.ts'
import type { GitRemoteOptions } from '../../src/sandbox/git/remote.ts'
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
} from './shop.ts'
import { type Person, remoteWith, temporaryFolder } from './workbench.ts'

/** The shop, and much else that is nobody's business. */
async function monorepo(options: Partial<GitRemoteOptions> = {}) {
  const others = Array.from({ length: 200 }, (_, i) => [
    `other/${i % 20}/file-${i}.txt`,
    `content of ${i}\n`.repeat(30),
  ])
  const made = await remoteWith({ ...shopFiles(), ...Object.fromEntries(others) }, options)
  made.person.commit('Text', { 'prod/readme.md': 'not a manifest', 'other/1/file-1.txt': 'changed' })
  made.person.commit('Version', { 'prod/checkout.yaml': rolloutManifest('v3') })
  return made
}

/** Names of the files whose contents are in the clone, whatever the commit. */
function contentsIn(workDir: string, person: Person): string[] {
  const clone = join(workDir, readdirSync(workDir).find((name) => name.endsWith('.git'))!)
  const git = (...args: string[]) => execFileSync('git', args, { cwd: clone, encoding: 'utf8' })
  const here = new Set(
    git('cat-file', '--batch-all-objects', '--batch-check')
      .split('\n')
      .filter((line) => line.includes(' blob '))
      .map((line) => line.split(' ')[0]),
  )
  person.read('prod/checkout.yaml')
  const all = person.git('log', '--raw', '--no-abbrev', '--no-renames', '--format=', '--root').split('\n')
  const named = all.flatMap((line) => /^:\d+ \d+ \w+ (\w+) \w\t(.*)$/.exec(line)?.slice(1, 3) ?? [])
  const found = named.flatMap((sha, i) => (i % 2 === 0 && here.has(sha) ? [named[i + 1]!] : []))
  return [...new Set(found)].sort()
}

test('a large repository is worked on without its other files: nothing outside the path is in the clone', async () => {
  const { remote, person } = await monorepo()
  const workDir = temporaryFolder()
  const git = recorder({ workDir })
  const source = sourceOf(remote.url)
  const entry = moveTo(10)
  git.submit(source, rolloutRef(), entry, stateAt(10))
  expect(await resultOf(git, source, rolloutRef(), entry.op)).toMatchObject({ state: 'Done' })
  await eventually(() => git.observe(source, rolloutRef()).memory)
  expect(await eventually(() => git.observe(source, rolloutRef()).author)).toBe('Dana <dana@example.com>')
  const here = contentsIn(workDir, person)
  expect(here.filter((file) => !file.startsWith('prod/'))).toEqual([])
  expect(here).toContain('prod/checkout-vs.yaml')
  expect(here).not.toContain('prod/readme.md')
  expect(person.subjects().at(-1)).toBe(entry.subject)
  expect(person.read('other/3/file-3.txt')).toContain('content of 3')
  expect(person.git('fsck', '--full')).toBe('')
})

test('news and no news cost an exchange or two, and none brings a file that nobody reads', async () => {
  const { remote, person } = await monorepo()
  const workDir = temporaryFolder()
  const branch = createBranches({ workDir, runtime: hasty }).of({ url: remote.url, branch: 'main' })
  await branch.refresh(undefined)
  const tree = await branch.tree(branch.tip!, 'prod')
  expect(await tree.declared('Rollout', 'checkout')).toHaveLength(1)
  const count = async (job: () => Promise<unknown>) => {
    const before = remote.traffic.requests
    await job()
    return remote.traffic.requests - before
  }
  expect(await count(() => branch.refresh(undefined))).toBe(2)
  person.commit('Elsewhere', { 'other/2/file-2.txt': 'news' })
  expect(await count(() => branch.refresh(undefined))).toBe(3)
  person.commit('Here', { 'prod/cart.yaml': rolloutManifest('v2', 'cart'), 'prod/deep/a.yaml': 'a: 1' })
  await branch.refresh(undefined)
  expect(
    await count(async () => {
      const now = await branch.tree(branch.tip!, 'prod')
      expect(await now.declared('Rollout', 'cart')).toHaveLength(1)
    }),
  ).toBe(0)
  expect(contentsIn(workDir, person).filter((file) => !file.startsWith('prod/'))).toEqual([])
})

test('old versions of a file come in one exchange', async () => {
  const { remote, person } = await remoteWith(shopFiles())
  for (let i = 0; i < 12; i++) person.commit(`c${i}`, { 'prod/checkout.yaml': `a: ${i}\n` })
  const repository = openRepository({ workDir: temporaryFolder(), url: remote.url, runtime: hasty })
  const fetched = await repository.fetch('main')
  if (!fetched.ok) throw new Error(fetched.problem.message)
  const commits = await repository.log([fetched.tip, '--', 'prod/checkout.yaml'])
  const before = remote.traffic.requests
  const versions = await repository.versions(
    'prod/checkout.yaml',
    commits.map(({ sha }) => sha),
  )
  expect(versions.map((v) => v?.content.toString().slice(0, 5))).toEqual([
    ...Array.from({ length: 12 }, (_, i) => `a: ${11 - i}\n`.slice(0, 5)),
    'apiVe'.slice(0, 5),
  ])
  expect(remote.traffic.requests - before).toBeLessThanOrEqual(3)
  expect(await repository.versions('prod/none.yaml', [fetched.tip])).toEqual([undefined])
})

test('kustomizations reach outside the path, and bring only what they name', async () => {
  const { remote, person } = await monorepo()
  person.commit('Base', {
    'prod/kustomization.yaml': 'resources: [../base, checkout.yaml]\npatches: [{ path: ../shared/patch.yaml }]\n',
    'base/kustomization.yaml': 'resources: [../more/one.yaml, two.yaml]\n',
    'base/two.yaml': 'a: 2\n',
    'base/unnamed.md': 'text',
    'more/one.yaml': 'a: 1\n',
    'more/other.yaml': 'a: 3\n',
    'shared/patch.yaml': 'a: 4\n',
  })
  const workDir = temporaryFolder()
  const branch = createBranches({ workDir, runtime: hasty }).of({ url: remote.url, branch: 'main' })
  await branch.refresh(undefined)
  const tree = await branch.tree(branch.tip!, 'prod', { reach: true })
  const outside = [...tree.entries.keys()].filter((file) => !file.startsWith('prod/'))
  expect(outside.sort()).toEqual([
    'base/kustomization.yaml',
    'base/two.yaml',
    'base/unnamed.md',
    'more/one.yaml',
    'shared/patch.yaml',
  ])
  const here = contentsIn(workDir, person)
  expect(here.filter((file) => /^(other|more\/other|base\/unnamed)/.test(file))).toEqual([])
})

test.each([
  ['http', 'url'],
  ['file', 'fileUrl'],
] as const)('a remote that cannot leave files out is worked with all the same, over %s', async (_, scheme) => {
  const { remote, person } = await monorepo({ partial: false })
  const git = recorder()
  const source = sourceOf(remote[scheme])
  const entry = moveTo(10)
  git.submit(source, rolloutRef(), entry, stateAt(10))
  expect(await resultOf(git, source, rolloutRef(), entry.op)).toMatchObject({ state: 'Done' })
  expect(await eventually(() => git.observe(source, rolloutRef()).author)).toBe('Dana <dana@example.com>')
  expect(person.subjects().at(-1)).toBe(entry.subject)
})

test('a clone is packed when packs have gathered, and works as before', async () => {
  const { remote, person } = await monorepo()
  const workDir = temporaryFolder()
  const branch = createBranches({ workDir, runtime: hasty, packs: 6 }).of({ url: remote.url, branch: 'main' })
  await branch.refresh(undefined)
  await branch.tree(branch.tip!, 'prod')
  for (let i = 0; i < 9; i++) {
    person.commit(`n${i}`, { 'prod/checkout.yaml': `a: ${i}\n` })
    expect(await branch.refresh(undefined)).toMatchObject({ ok: true, moved: true })
  }
  const clone = join(workDir, readdirSync(workDir).find((name) => name.endsWith('.git'))!)
  const packs = readdirSync(join(clone, 'objects', 'pack')).filter((name) => name.endsWith('.pack'))
  expect(packs.length).toBeLessThan(7)
  const tree = await branch.tree(branch.tip!, 'prod')
  expect((await tree.read('prod/checkout.yaml'))?.toString()).toBe('a: 8\n')
  expect(contentsIn(workDir, person).filter((file) => !file.startsWith('prod/'))).toEqual([])
})
