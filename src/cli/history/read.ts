import { type Commit, logFormat, parseLog } from '../../git/commit.ts'
import { type Operation, operationsOf } from '../../git/history.ts'
import { parseStateFile } from '../../git/statefile.ts'
import type { Chapter, StateChange } from '../../git/story.ts'
import { blobs } from './blobs.ts'
import type { Clone } from './git.ts'
import {
  type Owned,
  type Owner,
  ownedFiles,
  type Pair,
  type PersonsChange,
  personsChange,
  routeWeight,
} from './people.ts'

/** What a branch says about Rollouts, oldest first. */
export interface Branch {
  chapters: Chapter[]
  /** Commits of people that changed a weight, a desired version or an image that is owned. */
  people: PersonsChange[]
  /** Position of every commit, from 0 for the oldest. */
  commits: ReadonlyMap<string, number>
}

export interface ReadQuestion {
  /** `namespace/name`; all Rollouts of the branch when left out. */
  rollout?: string
  /** File of allowed signers (ssh-keygen(1), ALLOWED SIGNERS); `''` for the person's own keyring. */
  signers?: string
}

/** A file that a commit changed; no version where there is none. */
export interface FileChange {
  path: string
  before?: string
  after?: string
}

const stateFile = /(?:^|\/)\.sluice\/([^/]+)\/([^/]+)\.yaml$/
const states = ':(glob)**/.sluice/**'

/** Reads a branch: messages first, then what the commits that matter did to files, then the contents of those that are compared. */
export async function readBranch(clone: Clone, { rollout, signers }: ReadQuestion): Promise<Branch> {
  const all = await log(clone, [])
  const recorded = new Map(
    all.flatMap((commit): [string, Operation[]][] => {
      const operations = operationsOf(commit)
      return operations.length > 0 ? [[commit.sha, operations]] : []
    }),
  )
  const own = await changes(clone, ['--full-diff'], [states])
  const owned = await ownedFiles(clone, recorded, own, rollout)
  const theirs = await changes(clone, [], [...owned.keys()])
  const signatures = signers === undefined ? undefined : await verified(clone, [...recorded.keys()], signers)
  const contents = await blobs(clone, wantedBlobs(own, theirs, owned, recorded))

  const chapters: Chapter[] = []
  const people: PersonsChange[] = []
  const pairs = firstPairs(all.flatMap(({ sha }) => recorded.get(sha) ?? []))
  for (const commit of all) {
    const operations = recorded.get(commit.sha) ?? []
    for (const { rollout, weights } of operations) if (weights) pairs.set(rollout, weights)
    const files = own.get(commit.sha) ?? theirs.get(commit.sha) ?? []
    const touched = files.flatMap((file) => stateChange(file, contents))
    const weights = files.flatMap((file) => weightsOf(file, owned.get(file.path) ?? [], contents, pairs))
    if (operations.length === 0) {
      const changed = files.flatMap((file) => personsChange(commit, file, owned.get(file.path) ?? [], contents, pairs))
      people.push(...changed.filter((change) => rollout === undefined || change.rollout === rollout))
    }
    if (operations.length === 0 && touched.length === 0 && weights.length === 0) continue
    const signature = signatures?.get(commit.sha)
    chapters.push({
      commit: commit.sha,
      author: `${commit.author.name} <${commit.author.email}>`,
      committer: `${commit.committer.name} <${commit.committer.email}>`,
      operations,
      states: touched,
      weights,
      ...(signature ? { signature } : {}),
    })
  }
  return { chapters, people, commits: new Map(all.map(({ sha }, i) => [sha, i])) }
}

/** Before its first operation, a Rollout has the pair of that. */
function firstPairs(operations: readonly Operation[]): Map<string, Pair> {
  const pairs = new Map<string, Pair>()
  for (const { rollout, weights } of operations.toReversed()) if (weights) pairs.set(rollout, weights)
  return pairs
}

/** Commits of the branch, oldest first. */
async function log(clone: Clone, options: string[]): Promise<Commit[]> {
  const args = ['log', '-z', logFormat, '--topo-order', '--reverse', ...options, clone.tip, '--']
  return parseLog((await clone.git(args)).toString('utf8'))
}

/** What commits did to the files that `paths` match; merges are told by the commits that they merge. */
async function changes(clone: Clone, options: string[], paths: string[]): Promise<Map<string, FileChange[]>> {
  const found = new Map<string, FileChange[]>()
  if (paths.length === 0) return found
  const kind = ['--raw', '--no-abbrev', '--no-renames', '--no-merges', '--no-ext-diff', ...options]
  const output = await clone.git(['log', '-z', '--format=%x01%H', ...kind, clone.tip, '--', ...paths])
  let files: FileChange[] = []
  const tokens = output.toString('utf8').split('\0')
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i]!.replace(/^\n+/, '')
    if (token.startsWith('\u0001')) {
      files = []
      found.set(token.slice(1), files)
    } else if (token.startsWith(':')) {
      const [, , before, after] = token.split(' ')
      i += 1
      files.push({ path: tokens[i] ?? '', ...version('before', before), ...version('after', after) })
    }
  }
  return found
}

function version<K extends string>(key: K, sha: string | undefined): Partial<Record<K, string>> {
  return (sha === undefined || /^0+$/.test(sha) ? {} : { [key]: sha }) as Partial<Record<K, string>>
}

function wantedBlobs(
  own: Map<string, FileChange[]>,
  theirs: Map<string, FileChange[]>,
  owned: Owned,
  recorded: ReadonlyMap<string, unknown>,
): Set<string> {
  const wanted = new Set<string>()
  for (const [commit, files] of [...own, ...theirs]) {
    for (const { path, before, after } of files) {
      const isState = stateFile.test(path)
      if (!isState && !owned.has(path)) continue
      if (after !== undefined) wanted.add(after)
      if (before !== undefined && !isState && !recorded.has(commit)) wanted.add(before)
    }
  }
  return wanted
}

function stateChange(file: FileChange, contents: ReadonlyMap<string, Buffer>): StateChange[] {
  const match = stateFile.exec(file.path)
  if (!match) return []
  const about = { rollout: `${match[1]}/${match[2]}`, file: file.path }
  if (file.after === undefined) return [{ ...about, is: 'deleted' }]
  const content = contents.get(file.after)
  const parsed = content && parseStateFile(file.path, content)
  return [parsed?.ok ? { ...about, is: 'written', state: parsed.state } : { ...about, is: 'unreadable' }]
}

function weightsOf(
  file: FileChange,
  owners: readonly Owner[],
  contents: ReadonlyMap<string, Buffer>,
  pairs: ReadonlyMap<string, Pair>,
): Chapter['weights'][number][] {
  return owners.flatMap((owner) => {
    const to = routeWeight(file.path, contents.get(file.after ?? ''), owner, pairs.get(owner.rollout))
    const from = routeWeight(file.path, contents.get(file.before ?? ''), owner, pairs.get(owner.rollout))
    return to === undefined || to === from ? [] : [{ rollout: owner.rollout, from, to }]
  })
}

/** What git says of the signatures of commits; anything but good is not good. */
async function verified(
  clone: Clone,
  commits: readonly string[],
  signers: string,
): Promise<Map<string, { good: boolean; by: string }>> {
  const result = new Map<string, { good: boolean; by: string }>()
  const setting = signers === '' ? [] : ['-c', `gpg.ssh.allowedSignersFile=${signers}`]
  for (const commit of commits) {
    const { code, stderr } = await clone.ask([...setting, 'verify-commit', commit])
    const said = stderr.split('\n').find((line) => line.trim() !== '')
    result.set(commit, {
      good: code === 0,
      by: code === 0 ? (said ?? '') : `its signature is not good: ${said ?? 'there is none'}`,
    })
  }
  return result
}
