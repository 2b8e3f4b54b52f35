import { createHash } from 'node:crypto'
import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Problem } from '../errors.ts'
import type { Runtime } from '../runtime.ts'
import { createBlobCache } from './blob-cache.ts'
import { type Git, type GitAnswer, type GitRun, gitIn } from './command.ts'
import { type Commit, type Draft, fastImport, logFormat, parseLog } from './commit.ts'
import { type Credentials, credentialEnvironment, secretsOf } from './credentials.ts'
import { classify, type GitFailure } from './failure.ts'
import { createMutex } from './mutex.ts'
import { isBranchName, parseBatch, parseTree, type TreeEntry } from './plumbing.ts'
import { normaliseUrl, withoutPassword } from './url.ts'

export type FetchResult = { ok: true; tip: string } | { ok: false; problem: Problem; transient: boolean }
export type PushResult = { ok: true } | { ok: false; failure: GitFailure }

/**
 * A bare clone of one remote. It is private to this process and can be deleted at any time: whatever is damaged
 * or locked by a process that died is repaired or cloned anew. Nothing is ever forced upon the remote.
 */
export interface Repository {
  /** The remote, as it may be shown. */
  readonly url: string
  /** Brings the branch here and says where it stands. */
  fetch(branch: string, credentials?: Credentials): Promise<FetchResult>
  /** Brings one commit that is outside the shallow clone. `gone`: the remote does not have it, or does not give it. */
  fetchCommit(sha: string, credentials?: Credentials): Promise<'here' | 'gone' | 'unreachable'>
  /** Every file under `path` ('' for all) at a commit. Throws RepositoryDamaged when the clone is. */
  files(commit: string, path: string): Promise<TreeEntry[]>
  /** Contents of files, in the order of `shas`. */
  contents(shas: string[]): Promise<Buffer[]>
  /** One file at several commits; undefined where it does not exist. */
  versions(path: string, commits: string[]): Promise<({ sha: string; content: Buffer } | undefined)[]>
  /** Files under `path` that `commit` changed or took away, as they were called in its parent. */
  replaced(parent: string, commit: string, path: string): Promise<string[]>
  /** Commits that the arguments of `git log` select, newest first. */
  log(args: string[]): Promise<Commit[]>
  isAncestor(older: string, newer: string): Promise<boolean>
  /** Makes commits one on top of the other; they exist only here until they are pushed. */
  commit(parent: string, drafts: Draft[]): Promise<string[]>
  /** Moves the remote's branch to `sha`; refused by the remote unless that is a fast-forward. */
  push(sha: string, branch: string, credentials?: Credentials): Promise<PushResult>
}

/** The clone cannot be read; it is made anew at the next fetch. Try again after it. */
export class RepositoryDamaged extends Error {
  override readonly name = 'RepositoryDamaged'
}

export interface RepositoryOptions {
  /** Folder for clones, private to this process. */
  workDir: string
  url: string
  runtime: Runtime
  inherit?: Record<string, string>
  /** Milliseconds for one exchange with the remote. */
  timeoutMs?: number
  /** Commits of history to keep; older ones are fetched when asked for by name. */
  depth?: number
  signal?: AbortSignal
}

const cacheBytes = 32 * 1024 * 1024
const exchangesBetweenRepacks = 500

export function openRepository(options: RepositoryOptions): Repository {
  const { workDir, runtime, timeoutMs = 60_000, depth = 1_000, signal } = options
  const url = withoutPassword(options.url)
  const name = createHash('sha256').update(normaliseUrl(url)).digest('hex').slice(0, 20)
  const dir = join(workDir, `${name}.git`)
  const secretsDir = join(workDir, `${name}.auth`)
  const git = gitIn({ dir, runtime, inherit: options.inherit })
  const alone = createMutex()
  const blobs = createBlobCache(cacheBytes)
  let ready = false
  let damaged = false
  let exchanges = 0

  async function prepare(): Promise<void> {
    if (damaged) await rm(dir, { recursive: true, force: true })
    if (ready && !damaged) return
    await mkdir(dir, { recursive: true, mode: 0o700 })
    await removeLocks(dir)
    must(await git(['init', '--quiet', '--bare', '.']))
    ready = true
    damaged = false
  }

  /** Runs a command that talks to the remote; a stale lock or a damaged clone is repaired and it is tried once more. */
  async function exchange(
    args: string[],
    credentials: Credentials | undefined,
    branch?: string,
  ): Promise<{ ok: true; answer: GitAnswer } | { ok: false; failure: GitFailure }> {
    const secrets = secretsOf(credentials)
    for (let attempt = 0; ; attempt++) {
      await prepare()
      const environment = await credentialEnvironment(credentials, url, secretsDir)
      const answer = await git(args, { environment, secrets, timeoutMs, signal })
      if (answer.code === 0) return { ok: true, answer }
      if (answer.code === -1) await removeLocks(dir)
      const failure = classify(`${answer.stdout.toString('utf8')}\n${answer.stderr}`, { url, branch })
      if (attempt > 0 || (failure.kind !== 'corrupt' && failure.kind !== 'locked')) return { ok: false, failure }
      if (failure.kind === 'corrupt') damaged = true
      await removeLocks(dir)
    }
  }

  async function read(args: string[], run?: GitRun): Promise<Buffer> {
    const answer = await git(args, { signal, ...run })
    if (answer.code === 0) return answer.stdout
    if (!signal?.aborted) damaged = true
    throw new RepositoryDamaged(`the clone of ${url} cannot be read: ${answer.stderr.trim()}`)
  }

  return {
    url,
    fetch: (branch, credentials) =>
      alone(async () => {
        const local = `refs/remotes/sluice/${branch}`
        if (!isBranchName(branch)) return missing(url, branch)
        exchanges += 1
        if (exchanges % exchangesBetweenRepacks === 0)
          await git(['gc', '--quiet', '--prune=now'], { timeoutMs: 300_000, signal })
        const first = (await verify(git, local)) === undefined
        const args = ['fetch', '--quiet', '--no-tags', '--no-write-fetch-head', '--no-auto-maintenance']
        const from = [url, `+refs/heads/${branch}:${local}`]
        const shallow = await exchange(
          [...args, ...(first ? [`--depth=${depth}`] : []), '--', ...from],
          credentials,
          branch,
        )
        const result =
          !shallow.ok && first && /shallow|depth/i.test(detailOf(shallow.failure))
            ? await exchange([...args, '--', ...from], credentials, branch)
            : shallow
        if (!result.ok) return failed(result.failure, url)
        const tip = await verify(git, local)
        return tip === undefined ? missing(url, branch) : { ok: true, tip }
      }),

    fetchCommit: (sha, credentials) =>
      alone(async () => {
        if (!/^[0-9a-f]{40}([0-9a-f]{24})?$/.test(sha)) return 'gone'
        await prepare()
        if ((await git(['cat-file', '-e', `${sha}^{tree}`])).code === 0) return 'here'
        const args = ['fetch', '--quiet', '--no-tags', '--no-write-fetch-head', '--depth=1', '--', url, sha]
        const fetched = await exchange(args, credentials)
        if (fetched.ok) return 'here'
        const isGone = /not our ref|unadvertised object|not a valid object|couldn't find remote ref/i
        return isGone.test(detailOf(fetched.failure)) ? 'gone' : 'unreachable'
      }),

    async files(commit, path) {
      const output = await read(['ls-tree', '-r', '-z', '--full-tree', commit, ...(path === '' ? [] : ['--', path])])
      return parseTree(output.toString('utf8'))
    },

    async contents(shas) {
      const missingShas = [...new Set(shas)].filter((sha) => blobs.get(sha) === undefined)
      const fresh = new Map<string, Buffer>()
      if (missingShas.length > 0) {
        const output = await read(['cat-file', '--batch'], { input: `${missingShas.join('\n')}\n`, timeoutMs: 120_000 })
        for (const { sha, content } of parseBatch(output)) if (content) fresh.set(sha, content)
      }
      return shas.map((sha) => {
        const content = fresh.get(sha) ?? blobs.get(sha)
        if (content === undefined) throw new RepositoryDamaged(`the clone of ${url} has lost the file ${sha}`)
        blobs.set(sha, content)
        return content
      })
    },

    async versions(path, commits) {
      if (commits.length === 0 || path.includes('\n')) return commits.map(() => undefined)
      const input = commits.map((commit) => `${commit}:${path}\n`).join('')
      const answers = parseBatch(await read(['cat-file', '--batch'], { input }))
      return [...answers].map(({ sha, content }) => content && { sha, content })
    },

    async replaced(parent, commit, path) {
      const below = path === '' ? [] : ['--', path]
      const args = [
        'diff-tree',
        '-r',
        '-z',
        '--name-only',
        '--no-renames',
        '--diff-filter=DM',
        parent,
        commit,
        ...below,
      ]
      return (await read(args))
        .toString('utf8')
        .split('\0')
        .filter((file) => file !== '')
    },

    async log(args) {
      return parseLog(
        (await read(['log', '-z', '--no-color', '--no-show-signature', logFormat, ...args])).toString('utf8'),
      )
    },

    async isAncestor(older, newer) {
      return (await git(['merge-base', '--is-ancestor', older, newer], { signal })).code === 0
    },

    commit: (parent, drafts) =>
      alone(async () => {
        const input = fastImport('refs/sluice/work', parent, drafts)
        const output = await read(['fast-import', '--quiet', '--force', '--done'], { input })
        const shas = output
          .toString('utf8')
          .split('\n')
          .filter((line) => /^[0-9a-f]{40,64}$/.test(line))
        if (shas.length !== drafts.length)
          throw new RepositoryDamaged(`git made ${shas.length} of ${drafts.length} commits`)
        return shas
      }),

    push: (sha, branch, credentials) =>
      alone(async () => {
        const args = ['push', '--porcelain', '--no-verify', '--no-signed', '--', url, `${sha}:refs/heads/${branch}`]
        const result = await exchange(args, credentials, branch)
        return result.ok ? { ok: true } : result
      }),
  }
}

function must(answer: GitAnswer): void {
  if (answer.code !== 0) throw new Error(`git failed: ${answer.stderr.trim()}`)
}

async function verify(git: Git, ref: string): Promise<string | undefined> {
  const answer = await git(['rev-parse', '--verify', '--quiet', `${ref}^{commit}`]).catch(() => undefined)
  return answer?.code === 0 ? answer.stdout.toString('utf8').trim() : undefined
}

function failed(failure: GitFailure, url: string): FetchResult {
  if (failure.kind === 'problem') return { ok: false, problem: failure.problem, transient: failure.transient }
  const message = `${url} cannot be read: ${detailOf(failure)}`
  return { ok: false, problem: { reason: 'GitUnreachable', message }, transient: true }
}

function detailOf(failure: GitFailure): string {
  if (failure.kind === 'problem') return failure.problem.message
  return failure.kind === 'lostRace' ? 'somebody pushed at the same moment' : failure.detail
}

function missing(url: string, branch: string): FetchResult {
  const problem: Problem = {
    reason: 'GitBranchMissing',
    message: `${url} has no branch "${branch}"`,
    field: 'spec.branch',
  }
  return { ok: false, problem, transient: true }
}

/** Locks of a git that was killed: nobody else works in this folder. */
async function removeLocks(dir: string): Promise<void> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true }).catch(() => [])
  for (const entry of entries) {
    if (entry.isFile() && entry.name.endsWith('.lock')) await rm(join(entry.parentPath, entry.name), { force: true })
  }
}
