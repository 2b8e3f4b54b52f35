import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { credentialsOf } from '../../src/git/credentials.ts'
import { openRepository } from '../../src/git/repository.ts'
import { systemRuntime } from '../../src/runtime.ts'
import { remoteWith, temporaryFolder } from './workbench.ts'

const secret = (data: Record<string, string>) => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name: 'git' },
  data: Object.fromEntries(Object.entries(data).map(([key, value]) => [key, btoa(value)])),
})

test('ssh gets its key and known hosts from private files, and nothing from the user’s own configuration', async () => {
  const { remote } = await remoteWith({ 'a.yaml': '1' })
  const bin = join(temporaryFolder(), 'bin')
  mkdirSync(bin)
  const seen = join(bin, 'seen')
  // Stands in for ssh: notes how it was called, then runs the command here instead of there.
  const script = `#!/bin/sh
for last; do :; done
{ echo "$@"; env | grep -c KEYTEXT; } >> ${seen}
for a; do case "$a" in *identity) stat -c '%a' "$a" >> ${seen}; cat "$a" >> ${seen};; esac; done
eval "$last"
`
  writeFileSync(join(bin, 'ssh'), script)
  chmodSync(join(bin, 'ssh'), 0o755)
  const url = `ssh://git@git.example.com${remote.dir}`
  const read = credentialsOf(secret({ identity: 'KEYTEXT', known_hosts: 'git.example.com ssh-ed25519 AAAA' }), url)
  if (!read.ok) throw new Error(read.problem.message)
  const inherit = { PATH: `${bin}:/usr/local/bin:/usr/bin:/bin` }
  const repository = openRepository({ workDir: temporaryFolder(), url, runtime: systemRuntime, inherit })
  expect(await repository.fetch('main', read.credentials)).toMatchObject({ ok: true })
  const [args, inEnvironment, mode, key] = readFileSync(seen, 'utf8').split('\n')
  expect(args).toMatch(
    /-F \/dev\/null .*BatchMode=yes .*StrictHostKeyChecking=yes .*UserKnownHostsFile=\S+known_hosts .*-i \S+identity/,
  )
  expect([inEnvironment, mode, key]).toEqual(['0', '600', 'KEYTEXT'])
})

test('a Secret that cannot work is refused with the key that is missing', () => {
  const reasons = [
    credentialsOf(secret({ identity: 'x' }), 'git@h:p'),
    credentialsOf(secret({ username: 'u' }), 'https://h/p'),
    credentialsOf(secret({}), 'https://h/p'),
  ].map((result) => !result.ok && result.problem.message)
  expect(reasons).toEqual([
    'the Secret git has no known_hosts, which git@h:p needs',
    'the Secret git has no password, which https://h/p needs',
    'the Secret git has no password, which https://h/p needs',
  ])
})
