import { parseBatch } from '../../git/plumbing.ts'
import type { Clone } from './git.ts'

/** Contents by object name. Those that a clone without files lacks are fetched together first, not one by one. */
export async function blobs(clone: Clone, wanted: ReadonlySet<string>): Promise<Map<string, Buffer>> {
  const contents = new Map<string, Buffer>()
  if (wanted.size === 0) return contents
  await prefetch(clone, wanted)
  const input = `${[...wanted].join('\n')}\n`
  for (const { sha, content } of parseBatch(await clone.git(['cat-file', '--batch'], input)))
    if (content) contents.set(sha, content)
  return contents
}

/** As git itself fetches what a partial clone is missing; where the remote does not play along, cat-file asks for each. */
async function prefetch(clone: Clone, wanted: ReadonlySet<string>): Promise<void> {
  const { code, stdout } = await clone.ask(['config', '--get', 'remote.origin.promisor'])
  if (code !== 0 || stdout.toString('utf8').trim() !== 'true') return
  const options = ['--quiet', '--no-tags', '--no-write-fetch-head', '--filter=blob:none', '--stdin']
  await clone.ask(
    ['-c', 'fetch.negotiationAlgorithm=noop', 'fetch', 'origin', ...options],
    `${[...wanted].join('\n')}\n`,
  )
}
