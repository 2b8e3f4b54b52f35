import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Problem, SluiceError } from '../errors.ts'
import type { KubeObject } from '../kube/object.ts'
import type { Clone } from './clone.ts'
import { scrub } from './command.ts'
import { secretData } from './credentials.ts'
import { parseBatch } from './plumbing.ts'
import { readPrivateKey } from './private-key.ts'

export type SigningKeyResult = { ok: true; key: string } | { ok: false; problem: Problem }

/**
 * The SSH private key in the Secret of `write.signingKeyRef`. A key with a passphrase is refused: nobody is there to type it.
 */
export function signingKeyOf(secret: KubeObject): SigningKeyResult {
  const data = secretData(secret)
  const field = data.identity === undefined ? 'ssh-privatekey' : 'identity'
  const key = data[field]
  const refused = (message: string): SigningKeyResult => {
    const { namespace, name } = secret.metadata
    const where = `the Secret ${namespace ? `${namespace}/` : ''}${name}`
    const problem: Problem = {
      reason: 'GitSigningKey',
      message: message.replace('%', where),
      field: 'spec.write.signingKeyRef',
    }
    return { ok: false, problem }
  }
  if (key === undefined || key.trim() === '') return refused('% has neither identity nor ssh-privatekey')
  const read = readPrivateKey(key)
  return read.ok ? read : refused(`${field} in % ${read.fault}`)
}

export interface SignOptions {
  clone: Pick<Clone, 'read' | 'git' | 'privateDir'>
  key: string
  parent: string
  /** One on top of the other, from `parent` on. */
  commits: string[]
}

/** The same commits with the signature that git makes for `gpg.format=ssh`. Throws SluiceError when the key cannot sign. */
export async function signCommits({ clone, key, parent, commits }: SignOptions): Promise<string[]> {
  const output = await clone.read(['cat-file', '--batch'], { input: `${commits.join('\n')}\n` })
  const objects = [...parseBatch(output)].map(({ content }) => content!.toString('utf8'))
  const signed: string[] = []
  await mkdir(clone.privateDir, { recursive: true, mode: 0o700 })
  const file = join(clone.privateDir, `signing-${randomUUID()}`)
  await writeFile(file, key, { mode: 0o600 })
  try {
    // Only keys in the newer format of OpenSSH carry their public half where it is found without this file.
    await writeFile(`${file}.pub`, await sshKeygen(['-y', '-P', ''], { file, key }), { mode: 0o600 })
    for (const [i, object] of objects.entries()) {
      const before = i === 0 ? parent : commits[i - 1]!
      const commit = object.replace(`\nparent ${before}\n`, `\nparent ${signed.at(-1) ?? parent}\n`)
      const signature = await sshKeygen(['-Y', 'sign', '-q', '-n', 'git'], { file, key, input: commit })
      const written = await clone.read(['hash-object', '-t', 'commit', '-w', '--stdin'], {
        input: withSignature(commit, signature),
      })
      signed.push(written.toString('utf8').trim())
    }
  } finally {
    await rm(file, { force: true })
    await rm(`${file}.pub`, { force: true })
  }
  await clone.read(['update-ref', 'refs/sluice/work', signed.at(-1)!])
  return signed
}

/** `gpgsig` is the last header: https://git-scm.com/docs/signature-format */
function withSignature(commit: string, signature: string): string {
  const end = commit.indexOf('\n\n')
  const header = `gpgsig ${signature.trim().replaceAll('\n', '\n ')}`
  return `${commit.slice(0, end)}\n${header}${commit.slice(end)}`
}

/** Runs ssh-keygen with the key in `file`, which must not ask: there is no terminal and no agent. */
function sshKeygen(
  args: string[],
  { file, key, input = '' }: { file: string; key: string; input?: string },
): Promise<string> {
  const env = {
    PATH: '/usr/local/bin:/usr/bin:/bin',
    LC_ALL: 'C.UTF-8',
    HOME: '/nonexistent',
    SSH_ASKPASS: '/bin/false',
    SSH_ASKPASS_REQUIRE: 'never',
  }
  return new Promise((resolve, reject) => {
    const child = execFile('ssh-keygen', [...args, '-f', file], { env, timeout: 10_000 }, (error, stdout, stderr) => {
      if (!error) return resolve(stdout)
      const said = scrub(stderr, [key]).replaceAll(file, 'the key').trim().split('\n').at(-1)
      const message = `the commit cannot be signed: ${said || error.message.split('\n')[0]}`
      reject(new SluiceError({ reason: 'GitSigningKey', message, field: 'spec.write.signingKeyRef' }, { cause: error }))
    })
    child.stdin?.on('error', () => undefined)
    child.stdin?.end(input)
  })
}
