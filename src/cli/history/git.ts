import { spawn } from 'node:child_process'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SluiceError } from '../../errors.ts'
import { isBranchName } from '../../git/plumbing.ts'
import { withoutPassword } from '../../git/url.ts'
import type { Terminal } from '../terminal.ts'

/** A repository that is read with the person's own git: their configuration, credential helpers and ssh agent. */
export interface Clone {
  /** Where it is, for people; without a password. */
  origin: string
  branch: string
  /** The commit that is read. */
  tip: string
  /** Whether the beginning of the branch is missing. */
  shallow: boolean
  /** Runs git in it; throws SluiceError with git's words. */
  git(args: readonly string[], input?: string): Promise<Buffer>
  /** Like `git`, but any exit code is an answer. */
  ask(args: readonly string[], input?: string): Promise<Answer>
}

interface Answer {
  code: number
  stdout: Buffer
  stderr: string
}

export interface CloneQuestion {
  /** A folder or a URL. */
  from: string
  branch?: string
  /** What to do when it cannot be read, after what git said. */
  hint?: string
}

/** Settings of the person that would change what is printed. */
const plain = ['log.showSignature=false', 'color.ui=false', 'core.quotePath=false', 'log.mailmap=false']

/**
 * Reads a repository, in place when it is a folder and through a temporary clone without files otherwise, and takes the clone away again.
 * @throws {SluiceError} when it cannot be read.
 */
export async function withClone<T>(
  { from, branch, hint = '' }: CloneQuestion,
  terminal: Terminal,
  work: (clone: Clone) => Promise<T>,
): Promise<T> {
  if (branch !== undefined && !isBranchName(branch)) throw refusal(`${branch} is no name of a branch`)
  const origin = withoutPassword(from)
  const isFolder = await stat(from).then(
    (found) => found.isDirectory(),
    () => false,
  )
  if (isFolder) return await work(await opened(from, origin, branch, terminal))
  if (!/^[a-z][a-z0-9+.-]*:\/\/.|^[^-/:][^/:]*:./i.test(from)) {
    throw refusal(`${origin} is neither a folder nor a URL of a repository`)
  }
  const dir = await mkdtemp(join(tmpdir(), 'sluice-history-'))
  try {
    const target = join(dir, 'clone.git')
    const one = branch === undefined ? [] : ['--branch', branch]
    const args = ['clone', '--quiet', '--bare', '--single-branch', '--filter=blob:none', ...one, '--', from, target]
    const { code, stderr } = await run(dir, args, terminal, undefined, from)
    if (code !== 0) throw refusal(`${origin} cannot be cloned: ${sentenceOf(stderr)}${hint}`)
    return await work(await opened(target, origin, branch, terminal))
  } finally {
    await rm(dir, { recursive: true, force: true, maxRetries: 3 })
  }
}

async function opened(dir: string, origin: string, wanted: string | undefined, terminal: Terminal): Promise<Clone> {
  const ask = (args: readonly string[], input?: string) => run(dir, args, terminal, input)
  const git = async (args: readonly string[], input?: string) => {
    const { code, stdout, stderr } = await ask(args, input)
    if (code !== 0) throw refusal(`${origin} cannot be read: ${sentenceOf(stderr)}`)
    return stdout
  }
  const text = async (...args: string[]) => (await git(args)).toString('utf8').trim()
  const { code, stderr } = await ask(['rev-parse', '--git-dir'])
  if (code !== 0) throw refusal(`${origin} is no Git repository: ${sentenceOf(stderr)}`)
  const head = (await ask(['symbolic-ref', '--quiet', '--short', 'HEAD'])).stdout.toString('utf8').trim()
  const branch = wanted ?? (head === '' ? 'HEAD' : head)
  const names = wanted === undefined ? ['HEAD'] : [`refs/heads/${branch}`, `refs/remotes/origin/${branch}`]
  for (const name of names) {
    const found = await ask(['rev-parse', '--quiet', '--verify', '--end-of-options', `${name}^{commit}`])
    if (found.code !== 0) continue
    const tip = found.stdout.toString('utf8').trim()
    return { origin, branch, tip, shallow: (await text('rev-parse', '--is-shallow-repository')) === 'true', git, ask }
  }
  throw refusal(wanted === undefined ? `${origin} has no commits` : `${origin} has no branch ${wanted}`)
}

/** The work tree that a folder is in; undefined when it is in none. */
export async function workTreeAt(dir: string, terminal: Terminal): Promise<string | undefined> {
  const { code, stdout } = await run(dir, ['rev-parse', '--show-toplevel'], terminal).catch(() => ({
    code: -1,
    stdout: Buffer.from(''),
  }))
  return code === 0 ? stdout.toString('utf8').trim() : undefined
}

/** Without a shell; the environment is the person's, and git asks for passwords only where a person can answer. */
function run(
  dir: string,
  args: readonly string[],
  terminal: Terminal,
  input?: string,
  secretUrl?: string,
): Promise<Answer> {
  const settings = plain.flatMap((setting) => ['-c', setting])
  const env = {
    // Of all transports only those that run no program of the URL's choice.
    GIT_ALLOW_PROTOCOL: 'https:http:ssh:git:file',
    ...terminal.env,
    LC_ALL: 'C.UTF-8',
    GIT_OPTIONAL_LOCKS: '0',
    ...(terminal.interactive ? {} : { GIT_TERMINAL_PROMPT: '0' }),
  }
  return new Promise((resolve, reject) => {
    const child = spawn('git', ['-C', dir, ...settings, ...args], { env, stdio: ['pipe', 'pipe', 'pipe'] })
    const out: Buffer[] = []
    const err: Buffer[] = []
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => err.push(chunk))
    child.stdin.on('error', () => undefined)
    child.on('error', (cause) => reject(new SluiceError(problem(`git cannot be run: ${cause.message}`), { cause })))
    child.on('close', (code) => {
      const said = Buffer.concat(err).toString('utf8')
      resolve({ code: code ?? -1, stdout: Buffer.concat(out), stderr: scrubbed(said, secretUrl) })
    })
    child.stdin.end(input ?? '')
  })
}

/** What git said, without the password that was in the URL. */
function scrubbed(said: string, url: string | undefined): string {
  const password = url === undefined ? undefined : /^[a-z][a-z0-9+.-]*:\/\/[^/:@\s]*:([^/@\s]*)@/i.exec(url)?.[1]
  return password ? said.replaceAll(password, '***').replaceAll(decoded(password), '***') : said
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

function sentenceOf(said: string): string {
  const lines = said.split('\n').filter((line) => /^(fatal|error|ssh|remote|warning: could not)\b/i.test(line))
  const text = (lines.length > 0 ? lines : said.split('\n')).join('; ')
  return text.replace(/^(fatal|error): /i, '').replace(/[.\s]+$/, '') || 'git did not say why'
}

function problem(message: string) {
  return { reason: 'HistoryUnreadable', message } as const
}

function refusal(message: string): SluiceError {
  return new SluiceError(problem(message))
}
