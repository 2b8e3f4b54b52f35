import { createHash } from 'node:crypto'
import { mkdir, readdir, realpath, rm } from 'node:fs/promises'
import { join, sep } from 'node:path'
import type { Problem } from '../errors.ts'
import type { Runtime } from '../runtime.ts'
import { type Git, type GitAnswer, type GitRun, gitIn } from './command.ts'
import { type Credentials, credentialEnvironment, secretsOf } from './credentials.ts'
import { classify, type GitFailure } from './failure.ts'
import { normaliseUrl, withoutPassword } from './url.ts'

/** The clone cannot be read; it is made anew at the next fetch. Try again after it. */
export class RepositoryDamaged extends Error {
  override readonly name = 'RepositoryDamaged'
}

export interface CloneOptions {
  /** Folder for clones, private to this process. */
  workDir: string
  url: string
  runtime: Runtime
  inherit?: Record<string, string>
  /** Milliseconds for one exchange with the remote, and without a sign of life in a long one. */
  timeoutMs?: number
  signal?: AbortSignal
}

export type Exchange = { ok: true; answer: GitAnswer } | { ok: false; failure: GitFailure }

export interface ExchangeOptions {
  branch?: string
  input?: string
  /** It may have much to bring: as long as it gets on, it has ten times the time. */
  long?: boolean
}

/** The folder of a bare clone: what is locked or damaged in it is repaired, and it can be deleted at any time. */
export interface Clone {
  /** The remote, as it may be shown. */
  readonly url: string
  readonly dir: string
  /** Private files, such as keys, are put here. */
  readonly privateDir: string
  /** A command that reads or writes only here. What a partial clone lacks, such a command never asks the remote for. */
  git: Git
  /** The same, for commands that have to succeed. Throws RepositoryDamaged. */
  read(args: string[], run?: GitRun): Promise<Buffer>
  /** Runs a command that talks to the remote called `remoteName`; a stale lock or a damaged clone is repaired and it is tried once more. */
  exchange(args: string[], credentials: Credentials | undefined, options?: ExchangeOptions): Promise<Exchange>
  /** Makes the folder ready, without asking the remote. */
  prepare(): Promise<void>
  /** The next exchange begins with an empty folder. */
  discard(): void
  /** Drops what nothing refers to, and packs the rest. */
  tidy(): Promise<void>
}

/** The remote's name in commands; its URL reaches git through the environment. */
export const remoteName = 'sluice'

/**
 * What makes git accept that contents of files are missing. It is set for fetching alone: commands that do not know of it cannot fetch a
 * file behind our back, one at a time and without credentials, whatever the version of git.
 */
const partial = { [`remote.${remoteName}.promisor`]: 'true', [`remote.${remoteName}.partialclonefilter`]: 'blob:none' }

export function openClone(options: CloneOptions): Clone {
  const { workDir, runtime, timeoutMs = 60_000, signal } = options
  const url = withoutPassword(options.url)
  const name = createHash('sha256').update(normaliseUrl(url)).digest('hex').slice(0, 20)
  const dir = join(workDir, `${name}.git`)
  const privateDir = join(workDir, `${name}.auth`)
  const git = gitIn({ dir, runtime, inherit: options.inherit })
  let ready = false
  let damaged = false

  async function prepare(): Promise<void> {
    if (damaged) await rm(dir, { recursive: true, force: true, maxRetries: 3 })
    if (ready && !damaged) return
    await mkdir(dir, { recursive: true, mode: 0o700 })
    await removeLocks(dir)
    const made = await git(['init', '--quiet', '--bare', '.'], { signal })
    if (made.code !== 0) throw new RepositoryDamaged(`no clone of ${url} can be made here: ${made.stderr.trim()}`)
    ready = true
    damaged = false
  }

  return {
    url,
    dir,
    privateDir,
    git: (args, run) => git(args, { signal, ...run }),
    prepare,
    discard() {
      damaged = true
    },

    async read(args, run) {
      const answer = await git(args, { signal, ...run })
      if (answer.code === 0) return answer.stdout
      if (!signal?.aborted) damaged = true
      throw new RepositoryDamaged(`the clone of ${url} cannot be read: ${answer.stderr.trim()}`)
    },

    async exchange(args, credentials, { branch, input, long = false } = {}) {
      const secrets = secretsOf(credentials)
      const settings = { [`remote.${remoteName}.url`]: url, ...(args.includes('fetch') ? partial : {}) }
      const patience = long ? { timeoutMs: 10 * timeoutMs, silenceMs: timeoutMs } : { timeoutMs }
      if (await isWithin(url, workDir)) return { ok: false, failure: ownFolder(url) }
      for (let attempt = 0; ; attempt++) {
        await prepare()
        const environment = await credentialEnvironment(credentials, url, privateDir)
        const answer = await git(args, { environment, settings, secrets, input, signal, ...patience })
        if (answer.code === 0) return { ok: true, answer }
        if (answer.code === -1) await removeLocks(dir)
        const said = `${answer.stdout.toString('utf8')}\n${answer.stderr}`
        const failure = classify(said, { url, branch, secret: credentials?.secret })
        if (attempt > 0 || (failure.kind !== 'corrupt' && failure.kind !== 'locked')) return { ok: false, failure }
        if (failure.kind === 'corrupt') damaged = true
        await removeLocks(dir)
      }
    },

    async tidy() {
      const settings = { ...partial, 'repack.writeBitmaps': 'false' }
      await git(['gc', '--quiet', '--prune=now'], { settings, timeoutMs: 300_000, signal })
    },
  }
}

/** Whether a file URL leads into a folder: the clones there are of other sources, whose repositories are not everybody's. */
async function isWithin(url: string, folder: string): Promise<boolean> {
  const [, path] = /^file:\/\/(.*)$/is.exec(url) ?? []
  if (path === undefined) return false
  try {
    const [there, own] = await Promise.all([realpath(decodeURIComponent(path)), realpath(folder)])
    return there === own || there.startsWith(`${own}${sep}`)
  } catch {
    // It does not exist, or is no path: git says so.
    return false
  }
}

function ownFolder(url: string): GitFailure {
  const message = `${url} is a folder that Sluice works in, and no remote`
  return { kind: 'problem', problem: { reason: 'InvalidSpec', message, field: 'spec.url' }, transient: false }
}

/** What a failed exchange is to those who wait for it. */
export function problemOf(failure: GitFailure, url: string): { problem: Problem; transient: boolean } {
  if (failure.kind === 'problem') return { problem: failure.problem, transient: failure.transient }
  const message = `${url} cannot be read: ${detailOf(failure)}`
  return { problem: { reason: 'GitUnreachable', message }, transient: true }
}

export function detailOf(failure: GitFailure): string {
  if (failure.kind === 'problem') return failure.problem.message
  return failure.kind === 'lostRace' ? 'somebody pushed at the same moment' : failure.detail
}

/** Locks of a git that was killed: nobody else works in this folder. */
async function removeLocks(dir: string): Promise<void> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true }).catch(() => [])
  for (const entry of entries) {
    const left = entry.isFile() && /\.lock$|^tmp_(pack|idx|obj)_/.test(entry.name)
    if (left) await rm(join(entry.parentPath, entry.name), { force: true })
  }
}
