import type { Change } from '../plan/observation.ts'
import type { Branch } from './branch.ts'
import { authorOf, type Commit } from './commit.ts'
import type { Desired } from './desired.ts'
import { operationOf } from './history.ts'
import type { Manifest } from './manifest.ts'
import type { SourceRef } from './source-ref.ts'
import { compareUrl } from './url.ts'
import { versionsOf } from './versions.ts'

export interface ChangeQuestion {
  branch: Branch
  source: SourceRef
  tip: string
  desired: Desired
  /** Where the tip says what is desired. */
  manifest: Manifest
  stable: { name: string; hash: string; commit?: string }
}

/** Commits that are named; of the others there is a count. */
const named = 20
const subjectLength = 200

/**
 * What separates the desired content from stable: the commits that changed what is desired, back to the newest in which stable was. Undefined
 * when stable is desired.
 */
export async function changeOf(question: ChangeQuestion): Promise<Change | undefined> {
  const { branch, source, tip, desired, manifest, stable } = question
  const wanted = desired.of(stable)
  if (desired.read(manifest) === wanted) return undefined
  const brought: Commit[] = []
  let newer: { commit: Commit; content: string | undefined } | undefined
  for await (const version of versionsOf({ branch, path: source.path, manifest, tip })) {
    const content = desired.read(version.manifest)
    if (newer && newer.content !== content) brought.push(newer.commit)
    newer = content === wanted ? undefined : { commit: version.commit, content }
    if (!newer) break
  }
  if (newer) brought.push(newer.commit)
  const theirs = brought.filter((commit) => operationOf(commit) === undefined)
  const commits = theirs.slice(0, named).map((commit) => ({
    sha: commit.sha,
    subject: (commit.message.split('\n')[0] ?? '').slice(0, subjectLength),
    author: authorOf(commit),
  }))
  const [newest] = brought
  const provider = source.write.pullRequest?.provider
  const url = stable.commit && newest ? compareUrl(source.url, provider, stable.commit, newest.sha) : undefined
  return {
    ...(url === undefined ? {} : { compareUrl: url }),
    commits,
    ...(theirs.length > commits.length ? { commitCount: theirs.length } : {}),
  }
}
