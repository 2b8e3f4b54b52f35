import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { RolloutSourceSpec } from '../../../src/api/rolloutsource.ts'
import { forgeOf } from '../../../src/git/forge/find.ts'
import type { Forge } from '../../../src/git/forge/forge.ts'
import type { SourceRef } from '../../../src/git/source-ref.ts'
import { hasty, sourceOf } from '../shop.ts'
import { type Person, remoteWith } from '../workbench.ts'
import type { FakeForge } from './fake-forge.ts'
import { startFakeGitHub } from './fake-github.ts'
import { startFakeGitLab } from './fake-gitlab.ts'

export type Kind = 'GitHub' | 'GitLab' | 'GitLab before 18.5'

export const kinds: Kind[] = ['GitHub', 'GitLab', 'GitLab before 18.5']

export interface ForgeBench {
  fake: FakeForge
  forge: Forge
  source: SourceRef
  person: Person
  dir: string
  /** Pushes one commit to a branch on top of main, as anybody. */
  branch(name: string, files: Record<string, string>, message?: string): string
}

/** A repository at a forge, gone with the test. */
export async function forgeWith(
  kind: Kind,
  files: Record<string, string>,
  write: Partial<RolloutSourceSpec['write']> = {},
): Promise<ForgeBench> {
  const { remote, person, dir } = await remoteWith(files)
  await remote.stop()
  const start = kind === 'GitHub' ? startFakeGitHub : startFakeGitLab
  const fake = await (kind === 'GitLab before 18.5' ? startFakeGitLab(remote.dir, undefined, false) : start(remote.dir))
  onTestFinished(() => fake.stop())
  const provider = kind === 'GitHub' ? 'GitHub' : 'GitLab'
  const parsed = sourceOf(fake.gitUrl, {
    write: {
      mode: 'PullRequest',
      commits: 'Outcomes',
      author: { name: 'Sluice', email: 'sluice@sluice.dev' },
      pullRequest: { provider, labels: ['delivery'] },
      ...write,
    },
  })
  const source: SourceRef = { ...parsed, forgeToken: fake.token }
  const found = forgeOf(source, { runtime: hasty })
  if (!found.ok) throw new Error(found.problem.message)
  return {
    fake,
    forge: found.forge,
    source,
    person,
    dir: join(dir, 'work'),
    branch(name, changed, message = `For ${name}`) {
      person.read('nothing')
      person.write(changed)
      person.git('add', '-A')
      person.git('commit', '--quiet', '-m', message)
      person.git('push', '--quiet', '--force', 'origin', `HEAD:refs/heads/${name}`)
      return person.git('rev-parse', 'HEAD').trim()
    },
  }
}
