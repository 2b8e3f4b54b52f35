import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { type Problem, SluiceError } from '../errors.ts'
import { type CloneOptions, detailOf, openClone, problemOf, RepositoryDamaged, remoteName } from './clone.ts'
import { type Commit, type Draft, fastImport, logFormat, parseLog } from './commit.ts'
import type { Credentials } from './credentials.ts'
import type { GitFailure } from './failure.ts'
import { createMutex } from './mutex.ts'
import { openObjects } from './objects.ts'
import { isBranchName, parseTree, type TreeEntry } from './plumbing.ts'
import { signCommits } from './signature.ts'

export { RepositoryDamaged }

export type FetchResult = { ok: true; tip: string } | { ok: false; problem: Problem; transient: boolean }
export type HeadsResult = { ok: true; heads: Map<string, string> } | { ok: false; problem: Problem; transient: boolean }
export type PushResult = { ok: true } | { ok: false; failure: GitFailure }

/**
 * A bare clone of one remote: its newest commits, their folders, and of the files those that were asked for, where the remote can
 * leave files out. It is private to this process and can be deleted at any time: whatever is damaged or locked by a process that died
 * is repaired or cloned anew. Nothing is ever forced upon a branch that others share.
 *
 * Files that are not here are brought with the credentials of the last exchange that worked; reading throws SluiceError when that fails.
 */
export interface Repository {
  /** The remote, as it may be shown. */
  readonly url: string
  /** Brings the branch here and says where it stands. */
  fetch(branch: string, credentials?: Credentials): Promise<FetchResult>
  /**
   * Whether the remote has let these credentials in. The clone is shared by all who name its URL, and what is in it is only for those
   * who may read the remote.
   */
  admits(credentials: Credentials | undefined): boolean
  /** Brings one commit that is outside the shallow clone. `gone`: the remote does not have it, or does not give it. */
  fetchCommit(sha: string, credentials?: Credentials): Promise<'here' | 'gone' | 'unreachable'>
  /** Every file, link and submodule under `path` ('' for all) at a commit. Throws RepositoryDamaged when the clone is. */
  files(commit: string, path: string): Promise<TreeEntry[]>
  /** Sizes in bytes of files, in the order of `shas`; what is missing is brought here in one exchange. */
  sizes(shas: string[]): Promise<number[]>
  /** Contents of files, in the order of `shas`. */
  contents(shas: string[]): Promise<Buffer[]>
  /** One file at several commits; undefined where it does not exist, is no regular file, or too large. */
  versions(path: string, commits: string[]): Promise<({ sha: string; content: Buffer } | undefined)[]>
  /** Files under `path` that `commit` changed or took away, as they were called in its parent. */
  replaced(parent: string, commit: string, path: string): Promise<string[]>
  /** Commits that the arguments of `git log` select, newest first. */
  log(args: string[]): Promise<Commit[]>
  isAncestor(older: string, newer: string): Promise<boolean>
  /** Makes commits one on top of the other; they exist only here until they are pushed. Throws SluiceError when they cannot be signed. */
  commit(parent: string, drafts: Draft[], signingKey?: string): Promise<string[]>
  /** Moves the remote's branch to `sha`; refused by the remote unless that is a fast-forward. */
  push(sha: string, branch: string, credentials?: Credentials): Promise<PushResult>
  /** The remote's branches whose names begin with `prefix`, and where they stand. */
  heads(prefix: string, credentials?: Credentials): Promise<HeadsResult>
  /**
   * Makes a branch of our own point to `sha`, or removes it without one: only if it still stands at `expected`, or does not exist when
   * that is undefined; otherwise the failure is a lost race. For the branches of pull requests, which may be built anew.
   */
  replace(
    branch: string,
    expected: string | undefined,
    sha: string | undefined,
    credentials?: Credentials,
  ): Promise<PushResult>
}

export interface RepositoryOptions extends CloneOptions {
  /** Commits of history to keep; older ones are fetched when asked for by name. */
  depth?: number
  /** Packs that may gather before they are made one; each news brings one. */
  packs?: number
}

const branchesNamed = 5
/** Credentials that are remembered as let in; those of an app change every hour. */
const admittedKept = 200

export function openRepository(options: RepositoryOptions): Repository {
  const { depth = 1_000, packs = 60 } = options
  const clone = openClone(options)
  const { url } = clone
  const alone = createMutex()
  const objects = openObjects(clone, (shas) => alone(() => bring(shas)))
  const branches = new Set<string>()
  let trusted: Credentials | undefined
  let admitted: (Credentials | undefined)[] = []
  /** The remote cannot leave files out, or does not give single ones: the clone has all of them. */
  let whole = false
  let exchanges = 0

  const quiet = ['--no-tags', '--no-write-fetch-head', '--no-auto-maintenance', '--recurse-submodules=no']
  const filter = () => (whole ? ['--no-filter'] : ['--filter=blob:none'])
  const localName = (branch: string) => `refs/remotes/sluice/${branch}`
  const refspec = (branch: string) => `+refs/heads/${branch}:${localName(branch)}`

  async function verify(branch: string): Promise<string | undefined> {
    const name = `${localName(branch)}^{commit}`
    const answer = await clone.git(['rev-parse', '--verify', '--quiet', name]).catch(() => undefined)
    return answer?.code === 0 ? answer.stdout.toString('utf8').trim() : undefined
  }

  async function bring(shas: string[]): Promise<void> {
    // A negotiation would say that we have the commits, and so, as git sees it, their files.
    const plain = ['-c', 'fetch.negotiationAlgorithm=noop', 'fetch', '--progress', ...quiet, ...filter()]
    const input = `${shas.join('\n')}\n`
    const brought = await clone.exchange([...plain, '--stdin', remoteName], trusted, { input, long: true })
    if (brought.ok) return
    if (!isUnadvertised(brought.failure)) throw new SluiceError(problemOf(brought.failure, url).problem)
    // An old server that leaves files out but does not give single ones: everything, then, as the clone of a small repository has it.
    whole = true
    const all = [...branches].map(refspec)
    const args = ['fetch', '--progress', '--refetch', ...quiet, ...filter(), `--depth=${depth}`, remoteName, ...all]
    const fetched = await clone.exchange(args, trusted, { long: true })
    if (!fetched.ok) throw new SluiceError(problemOf(fetched.failure, url).problem)
  }

  /** The branches of the remote, for people who look for one that is gone. */
  async function whatThereIs(credentials: Credentials | undefined): Promise<string> {
    const listed = await clone.exchange(['ls-remote', '--symref', remoteName, 'HEAD', 'refs/heads/*'], credentials)
    if (!listed.ok) return ''
    const lines = listed.answer.stdout.toString('utf8').split('\n')
    const isDefault = lines.map((line) => /^ref: refs\/heads\/(.+)\tHEAD$/.exec(line)?.[1]).find((name) => name)
    const names = lines.flatMap((line) => /^[0-9a-f]{40,}\trefs\/heads\/(.+)$/.exec(line)?.[1] ?? [])
    if (names.length === 0) return ', which has no commits yet'
    const shown = names.slice(0, branchesNamed).map((name) => (name === isDefault ? `${name} (its default)` : name))
    if (isDefault !== undefined && names.indexOf(isDefault) >= branchesNamed)
      shown.unshift(`${isDefault} (its default)`)
    const more = names.length > branchesNamed ? `, and ${names.length - branchesNamed} more` : ''
    return `; it has ${shown.join(', ')}${more}`
  }

  /** A branch that the remote has no more is not asked for again, and keeps nothing here. */
  async function forget(branch: string): Promise<void> {
    branches.delete(branch)
    await clone.git(['update-ref', '-d', localName(branch)]).catch(() => undefined)
  }

  async function tidy(): Promise<void> {
    exchanges += 1
    if (exchanges % Math.ceil(packs / 3) !== 0) return
    const files = await readdir(join(clone.dir, 'objects', 'pack')).catch(() => [])
    if (files.filter((name) => name.endsWith('.pack')).length > packs) await clone.tidy()
  }

  function admit(credentials: Credentials | undefined, isLetIn: boolean): void {
    const others = admitted.filter((known) => !isDeepStrictEqual(known, credentials))
    admitted = isLetIn ? [credentials, ...others].slice(0, admittedKept) : others
  }

  return {
    url,
    admits: (credentials) => admitted.some((known) => isDeepStrictEqual(known, credentials)),
    fetch: (branch, credentials) =>
      alone(async () => {
        if (!isBranchName(branch)) return missing(url, branch, '')
        await tidy()
        const first = (await verify(branch)) === undefined
        if (first) objects.reset()
        const args = ['fetch', first ? '--progress' : '--quiet', ...quiet, ...filter()]
        const run = { branch, long: first }
        const from = [remoteName, refspec(branch)]
        const shallow = await clone.exchange(
          [...args, ...(first ? [`--depth=${depth}`] : []), ...from],
          credentials,
          run,
        )
        const result =
          !shallow.ok && first && /shallow|depth/i.test(detailOf(shallow.failure))
            ? await clone.exchange([...args, ...from], credentials, run)
            : shallow
        if (!result.ok && isMissing(result.failure)) {
          await forget(branch)
          return missing(url, branch, await whatThereIs(credentials))
        }
        if (!result.ok) {
          const refused = problemOf(result.failure, url)
          if (refused.problem.reason === 'GitAuth') admit(credentials, false)
          return { ok: false, ...refused }
        }
        trusted = credentials
        admit(credentials, true)
        branches.add(branch)
        const tip = await verify(branch)
        return tip === undefined ? missing(url, branch, '') : { ok: true, tip }
      }),

    fetchCommit: (sha, credentials) =>
      alone(async () => {
        if (!/^[0-9a-f]{40}([0-9a-f]{24})?$/.test(sha)) return 'gone'
        await clone.prepare()
        if ((await clone.git(['cat-file', '-e', `${sha}^{tree}`])).code === 0) return 'here'
        const fetched = await clone.exchange(
          ['fetch', '--quiet', ...quiet, ...filter(), '--depth=1', remoteName, sha],
          credentials,
        )
        if (fetched.ok) return 'here'
        const isGone = /not our ref|not a valid object|couldn't find remote ref/i
        return isUnadvertised(fetched.failure) || isGone.test(detailOf(fetched.failure)) ? 'gone' : 'unreachable'
      }),

    async files(commit, path) {
      // Git ends with an error for what is outside of the repository, which is not the clone's fault.
      if (path.startsWith('/') || path.split('/').includes('..')) return []
      const below = path === '' ? [] : ['--', path]
      return parseTree((await clone.read(['ls-tree', '-r', '-z', '--full-tree', commit, ...below])).toString('utf8'))
    },

    sizes: objects.sizes,
    contents: objects.contents,
    versions: objects.versions,

    async replaced(parent, commit, path) {
      const below = path === '' ? [] : ['--', path]
      const what = ['--name-only', '--no-renames', '--diff-filter=DM']
      const output = await clone.read(['diff-tree', '-r', '-z', ...what, parent, commit, ...below])
      return output
        .toString('utf8')
        .split('\0')
        .filter((file) => file !== '')
    },

    async log(args) {
      const output = await clone.read(['log', '-z', '--no-color', '--no-show-signature', logFormat, ...args])
      return parseLog(output.toString('utf8'))
    },

    async isAncestor(older, newer) {
      return (await clone.git(['merge-base', '--is-ancestor', older, newer])).code === 0
    },

    commit: (parent, drafts, signingKey) =>
      alone(async () => {
        const input = fastImport('refs/sluice/work', parent, drafts)
        const output = await clone.read(['fast-import', '--quiet', '--force', '--done'], { input })
        const shas = output
          .toString('utf8')
          .split('\n')
          .filter((line) => /^[0-9a-f]{40,64}$/.test(line))
        if (shas.length !== drafts.length)
          throw new RepositoryDamaged(`git made ${shas.length} of ${drafts.length} commits`)
        if (signingKey === undefined) return shas
        return await signCommits({ clone, key: signingKey, parent, commits: shas })
      }),

    push: (sha, branch, credentials) =>
      alone(async () => {
        const args = ['push', '--porcelain', '--no-verify', '--no-signed', '--recurse-submodules=no']
        const result = await clone.exchange([...args, remoteName, `${sha}:refs/heads/${branch}`], credentials, {
          branch,
        })
        return result.ok ? { ok: true } : result
      }),

    heads: (prefix, credentials) =>
      alone(async () => {
        const listed = await clone.exchange(['ls-remote', '--refs', remoteName, `refs/heads/${prefix}*`], credentials)
        if (!listed.ok) return { ok: false, ...problemOf(listed.failure, url) }
        const lines = listed.answer.stdout.toString('utf8').split('\n')
        const found = lines
          .map((line) => /^([0-9a-f]{40,64})\trefs\/heads\/(.+)$/.exec(line))
          .filter((match) => match !== null)
        return { ok: true, heads: new Map(found.map(([, sha, name]) => [name!, sha!])) }
      }),

    replace: (branch, expected, sha, credentials) =>
      alone(async () => {
        const lease = `--force-with-lease=refs/heads/${branch}:${expected ?? ''}`
        const args = ['push', '--porcelain', '--no-verify', '--no-signed', '--recurse-submodules=no', lease]
        const result = await clone.exchange([...args, remoteName, `${sha ?? ''}:refs/heads/${branch}`], credentials, {
          branch,
        })
        if (result.ok && sha === undefined) await forget(branch)
        return result.ok ? { ok: true } : result
      }),
  }
}

function isUnadvertised(failure: GitFailure): boolean {
  return /unadvertised object/i.test(detailOf(failure))
}

function isMissing(failure: GitFailure): boolean {
  return failure.kind === 'problem' && failure.problem.reason === 'GitBranchMissing'
}

function missing(url: string, branch: string, there: string): FetchResult {
  const problem: Problem = {
    reason: 'GitBranchMissing',
    message: `${url} has no branch "${branch}"${there}`,
    field: 'spec.branch',
  }
  return { ok: false, problem, transient: true }
}
