import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { onTestFinished } from 'vitest'
import { type GitRemote, type GitRemoteOptions, startGitRemote } from '../../src/sandbox/git/remote.ts'

/** A folder that goes away with the test. */
export function temporaryFolder(): string {
  const dir = mkdtempSync(join(tmpdir(), 'sluice-git-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true, maxRetries: 3 }))
  return dir
}

/** A remote that goes away with the test, with one commit of `files` on main. */
export async function remoteWith(
  files: Record<string, string | Buffer>,
  options: Partial<GitRemoteOptions> = {},
): Promise<{ remote: GitRemote; person: Person; dir: string }> {
  const dir = temporaryFolder()
  const remote = await startGitRemote({ dir: join(dir, 'config.git'), ...options })
  onTestFinished(() => remote.stop())
  const person = personAt(join(dir, 'person'), remote.dir)
  person.commit('Start', files)
  return { remote, person, dir }
}

/** Somebody with a work tree, who pushes straight into the remote's folder. */
export interface Person {
  git(...args: string[]): string
  write(files: Record<string, string | Buffer>): void
  /** Commits on top of the remote's newest and pushes. Returns the commit. */
  commit(message: string, files: Record<string, string | Buffer>): string
  /** A file at the remote's tip, or '' when there is none. */
  read(path: string): string
  /** Messages on main, oldest first. */
  subjects(): string[]
}

export function personAt(dir: string, remoteDir: string, name = 'Dana'): Person {
  mkdirSync(dir, { recursive: true })
  const environment = {
    PATH: process.env.PATH,
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_AUTHOR_NAME: name,
    GIT_AUTHOR_EMAIL: `${name.toLowerCase()}@example.com`,
    GIT_COMMITTER_NAME: name,
    GIT_COMMITTER_EMAIL: `${name.toLowerCase()}@example.com`,
  }
  const git = (...args: string[]) =>
    execFileSync('git', args, { cwd: dir, env: environment, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  git('init', '--quiet', '--initial-branch=main', '.')
  git('remote', 'add', 'origin', remoteDir)
  const pull = () => {
    if (git('ls-remote', 'origin', 'refs/heads/main') === '') return
    git('fetch', '--quiet', 'origin', 'main')
    git('reset', '--quiet', '--hard', 'FETCH_HEAD')
  }
  const write = (files: Record<string, string | Buffer>) => {
    for (const [path, content] of Object.entries(files)) {
      mkdirSync(dirname(join(dir, path)), { recursive: true })
      writeFileSync(join(dir, path), content)
    }
  }
  return {
    git,
    write,
    commit(message, files) {
      for (let attempt = 0; ; attempt++) {
        pull()
        write(files)
        git('add', '-A')
        git('commit', '--quiet', '--allow-empty', '-m', message)
        try {
          git('push', '--quiet', 'origin', 'HEAD:refs/heads/main')
          return git('rev-parse', 'HEAD').trim()
        } catch (error) {
          if (attempt > 20) throw error
        }
      }
    },
    read(path) {
      pull()
      try {
        return git('show', `HEAD:${path}`)
      } catch {
        return ''
      }
    },
    subjects() {
      pull()
      return git('log', '--reverse', '--format=%s').split('\n').filter(Boolean)
    },
  }
}
