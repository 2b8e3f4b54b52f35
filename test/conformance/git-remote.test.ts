import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { startGitRemote } from '../../src/sandbox/git/remote.ts'
import { gitRemoteConformance } from './git-remote.conformance.ts'

gitRemoteConformance('the sandbox, over http', async (dir) => startGitRemote({ dir: join(dir, 'config.git') }))

gitRemoteConformance('a bare repository of git itself', async (dir) => {
  const bare = join(dir, 'plain.git')
  execFileSync('git', ['init', '--quiet', '--bare', '--initial-branch=main', bare])
  execFileSync('git', ['-C', bare, 'config', 'uploadpack.allowAnySHA1InWant', 'true'])
  return { url: pathToFileURL(bare).href, stop: async () => undefined }
})
