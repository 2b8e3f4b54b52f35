import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { credentialsOf } from '../../src/git/credentials.ts'
import { openRepository } from '../../src/git/repository.ts'
import { systemRuntime } from '../../src/runtime.ts'
import { noSshd, startSshd } from './sshd.ts'
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
  const keyText = '-----BEGIN PRIVATE KEY-----\nKEYTEXT\n-----END PRIVATE KEY-----'
  const url = `ssh://git@git.example.com${remote.dir}`
  const read = credentialsOf(secret({ identity: keyText, known_hosts: 'git.example.com ssh-ed25519 AAAA' }), url)
  if (!read.ok) throw new Error(read.problem.message)
  const inherit = { PATH: `${bin}:/usr/local/bin:/usr/bin:/bin` }
  const repository = openRepository({ workDir: temporaryFolder(), url, runtime: systemRuntime, inherit })
  expect(await repository.fetch('main', read.credentials)).toMatchObject({ ok: true })
  const [args, inEnvironment, mode, key] = readFileSync(seen, 'utf8').split('\n')
  expect(args).toMatch(
    /-F \/dev\/null .*BatchMode=yes .*StrictHostKeyChecking=yes .*UserKnownHostsFile=\S+known_hosts .*-i \S+identity/,
  )
  expect([inEnvironment, mode, key]).toEqual(['0', '600', keyText.split('\n')[0]])
})

test('a Secret that cannot work is refused with what is missing or wrong', () => {
  const locked = join(temporaryFolder(), 'id')
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', 'words', '-f', locked])
  const reasons = [
    credentialsOf(secret({ identity: 'nonsense', known_hosts: 'h' }), 'git@h:p'),
    credentialsOf(secret({ 'ssh-privatekey': readFileSync(locked, 'utf8'), known_hosts: 'h' }), 'git@h:p'),
    credentialsOf(secret({ identity: 'x' }), 'git@h:p'),
    credentialsOf(secret({ username: 'u' }), 'https://h/p'),
    credentialsOf(secret({}), 'https://h/p'),
  ].map((result) => !result.ok && result.problem.message)
  expect(reasons).toEqual([
    'identity in the Secret git is no SSH private key',
    'ssh-privatekey in the Secret git has a passphrase',
    'the Secret git has no known_hosts, which git@h:p needs',
    'the Secret git has no password, which https://h/p needs',
    'the Secret git has no password, which https://h/p needs',
  ])
})

describe.skipIf(noSshd !== undefined)(`through a real ssh server${noSshd ? ` (left out: ${noSshd})` : ''}`, () => {
  const made = (kind: string, passphrase = '') => {
    const file = join(temporaryFolder(), 'id')
    execFileSync('ssh-keygen', ['-q', '-t', kind, '-N', passphrase, '-C', '', '-f', file])
    return { key: readFileSync(file, 'utf8'), publicKey: readFileSync(`${file}.pub`, 'utf8').trim() }
  }
  const at = (url: string, data: Record<string, string>) => {
    const read = credentialsOf({ ...secret(data), metadata: { namespace: 'delivery', name: 'git' } }, url)
    if (!read.ok) throw new Error(read.problem.message)
    return read.credentials
  }
  const open = (url: string) => openRepository({ workDir: temporaryFolder(), url, runtime: systemRuntime })

  test.each([
    ['ed25519', 'identity'],
    ['rsa', 'ssh-privatekey'],
    ['ecdsa', 'identity'],
  ])('a key of %s under %s reads and pushes', async (kind, field) => {
    const { remote, person } = await remoteWith({ 'a/b.yaml': '1', 'c.yaml': '2' })
    const sshd = await startSshd()
    const { key, publicKey } = made(kind)
    sshd.allow(publicKey)
    const url = sshd.url(remote.dir)
    const credentials = at(url, { [field]: key, known_hosts: sshd.knownHosts })
    const repository = open(url)
    const fetched = await repository.fetch('main', credentials)
    if (!fetched.ok) throw new Error(fetched.problem.message)
    const [entry] = await repository.files(fetched.tip, 'a')
    expect(String(await repository.contents([entry!.sha]))).toBe('1')
    const author = { name: 'S', email: 's@e' }
    const files = [{ path: 'a/b.yaml', content: Buffer.from('3'), mode: '100644' }]
    const [sha] = await repository.commit(fetched.tip, [{ message: 'Ours', author, decidedAt: 0, at: 0, files }])
    expect(await repository.push(sha!, 'main', credentials)).toEqual({ ok: true })
    expect(person.read('a/b.yaml')).toBe('3')
  })

  test('a server that leaves files out and does not give single ones later has all of them cloned', async () => {
    const { remote, person } = await remoteWith({ 'a/b.yaml': '1', 'c.yaml': '2' })
    const version = person.commit('Next', { 'a/b.yaml': '2' })
    // Over ssh without protocol version 2, which a server has to be told to accept, single objects need a permission.
    person.git('-C', remote.dir, 'config', 'uploadpack.allowAnySHA1InWant', 'false')
    const sshd = await startSshd()
    const { key, publicKey } = made('ed25519')
    sshd.allow(publicKey)
    const url = sshd.url(remote.dir)
    const repository = open(url)
    const credentials = at(url, { identity: key, known_hosts: sshd.knownHosts })
    expect(await repository.fetch('main', credentials)).toMatchObject({ ok: true, tip: version })
    const entries = await repository.files(version, '')
    expect((await repository.contents(entries.map(({ sha }) => sha))).map(String)).toEqual(['2', '2'])
    const next = person.commit('More', { 'c.yaml': '3' })
    expect(await repository.fetch('main', credentials)).toMatchObject({ ok: true, tip: next })
    expect(String((await repository.versions('c.yaml', [next]))[0]?.content)).toBe('3')
  })

  test('hosts that are unknown or have changed, and keys that do not fit, are refused in sentences that say what to put where', async () => {
    const { remote } = await remoteWith({ 'a.yaml': '1' })
    const sshd = await startSshd()
    const { key, publicKey } = made('ed25519')
    const url = sshd.url(remote.dir)
    const said = async (data: Record<string, string>) => {
      const fetched = await open(url).fetch('main', at(url, data))
      return fetched.ok ? 'ok' : `${fetched.problem.reason}: ${fetched.problem.message}`
    }
    const unknown = await said({ identity: key, known_hosts: 'other.example ssh-ed25519 AAAA' })
    expect(unknown).toBe(
      `GitAuth: the host key of [127.0.0.1]:${sshd.port} is not known: put the lines of "ssh-keyscan -p ${sshd.port} 127.0.0.1", compared with what that host publishes, under known_hosts into the Secret delivery/git`,
    )
    const known_hosts = sshd.knownHosts
    expect(await said({ identity: key, known_hosts })).toMatch(/^GitAuth: .*Secret delivery\/git.*Permission denied/)
    sshd.allow(publicKey)
    expect(await said({ identity: key, known_hosts })).toBe('ok')
    const broken = key.replace(/\n.{30}/, `\n${'A'.repeat(30)}`)
    expect(await said({ identity: broken, known_hosts })).toMatch(
      /^GitAuth: identity in the Secret delivery\/git is no SSH private key that can be read without a passphrase/,
    )
    await sshd.changeHostKey()
    expect(await said({ identity: key, known_hosts })).toBe(
      `GitAuth: [127.0.0.1]:${sshd.port} shows another host key than known_hosts in the Secret delivery/git has: if it was changed on purpose, put the new one there, otherwise somebody stands in between`,
    )
    expect(await said({ identity: key, known_hosts: sshd.knownHosts })).toBe('ok')
  })
})
