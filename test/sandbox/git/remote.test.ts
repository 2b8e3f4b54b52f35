import { execFile, execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { type GitRemote, type GitRemoteOptions, startGitRemote } from '../../../src/sandbox/git/remote.ts'

/** An ordinary git client: what people point at the sandbox. */
async function client(options: Partial<GitRemoteOptions> = {}) {
  const dir = mkdtempSync(join(tmpdir(), 'sluice-remote-'))
  const remote = await startGitRemote({ dir: join(dir, 'config.git'), ...options })
  onTestFinished(async () => {
    await remote.stop()
    rmSync(dir, { recursive: true, force: true })
  })
  const work = join(dir, 'work')
  execFileSync('git', ['init', '--quiet', '--initial-branch=main', work])
  const run = (...args: string[]) =>
    new Promise<{ code: number; said: string }>((resolve) => {
      const env = { PATH: process.env.PATH, GIT_TERMINAL_PROMPT: '0', GIT_CONFIG_GLOBAL: '/dev/null', HOME: work }
      const identity = ['-c', 'user.name=Dana', '-c', 'user.email=dana@example.com']
      execFile('git', [...identity, ...args], { cwd: work, env }, (error, stdout, stderr) => {
        resolve({ code: error ? 1 : 0, said: stdout + stderr })
      })
    })
  const push = async (remote: GitRemote, text: string, url = remote.url) => {
    writeFileSync(join(work, 'a.txt'), text)
    await run('add', '-A')
    await run('commit', '--quiet', '-m', text)
    return run('push', '--quiet', url, 'HEAD:main')
  }
  return { remote, run, push }
}

test('serves clones and takes pushes from an ordinary git, on loopback only', async () => {
  const { remote, run, push } = await client()
  expect(new URL(remote.url).hostname).toBe('127.0.0.1')
  expect(await push(remote, 'one')).toMatchObject({ code: 0 })
  expect(await run('ls-remote', remote.url, 'refs/heads/main')).toMatchObject({
    said: expect.stringMatching(/^[0-9a-f]{40}/),
  })
  expect(await run('ls-remote', remote.fileUrl, 'refs/heads/main')).toMatchObject({ code: 0 })
})

test('history cannot be rewritten by force', async () => {
  const { remote, run, push } = await client()
  await push(remote, 'one')
  await push(remote, 'two')
  const forced = await run('push', '--quiet', '--force', remote.url, 'HEAD~1:main')
  expect(forced).toMatchObject({ code: 1, said: expect.stringContaining('denying non-fast-forward') })
})

test('fails as it is told to, and recovers', async () => {
  const { remote, run, push } = await client()
  await push(remote, 'one')
  const look = () => run('ls-remote', remote.url)
  remote.faults.down = true
  expect((await look()).code).toBe(1)
  remote.faults.clear()
  remote.faults.status = 503
  expect((await look()).said).toContain('503')
  remote.faults.clear()
  remote.faults.rejectPush = 'closed for the holidays'
  expect(await push(remote, 'two')).toMatchObject({ code: 1, said: expect.stringContaining('closed for the holidays') })
  remote.faults.clear()
  remote.faults.loseAnswers = 1
  expect((await push(remote, 'three')).code).toBe(1)
  expect((await run('push', '--porcelain', remote.url, 'HEAD:main')).said).toContain('[up to date]')
})

test('asks who is there when it has credentials', async () => {
  const { remote, run } = await client({ credentials: { username: 'bot', password: 's3cret' } })
  expect((await run('ls-remote', remote.url)).code).toBe(1)
  expect((await run('ls-remote', remote.url.replace('//', '//bot:s3cret@'))).code).toBe(0)
})
