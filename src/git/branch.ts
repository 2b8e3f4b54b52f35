import type { Problem } from '../errors.ts'
import type { Runtime } from '../runtime.ts'
import type { Credentials } from './credentials.ts'
import { type History, indexHistory, type Operation } from './history.ts'
import { openRepository, type Repository, RepositoryDamaged } from './repository.ts'
import { branchKey, type SourceRef } from './source-ref.ts'
import { createManifestReader, type ManifestReader, openTree, type Tree } from './tree.ts'

export type RefreshResult =
  | { ok: true; tip: string; moved: boolean }
  | { ok: false; problem: Problem; transient: boolean }

/** One branch of one remote as last seen, shared by everybody who reads or writes it. */
export interface Branch {
  readonly repository: Repository
  readonly name: string
  /** Undefined until it was read once. */
  readonly tip: string | undefined
  readonly history: History
  /** Why the last look failed; undefined when it did not. */
  readonly problem: Problem | undefined
  /** Asks the remote. Calls at the same time share one answer. */
  refresh(credentials: Credentials | undefined): Promise<RefreshResult>
  /** Our own push made this the tip. */
  advance(tip: string): Promise<void>
  /** Files under a folder at a commit; kept for the commits asked for last. */
  tree(commit: string, path: string): Promise<Tree>
  /** The objects of a file, remembered by its content. */
  manifestsOf: ManifestReader
  /** Called after the tip has moved or was seen for the first time; returns the way to stop. */
  onTip(listener: () => void): () => void
}

export interface Branches {
  of(source: Pick<SourceRef, 'url' | 'branch'>): Branch
}

export interface BranchesOptions {
  workDir: string
  runtime: Runtime
  inherit?: Record<string, string>
  timeoutMs?: number
  signal?: AbortSignal
}

/** How many commits are searched for operations that may be done already. */
const historyLength = 1_000
const treesKept = 64

/** All branches in use; one clone per remote. */
export function createBranches(options: BranchesOptions): Branches {
  const repositories = new Map<string, Repository>()
  const branches = new Map<string, Branch>()
  return {
    of(source) {
      const key = branchKey(source)
      const known = branches.get(key)
      if (known) return known
      const [url] = key.split('\n')
      const repository = repositories.get(url!) ?? openRepository({ ...options, url: source.url, depth: historyLength })
      repositories.set(url!, repository)
      const branch = createBranch(repository, source.branch)
      branches.set(key, branch)
      return branch
    },
  }
}

export function createBranch(repository: Repository, name: string): Branch {
  const listeners = new Set<() => void>()
  const trees = new Map<string, Promise<Tree>>()
  const manifestsOf = createManifestReader()
  const operations = new Map<string, Operation | undefined>()
  let tip: string | undefined
  let history = indexHistory([], false)
  let problem: Problem | undefined
  let running: Promise<RefreshResult> | undefined

  async function load(commit: string): Promise<void> {
    const commits = await repository.log([`--max-count=${historyLength}`, '--topo-order', commit])
    const oldest = commits.at(-1)
    if (operations.size > 10 * historyLength) operations.clear()
    const complete = commits.length < historyLength && oldest?.parents.length === 0
    history = indexHistory(commits, complete, operations)
    tip = commit
    for (const listener of listeners) listener()
  }

  async function refresh(credentials: Credentials | undefined): Promise<RefreshResult> {
    for (let attempt = 0; ; attempt++) {
      const fetched = await repository.fetch(name, credentials)
      if (!fetched.ok) {
        problem = fetched.problem
        return fetched
      }
      try {
        const moved = fetched.tip !== tip
        if (moved) await load(fetched.tip)
        problem = undefined
        return { ok: true, tip: fetched.tip, moved }
      } catch (error) {
        if (!(error instanceof RepositoryDamaged)) throw error
        trees.clear()
        if (attempt === 0) continue
        problem = { reason: 'GitUnreachable', message: error.message }
        return { ok: false, problem, transient: true }
      }
    }
  }

  return {
    repository,
    name,
    manifestsOf,
    get tip() {
      return tip
    },
    get history() {
      return history
    },
    get problem() {
      return problem
    },
    refresh(credentials) {
      running ??= refresh(credentials).finally(() => {
        running = undefined
      })
      return running
    },
    advance: load,
    tree(commit, path) {
      const key = `${commit} ${path}`
      const known = trees.get(key)
      if (known) {
        trees.delete(key)
        trees.set(key, known)
        return known
      }
      const opened = openTree(repository, commit, path, manifestsOf)
      trees.set(key, opened)
      opened.catch(() => trees.delete(key))
      for (const oldest of trees.keys()) {
        if (trees.size <= treesKept) break
        trees.delete(oldest)
      }
      return opened
    },
    onTip(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}
