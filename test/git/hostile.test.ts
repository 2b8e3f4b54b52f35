import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createBranches } from '../../src/git/branch.ts'
import { readDeclarations } from '../../src/git/declared.ts'
import { createGitRecorder } from '../../src/git/record.ts'
import { openRepository } from '../../src/git/repository.ts'
import { systemRuntime } from '../../src/runtime.ts'
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
import { type Person, remoteWith, temporaryFolder } from './workbench.ts'

const branchOf = (url: string, branch = 'main', workDir = temporaryFolder()) =>
  createBranches({ workDir, runtime: systemRuntime, timeoutMs: 20_000 }).of({ url, branch })

const force = (person: Person, to: string) =>
  person.git('-c', 'receive.denyNonFastForwards=false', 'push', '--quiet', '--force', 'origin', `${to}:refs/heads/main`)

describe('a URL that leads into the folder of clones', () => {
  test('is refused, however it is written: what is there belongs to other sources', async () => {
    const { remote } = await remoteWith(shopFiles())
    const workDir = temporaryFolder()
    expect(await branchOf(remote.url, 'main', workDir).refresh(undefined)).toMatchObject({ ok: true })
    const [clone = ''] = readdirSync(workDir).filter((name) => name.endsWith('.git'))
    const there = join(workDir, clone)
    execFileSync('git', ['update-ref', 'refs/heads/main', 'refs/remotes/sluice/main'], { cwd: there })
    const link = join(temporaryFolder(), 'link')
    symlinkSync(there, link)
    const encoded = there.replace('.git', '%2egit')
    for (const path of [there, `/..${there}`, `${there}/.`, link, encoded])
      expect(await branchOf(`file://${path}`, 'main', workDir).refresh(undefined), path).toMatchObject({
        ok: false,
        transient: false,
        problem: { reason: 'InvalidSpec', field: 'spec.url' },
      })
  })
})

describe('branches that are not where they were', () => {
  test('a branch that was renamed is said to be missing, with the ones that there are and the default', async () => {
    const { remote, person } = await remoteWith(shopFiles())
    const branch = branchOf(remote.url)
    await branch.refresh(undefined)
    person.git('push', '--quiet', 'origin', 'HEAD:refs/heads/trunk', 'HEAD:refs/heads/release/1')
    execFileSync('git', ['symbolic-ref', 'HEAD', 'refs/heads/trunk'], { cwd: remote.dir })
    execFileSync('git', ['update-ref', '-d', 'refs/heads/main'], { cwd: remote.dir })
    const refreshed = await branch.refresh(undefined)
    expect(refreshed).toMatchObject({ ok: false, transient: true, problem: { reason: 'GitBranchMissing' } })
    expect(JSON.stringify(refreshed)).toContain('has no branch \\"main\\"; it has release/1, trunk (its default)')
    person.git('push', '--quiet', 'origin', 'HEAD:refs/heads/main')
    expect(await branch.refresh(undefined)).toMatchObject({ ok: true })
  })

  test('an empty repository has no commits yet, and is worked on when it has', async () => {
    const { remote, person } = await remoteWith(shopFiles())
    execFileSync('git', ['update-ref', '-d', 'refs/heads/main'], { cwd: remote.dir })
    const branch = branchOf(remote.url)
    expect(JSON.stringify(await branch.refresh(undefined))).toContain('which has no commits yet')
    person.git('push', '--quiet', 'origin', 'HEAD:refs/heads/main')
    expect(await branch.refresh(undefined)).toMatchObject({ ok: true })
  })

  test('history that is rewritten under us is said so; what was done is not done again, what waits is done on the new tip', async () => {
    const { remote, person } = await remoteWith(shopFiles())
    execFileSync('git', ['config', 'receive.denyNonFastForwards', 'false'], { cwd: remote.dir })
    const start = person.git('rev-parse', 'HEAD').trim()
    const git = recorder()
    const source = sourceOf(remote.url)
    const [first, second] = [moveTo(10), moveTo(30)]
    git.submit(source, rolloutRef(), first, stateAt(10))
    expect(await resultOf(git, source, rolloutRef(), first.op)).toMatchObject({ state: 'Done' })
    const ours = person.git('ls-remote', 'origin', 'refs/heads/main').slice(0, 40)

    // Somebody removes a commit below ours, which gets another name by that.
    person.git('fetch', '--quiet', 'origin', 'main')
    person.git('reset', '--quiet', '--hard', start)
    person.write({ 'prod/other.yaml': 'a: 1' })
    person.git('add', '-A')
    person.git('commit', '--quiet', '-m', 'Rewritten')
    person.git('cherry-pick', ours)
    force(person, 'HEAD')
    expect(await git.refresh(source)).toMatchObject({ ok: true, moved: true, rewritten: ours })
    expect(await git.refresh(source)).toMatchObject({ ok: true, moved: false })
    git.submit(source, rolloutRef(), { ...second, base: ours }, stateAt(30))
    expect(await resultOf(git, source, rolloutRef(), second.op)).toMatchObject({ state: 'Done' })
    expect(person.subjects()).toEqual(['Start', 'Rewritten', first.subject, second.subject])

    // Somebody takes all of it away: what was done stays away, and what was decided before meets a person's weights.
    const last = person.git('rev-parse', 'HEAD').trim()
    person.git('reset', '--quiet', '--hard', 'HEAD~2')
    force(person, 'HEAD')
    expect(await git.refresh(source)).toMatchObject({ ok: true, moved: true, rewritten: last })
    await eventually(() => git.observe(source, rolloutRef()).memory === undefined || undefined)
    git.submit(source, rolloutRef(), first, stateAt(10))
    const third = moveTo(60, { base: last })
    git.submit(source, rolloutRef(), third, stateAt(60))
    expect(await resultOf(git, source, rolloutRef(), third.op)).toMatchObject({ state: 'Conflict', weight: 0 })
    const fourth = moveTo(60)
    git.submit(source, rolloutRef(), fourth, stateAt(60))
    expect(await resultOf(git, source, rolloutRef(), fourth.op)).toMatchObject({ state: 'Done' })
    expect(person.subjects()).toEqual(['Start', 'Rewritten', fourth.subject])
    expect(person.read('prod/checkout-vs.yaml')).toBe(virtualService(40, 60))
  })

  test('another history altogether under the same name is read like any other', async () => {
    const { remote, person } = await remoteWith(shopFiles())
    execFileSync('git', ['config', 'receive.denyNonFastForwards', 'false'], { cwd: remote.dir })
    const branch = branchOf(remote.url)
    await branch.refresh(undefined)
    await branch.tree(branch.tip!, 'prod')
    person.git('checkout', '--quiet', '--orphan', 'new')
    person.git('commit', '--quiet', '-m', 'Anew')
    force(person, 'HEAD')
    expect(await branch.refresh(undefined)).toMatchObject({ ok: true, moved: true, rewritten: expect.any(String) })
    expect(branch.history.commits).toHaveLength(1)
    expect(branch.rewritten).toBeDefined()
    person.git('commit', '--quiet', '--allow-empty', '-m', 'Goes on')
    force(person, 'HEAD')
    await branch.refresh(undefined)
    expect(branch.rewritten).toBeUndefined()
    expect((await branch.tree(branch.tip!, 'prod')).entries.size).toBe(2)
  })
})

describe('folders and files that are not what they seem', () => {
  test('a path that is a link, a submodule or a file is refused as such', async () => {
    const { remote, person, dir } = await remoteWith({ ...shopFiles(), 'file.yaml': 'a: 1' })
    const at = join(dir, 'person')
    symlinkSync('prod', join(at, 'link'))
    symlinkSync('/etc', join(at, 'outside'))
    person.git('add', '-A')
    const commit = person.git('rev-parse', 'HEAD').trim()
    person.git('update-index', '--add', '--cacheinfo', `160000,${commit},module`)
    person.git('commit', '--quiet', '-m', 'Odd')
    person.git('push', '--quiet', 'origin', 'HEAD:refs/heads/main')
    const branch = branchOf(remote.url)
    await branch.refresh(undefined)
    const said = async (path: string) => (await branch.tree(branch.tip!, path)).absent
    expect(await said('prod')).toBeUndefined()
    expect(await said('link')).toBe('a symbolic link at link, and links are not followed')
    expect(await said('outside/ssh')).toBe('a symbolic link at outside, and links are not followed')
    expect(await said('module/deep')).toBe('a submodule at module, whose files are in another repository')
    expect(await said('file.yaml')).toBe('a file at file.yaml, and not a folder')
    expect(await said('none')).toBe('no files under none')
    expect(await said('../etc')).toBe('no files under ../etc')

    const git = recorder()
    const source = sourceOf(remote.url, { path: 'link' })
    const entry = moveTo(10)
    git.submit(source, rolloutRef(), entry, stateAt(10))
    const waits = await resultOf(git, source, rolloutRef(), entry.op, (r) => 'message' in r && !!r.message)
    expect(JSON.stringify(waits)).toContain('the branch main has a symbolic link at link')
  })

  test('links, submodules and odd names beside the manifests stop nothing, and are still there after our commit', async () => {
    const long = `${'d'.repeat(100)}/${'n'.repeat(240)}.yaml`
    const odd = [
      'prod/new\nline.yaml',
      'prod/back\\slash "q".yaml',
      'prod/ünï—☃.yaml',
      'prod/-f',
      `prod/${long}`,
      'prod/ $(x) ;.yaml',
    ]
    const { remote, person, dir } = await remoteWith(Object.fromEntries(odd.map((name) => [name, 'a: 1\n'])))
    const at = join(dir, 'person')
    person.write(shopFiles())
    mkdirSync(join(at, 'prod/sub'))
    symlinkSync('/etc/passwd', join(at, 'prod/outside.yaml'))
    symlinkSync('../../prod', join(at, 'prod/sub/loop'))
    person.git('add', '-A')
    person.git('update-index', '--add', '--cacheinfo', `160000,${person.git('rev-parse', 'HEAD').trim()},prod/module`)
    person.git('commit', '--quiet', '-m', 'Odd')
    person.git('push', '--quiet', 'origin', 'HEAD:refs/heads/main')
    const before = person.git('ls-tree', '-r', '-z', 'HEAD').split('\0')
    const git = recorder()
    const source = sourceOf(remote.url)
    const entry = moveTo(10)
    git.submit(source, rolloutRef(), entry, stateAt(10))
    expect(await resultOf(git, source, rolloutRef(), entry.op)).toMatchObject({ state: 'Done' })
    person.git('fetch', '--quiet', 'origin', 'main')
    const after = person.git('ls-tree', '-r', '-z', 'FETCH_HEAD').split('\0')
    const changed = after.filter((line) => !before.includes(line)).map((line) => line.split('\t')[1])
    expect(changed).toEqual(['prod/.sluice/shop/checkout.yaml', 'prod/checkout-vs.yaml'])
    expect(after.length).toBe(before.length + 1)
    const branch = branchOf(remote.url)
    await branch.refresh(undefined)
    const declared = await readDeclarations(await branch.tree(branch.tip!, 'prod'), branch.repository, 'prod', 'All')
    expect(declared.objects.map(({ object }) => object.kind).sort()).toEqual(['Rollout', 'VirtualService'])
  })

  test('a file of 50 MB is refused with its name and size, is not read, and stops no other', async () => {
    const huge = Buffer.alloc(50 * 1024 * 1024, 'a: 1\n')
    const { remote, person } = await remoteWith({ ...shopFiles(), 'prod/huge.yaml': huge })
    const workDir = temporaryFolder()
    const branch = branchOf(remote.url, 'main', workDir)
    await branch.refresh(undefined)
    const tree = await branch.tree(branch.tip!, 'prod')
    expect(tree.refused).toEqual([
      {
        reason: 'ManifestInvalid',
        file: 'prod/huge.yaml',
        message: 'is 50.0 MiB large; files of more than 4 MiB are not read',
        line: undefined,
      },
    ])
    const declared = await readDeclarations(tree, branch.repository, 'prod', 'All')
    expect(declared.errors.map(({ file }) => file)).toEqual(['prod/huge.yaml'])
    expect(declared.objects).toHaveLength(2)
    person.commit('Smaller', { 'prod/huge.yaml': rolloutManifest('v1', 'cart') })
    await branch.refresh(undefined)
    expect((await branch.tree(branch.tip!, 'prod')).refused).toEqual([])
  }, 30_000)
})

describe('servers that are no Git servers', () => {
  async function serve(listener: RequestListener): Promise<string> {
    const server = createServer(listener).listen(0, '127.0.0.1')
    await new Promise((listening) => server.once('listening', listening))
    onTestFinished(() => {
      server.closeAllConnections()
      server.close()
    })
    const address = server.address()
    return `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`
  }
  const html = '<html>\n<body>Please log in</body>\n</html>\n'
  const fetchOf = (url: string, timeoutMs = 5_000) =>
    openRepository({ workDir: temporaryFolder(), url, runtime: systemRuntime, timeoutMs }).fetch('main', {
      username: 'bot',
      password: 's3cret',
    })

  test('a login page is said to be none of Git, and our password does not go where it redirects', async () => {
    const seen: (string | undefined)[] = []
    const elsewhere = await serve((request, response) => {
      seen.push(request.headers.authorization)
      response.writeHead(200, { 'content-type': 'text/html' }).end(html)
    })
    const redirecting = await serve((_, response) => response.writeHead(302, { location: `${elsewhere}/login` }).end())
    const plain = await serve((_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end(html))
    for (const url of [`${plain}/shop/config.git`, `${redirecting}/shop/config.git`]) {
      const fetched = await fetchOf(url)
      expect(fetched).toMatchObject({ ok: false, transient: true, problem: { reason: 'GitUnreachable' } })
      expect(JSON.stringify(fetched)).toContain('answers, but not as a Git server does')
    }
    expect(seen.length).toBeGreaterThan(0)
    expect(seen.filter((header) => header !== undefined)).toEqual([])
  })

  test('one that trickles is given up, and one that breaks off in the middle', async () => {
    const trickling = await serve((_, response) => {
      response.writeHead(200, { 'content-type': 'application/x-git-upload-pack-advertisement' })
      const timer = setInterval(() => response.write('0'), 100)
      response.on('close', () => clearInterval(timer))
    })
    const breaking = await serve((_, response) => {
      response.writeHead(200, { 'content-type': 'application/x-git-upload-pack-advertisement', 'content-length': 500 })
      response.write('001e# service=git-upload-pack\n')
      setTimeout(() => response.destroy(), 20)
    })
    for (const url of [trickling, breaking]) {
      const fetched = await fetchOf(`${url}/c.git`, 800)
      expect(fetched).toMatchObject({ ok: false, transient: true, problem: { reason: 'GitUnreachable' } })
    }
  })
})

function each(names: string[], matching: RegExp, job: (name: string) => void): void {
  for (const name of names) if (matching.test(name)) job(name)
}

test('a partial clone that is damaged in any of its files is made anew, and work goes on', async () => {
  const { remote, person } = await remoteWith(shopFiles())
  const workDir = temporaryFolder()
  const damage: ((clone: string, pack: string[]) => void)[] = [
    (clone, packs) => each(packs, /./, (name) => rmSync(join(clone, 'objects/pack', name))),
    (clone, packs) => each(packs, /\.idx$/, (n) => writeFileSync(join(clone, 'objects/pack', n), 'x')),
    (clone) => writeFileSync(join(clone, 'shallow'), 'nonsense\n'),
    (clone) => writeFileSync(join(clone, 'config'), '[[['),
  ]
  for (const [i, job] of damage.entries()) {
    const git = recorder({ workDir, onError: () => undefined })
    const source = sourceOf(remote.url)
    const before = moveTo(10 + i)
    git.submit(source, rolloutRef(), before, stateAt(10 + i))
    expect(await resultOf(git, source, rolloutRef(), before.op, (r) => r.state === 'Done')).toBeTruthy()
    const clone = join(workDir, readdirSync(workDir).find((name) => name.endsWith('.git'))!)
    job(clone, readdirSync(join(clone, 'objects/pack')))
    person.commit(`n${i}`, { 'prod/other.yaml': `a: ${i}` })
    const after = moveTo(50 + i)
    git.submit(source, rolloutRef(), after, stateAt(50 + i))
    expect(await resultOf(git, source, rolloutRef(), after.op, (r) => r.state === 'Done')).toBeTruthy()
    await git.stop()
  }
  expect(person.subjects().filter((subject) => subject.startsWith('checkout'))).toHaveLength(2 * damage.length)
}, 60_000)

test('git children that are killed at any moment cost time, and nothing else', async () => {
  const { remote, person } = await remoteWith(shopFiles())
  const bin = temporaryFolder()
  // Stands in for git, and kills about every tenth one at some moment.
  const script = `#!/bin/sh
exec 3<&0
/usr/bin/git "$@" <&3 3<&- &
n=$(od -An -N1 -tu1 /dev/urandom | tr -d ' ')
if [ "$n" -lt 26 ]; then sleep 0.0$n; kill -9 $! 2>/dev/null; fi
wait $!
`
  writeFileSync(join(bin, 'git'), script, { mode: 0o755 })
  const inherit = { PATH: `${bin}:/usr/local/bin:/usr/bin:/bin` }
  const branches = createBranches({ workDir: temporaryFolder(), runtime: hasty, inherit })
  const identity = { cluster: 'prod-eu', takeOver: false }
  const git = createGitRecorder({ branches, runtime: hasty, identity, onError: () => undefined })
  onTestFinished(() => git.stop())
  const source = sourceOf(remote.url)
  const entries = [10, 20, 30, 40, 50].map((weight) => moveTo(weight))
  for (const [i, entry] of entries.entries()) {
    git.submit(source, rolloutRef(), entry, stateAt(entry.weights!.weight))
    if (i % 2 === 0) person.commit(`theirs ${i}`, { [`prod/theirs-${i}.yaml`]: `a: ${i}\n` })
    await hasty.sleep(40)
  }
  for (const { op } of entries)
    expect(await resultOf(git, source, rolloutRef(), op, (r) => r.state === 'Done', 60_000)).toBeTruthy()
  await git.stop()
  const subjects = person.subjects()
  expect(subjects.filter((subject) => !/theirs|Start/.test(subject))).toEqual(entries.map(({ subject }) => subject))
  expect(subjects.filter((subject) => subject.startsWith('theirs'))).toHaveLength(3)
  expect(person.git('fsck', '--full')).toBe('')
}, 90_000)
