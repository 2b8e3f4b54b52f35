import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

/** A remote that may be written: its URL, and how to make it go away. */
export interface ConnectedRemote {
  url: string
  stop(): Promise<void>
}

/** What Sluice's commit protocol rests on, of any Git remote: the sandbox's, a folder, a forge. */
export function gitRemoteConformance(name: string, open: (dir: string) => Promise<ConnectedRemote>): void {
  describe(`a Git remote: ${name}`, () => {
    let dir: string
    let remote: ConnectedRemote
    beforeAll(async () => {
      dir = await mkdtemp(join(tmpdir(), 'sluice-conformance-'))
      remote = await open(dir)
    })
    afterAll(async () => {
      await remote.stop()
      await rm(dir, { recursive: true, force: true })
    })

    /** Somebody with a clone of their own. */
    async function person(who: string) {
      const work = await mkdtemp(join(dir, `${who}-`))
      const git = (...args: string[]) =>
        new Promise<{ ok: boolean; said: string }>((resolve) => {
          const env = { PATH: process.env.PATH, HOME: work, GIT_CONFIG_GLOBAL: '/dev/null', GIT_TERMINAL_PROMPT: '0' }
          const identity = ['-c', `user.name=${who}`, '-c', `user.email=${who}@example.com`]
          execFile('git', [...identity, ...args], { cwd: work, env }, (error, stdout, stderr) =>
            resolve({ ok: !error, said: `${stdout}${stderr}`.trim() }),
          )
        })
      await git('init', '--quiet', '--initial-branch=main')
      return {
        git,
        async commit(text: string) {
          await writeFile(join(work, `${who}.txt`), text)
          await git('add', '-A')
          await git('commit', '--quiet', '-m', text)
        },
        push: () => git('push', remote.url, 'HEAD:refs/heads/main'),
        fetch: () => git('fetch', '--quiet', remote.url, 'main'),
        tip: async () => (await git('ls-remote', remote.url, 'refs/heads/main')).said.slice(0, 40),
      }
    }

    test('takes a first push and shows it to others', async () => {
      const dana = await person('dana')
      await dana.commit('one')
      expect(await dana.push()).toMatchObject({ ok: true })
      expect(await (await person('eve')).tip()).toBe((await dana.git('rev-parse', 'HEAD')).said)
    })

    test('refuses a push that would lose somebody’s commit, and says that it was a lost race', async () => {
      const [dana, eve] = [await person('dana'), await person('eve')]
      for (const one of [dana, eve]) {
        await one.fetch()
        await one.git('reset', '--hard', 'FETCH_HEAD')
      }
      await dana.commit('two')
      await eve.commit('too late')
      expect(await dana.push()).toMatchObject({ ok: true })
      const refused = await eve.push()
      expect(refused).toMatchObject({
        ok: false,
        said: expect.stringMatching(/\[rejected\].*\((fetch first|non-fast-forward)\)/),
      })
      expect(await eve.tip()).toBe((await dana.git('rev-parse', 'HEAD')).said)
    })

    test('of several pushes at once lets in one, and the others after they have started again from the tip', async () => {
      const people = await Promise.all(['ann', 'bob', 'cid'].map((who) => person(who)))
      for (const one of people) {
        for (let attempt = 0; attempt < 10; attempt++) {
          await one.fetch()
          await one.git('reset', '--hard', 'FETCH_HEAD')
          await one.commit(`at once ${attempt}`)
          if ((await one.push()).ok) break
        }
      }
      const reader = await person('reader')
      await reader.fetch()
      const log = (await reader.git('log', '--format=%an', 'FETCH_HEAD')).said.split('\n')
      expect(log).toEqual(expect.arrayContaining(['ann', 'bob', 'cid', 'dana']))
      expect((await reader.git('log', '--merges', '--format=%H', 'FETCH_HEAD')).said).toBe('')
    })

    test('serves a shallow fetch and a commit by its name', async () => {
      const [eve, reader] = [await person('eve'), await person('reader')]
      const tip = await eve.tip()
      expect(await reader.git('fetch', '--quiet', '--depth=1', remote.url, 'main')).toMatchObject({ ok: true })
      expect((await reader.git('rev-list', '--count', 'FETCH_HEAD')).said).toBe('1')
      expect(await reader.git('fetch', '--quiet', remote.url, tip)).toMatchObject({ ok: true })
    })
  })
}
