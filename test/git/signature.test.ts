import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { signingKeyOf } from '../../src/git/signature.ts'
import { moveTo, recorder, resultOf, rolloutRef, shopFiles, sourceOf, stateAt } from './shop.ts'
import { remoteWith, temporaryFolder } from './workbench.ts'

/** A key as ssh-keygen makes it, and its public half. */
function keyOf(kind: string, passphrase = '', more: string[] = []): { key: string; publicKey: string } {
  const file = join(temporaryFolder(), 'key')
  execFileSync('ssh-keygen', ['-q', '-t', kind, '-N', passphrase, '-C', '', '-f', file, ...more])
  return { key: readFileSync(file, 'utf8'), publicKey: readFileSync(`${file}.pub`, 'utf8').trim() }
}

const secretWith = (data: Record<string, string>) => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { namespace: 'delivery', name: 'signing' },
  data: Object.fromEntries(Object.entries(data).map(([key, value]) => [key, btoa(value)])),
})

const signed = { write: { mode: 'Push', commits: 'EveryStep', signingKeyRef: { name: 'signing' } } } as const
const author = { name: 'Sluice', email: 'sluice@sluice.dev' }

test.each([
  ['ed25519', []],
  ['rsa', ['-b', '2048']],
  ['ecdsa', []],
  ['rsa', ['-b', '2048', '-m', 'PEM']],
])('git itself verifies every commit of a batch, with a key of %s %j', async (kind, more) => {
  const { key, publicKey } = keyOf(kind, '', more)
  const read = signingKeyOf(secretWith({ identity: key }))
  if (!read.ok) throw new Error(read.problem.message)
  const { remote, person } = await remoteWith({ ...shopFiles(), ...shopFiles('cart') })
  const workDir = temporaryFolder()
  const git = recorder({ workDir })
  const source = { ...sourceOf(remote.url, { write: { ...signed.write, author } }), signingKey: read.key }
  const [first, second, third] = [moveTo(10), moveTo(20), moveTo(50)]
  git.submit(source, rolloutRef(), first, stateAt(10))
  git.submit(source, rolloutRef('cart'), second, stateAt(20))
  git.submit(source, rolloutRef(), third, stateAt(50))
  for (const [name, { op }] of [
    ['checkout', first],
    ['cart', second],
    ['checkout', third],
  ] as const)
    expect(await resultOf(git, source, rolloutRef(name), op)).toMatchObject({ state: 'Done' })

  const allowed = join(temporaryFolder(), 'allowed_signers')
  writeFileSync(allowed, `sluice@sluice.dev namespaces="git" ${publicKey}\n`)
  person.read('prod/checkout.yaml')
  const verdicts = person.git('-c', `gpg.ssh.allowedSignersFile=${allowed}`, 'log', '--format=%G? %GS %s', '-3')
  expect(verdicts.trim().split('\n')).toEqual(
    [third, second, first].map(({ subject }) => `G sluice@sluice.dev ${subject}`),
  )
  expect(person.git('-c', `gpg.ssh.allowedSignersFile=${allowed}`, 'verify-commit', 'HEAD')).toBe('')
  expect(person.git('fsck', '--full', '--strict')).toBe('')
  const left = readdirSync(workDir, { recursive: true }).filter((name) => String(name).includes('signing'))
  expect(left).toEqual([])
})

test('a key that cannot sign is refused with the Secret and the field', () => {
  const said = (data: Record<string, string>) => {
    const result = signingKeyOf(secretWith(data))
    return result.ok ? 'ok' : result.problem.message
  }
  const locked = [keyOf('ed25519', 'secret words').key, keyOf('rsa', 'secret words', ['-b', '2048', '-m', 'PEM']).key]
  const pkcs8 = keyOf('rsa', 'secret words', ['-b', '2048', '-m', 'PKCS8']).key
  for (const key of [...locked, pkcs8])
    expect(said({ identity: key })).toBe('identity in the Secret delivery/signing has a passphrase')
  expect(said({ 'ssh-privatekey': 'nonsense' })).toBe(
    'ssh-privatekey in the Secret delivery/signing is no SSH private key',
  )
  expect(said({ password: 'x' })).toBe('the Secret delivery/signing has neither identity nor ssh-privatekey')
  expect(said({ identity: keyOf('ed25519').key.replaceAll('\n', '\r\n').trim() })).toBe('ok')
})

test('nothing is committed without the signature that was asked for, and no key is in what is said', async () => {
  const { remote, person } = await remoteWith(shopFiles())
  const git = recorder()
  const source = sourceOf(remote.url, { write: { ...signed.write, author } })
  const entry = moveTo(10)
  git.submit(source, rolloutRef(), entry, stateAt(10))
  const waits = await resultOf(git, source, rolloutRef(), entry.op, (r) => r.state === 'Waiting' && !!r.message)
  expect(waits).toMatchObject({ message: expect.stringContaining('Secret delivery/signing has no key for it') })

  const broken = { ...source, signingKey: keyOf('ed25519').key.replace(/\n.{20}/, `\n${'A'.repeat(20)}`) }
  git.submit(broken, rolloutRef(), entry, stateAt(10))
  const still = await resultOf(git, broken, rolloutRef(), entry.op, (r) => /cannot be signed/.test(JSON.stringify(r)))
  expect(JSON.stringify(still)).not.toContain('AAAAAAAA')
  expect(person.subjects()).toEqual(['Start'])

  const { key } = keyOf('ed25519')
  git.submit({ ...source, signingKey: key }, rolloutRef(), entry, stateAt(10))
  expect(await resultOf(git, source, rolloutRef(), entry.op, (r) => r.state === 'Done')).toBeTruthy()
})
