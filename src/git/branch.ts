import { isDeepStrictEqual } from 'node:util'
import { type Problem, SluiceError } from '../errors.ts'
import type { Runtime } from '../runtime.ts'
import type { Credentials } from './credentials.ts'
import { type History, indexHistory, type Operation } from './history.ts'
import { createManifestReader, type ManifestReader } from './manifest-index.ts'
import { createMutex } from './mutex.ts'
import { createRemembered } from './remembered.ts'
import { openRepository, type Repository, RepositoryDamaged } from './repository.ts'
import { branchKey, type SourceRef } from './source-ref.ts'
import { openTree, rememberedLimit, type Tree } from './tree.ts'

export type RefreshResult =
  /** `rewritten`: the commit that was the tip before, and is no longer in the branch. */
  { ok: true; tip: string; moved: boolean; rewritten?: string } | { ok: false; problem: Problem; transient: boolean }

/** One branch of one remote as last seen, shared by everybody who reads or writes it. */
export interface Branch {
  readonly repository: Repository
  readonly name: string
  /** Undefined until it was read once. */
  readonly tip: string | undefined
  readonly history: History
  /** Why the last look failed; undefined when it did not. */
  readonly problem: Problem | undefined
  /** The commit that was the tip before somebody rewrote the branch; undefined when it has gone on normally since. */
  readonly rewritten: string | undefined
  /** Asks the remote. Calls at the same time with the same credentials share one answer. */
  refresh(credentials: Credentials | undefined): Promise<RefreshResult>
  /** Our own push made this the tip. */
  advance(tip: string): Promise<void>
  /**
   * Files under a folder at a commit; kept for the commits asked for last. `reach`: also what its kustomizations name outside of it.
   * Throws SluiceError when the remote does not give the files, and RepositoryDamaged.
   */
  tree(commit: string, path: string, options?: { reach?: boolean }): Promise<Tree>
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
  /** Packs that may gather in a clone before they are made one. */
  packs?: number
  signal?: AbortSignal
}

/** How many commits are searched for operations that may be done already. */
const historyLength = 1_000
/** What is kept of trees: so many, and so many files in all of them but the newest. */
const treesKept = 64
const filesKept = 50_000

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

interface KeptTree {
  commit: string
  path: string
  reach: boolean
  opened: Promise<Tree>
  files: number
}

export function createBranch(repository: Repository, name: string): Branch {
  const listeners = new Set<() => void>()
  const trees = new Map<string, KeptTree>()
  const manifestsOf = createManifestReader()
  const remembered = createRemembered(rememberedLimit)
  const operations = new Map<string, Operation[]>()
  const running: { credentials: Credentials | undefined; result: Promise<RefreshResult> }[] = []
  const alone = createMutex()
  let tip: string | undefined
  let history = indexHistory([], false)
  let problem: Problem | undefined
  let lost: string | undefined

  async function load(commit: string): Promise<void> {
    const commits = await repository.log([`--max-count=${historyLength}`, '--topo-order', commit])
    const oldest = commits.at(-1)
    if (operations.size > 10 * historyLength) operations.clear()
    const complete = commits.length < historyLength && oldest?.parents.length === 0
    history = indexHistory(commits, complete, operations)
    tip = commit
    for (const listener of listeners) listener()
  }

  /** The folders that were read at the last tip, at the new one: whoever reads them next does not wait for the remote, nor finds it gone. */
  async function bringTrees(commit: string): Promise<void> {
    const inUse = [...trees.values()].filter((tree) => tree.commit === tip)
    for (const { path, reach } of inUse) await treeOf(commit, path, reach)
  }

  async function refresh(credentials: Credentials | undefined): Promise<RefreshResult> {
    for (let attempt = 0; ; attempt++) {
      const fetched = await repository.fetch(name, credentials)
      if (!fetched.ok) {
        problem = fetched.problem
        return fetched
      }
      try {
        const before = tip
        const moved = fetched.tip !== before
        const rewritten = moved && before !== undefined && !(await repository.isAncestor(before, fetched.tip))
        if (moved) {
          await bringTrees(fetched.tip)
          await load(fetched.tip)
        }
        problem = undefined
        if (moved) lost = rewritten ? before : undefined
        return { ok: true, tip: fetched.tip, moved, ...(rewritten ? { rewritten: before } : {}) }
      } catch (error) {
        if (error instanceof SluiceError) {
          problem = error.problem
          return { ok: false, problem, transient: true }
        }
        if (!(error instanceof RepositoryDamaged)) throw error
        trees.clear()
        if (attempt === 0) continue
        problem = { reason: 'GitUnreachable', message: error.message }
        return { ok: false, problem, transient: true }
      }
    }
  }

  function treeOf(commit: string, path: string, reach: boolean): Promise<Tree> {
    const key = `${commit} ${reach} ${path}`
    const known = trees.get(key)
    if (known) {
      trees.delete(key)
      trees.set(key, known)
      return known.opened
    }
    const opened = openTree(repository, commit, path, { manifestsOf, remembered, reach })
    const kept: KeptTree = { commit, path, reach, opened, files: 0 }
    trees.set(key, kept)
    opened.then(
      ({ entries }) => {
        kept.files = entries.size
        dropOldTrees()
      },
      () => trees.delete(key),
    )
    return opened
  }

  function dropOldTrees(): void {
    let files = [...trees.values()].reduce((sum, tree) => sum + tree.files, 0)
    for (const [key, tree] of trees) {
      if (trees.size <= 1 || (trees.size <= treesKept && files <= filesKept)) return
      trees.delete(key)
      files -= tree.files
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
    get rewritten() {
      return lost
    },
    get problem() {
      return problem
    },
    refresh(credentials) {
      // Whoever has other credentials may not see what these let in.
      const same = running.find((other) => isDeepStrictEqual(other.credentials, credentials))
      if (same) return same.result
      const result = alone(() => refresh(credentials))
      const entry = { credentials, result }
      running.push(entry)
      const done = () => void running.splice(running.indexOf(entry), 1)
      result.then(done, done)
      return result
    },
    advance: load,
    tree: (commit, path, { reach = false } = {}) => treeOf(commit, path, reach),
    onTip(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}
