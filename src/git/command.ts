import { simpleGit } from 'simple-git'
import type { Runtime } from '../runtime.ts'

/** How every git child runs: where, with what environment, for how long. */
export interface GitCommandOptions {
  dir: string
  runtime: Runtime
  /** PATH, proxies and CA settings taken from our own environment; nothing else of it reaches git. */
  inherit?: Record<string, string>
}

export interface GitRun {
  input?: Buffer | string
  environment?: Record<string, string>
  /** Settings of git for this command. */
  settings?: Record<string, string>
  /** Texts that must not appear in what is returned. */
  secrets?: string[]
  /** Milliseconds for the whole command, and without a byte of output. */
  timeoutMs?: number
  silenceMs?: number
  signal?: AbortSignal
}

export interface GitAnswer {
  /** Exit code of git, or -1 when it was killed or could not start. */
  code: number
  stdout: Buffer
  /** What git said, secrets removed; for a killed command, why it was killed. */
  stderr: string
}

/** Runs one git command; any exit code is an answer, never an exception. */
export type Git = (args: string[], run?: GitRun) => Promise<GitAnswer>

const baseEnvironment = {
  PATH: '/usr/local/bin:/usr/bin:/bin',
  LC_ALL: 'C.UTF-8',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_TERMINAL_PROMPT: '0',
  GIT_ALLOW_PROTOCOL: 'https:http:ssh:file',
  GIT_PROTOCOL_FROM_USER: '0',
  GIT_OPTIONAL_LOCKS: '0',
  GIT_ASKPASS: '/bin/false',
  GIT_NO_REPLACE_OBJECTS: '1',
  // For versions of git that know it (2.44); `partial` in clone.ts is for all others.
  GIT_NO_LAZY_FETCH: '1',
}

/** Settings that no repository or user configuration can override: no hooks, no helpers, no background work. */
const fixedSettings = {
  'core.hooksPath': '/dev/null',
  'core.fsmonitor': 'false',
  'core.quotePath': 'false',
  'credential.helper': '',
  'gc.auto': '0',
  'maintenance.auto': 'false',
  'fetch.fsckObjects': 'false',
  'fetch.writeCommitGraph': 'false',
  'push.gpgSign': 'false',
  'http.lowSpeedLimit': '1',
  'protocol.ext.allow': 'never',
  'submodule.recurse': 'false',
}

/** A way to run git in one folder. simple-git does the spawning; its guards stay on for everything not listed here. */
export function gitIn({ dir, runtime, inherit = {} }: GitCommandOptions): Git {
  return async (args, run = {}) => {
    const { timeoutMs = 60_000, silenceMs = timeoutMs, secrets = [] } = run
    // A helper of a killed git may outlive it: one that stalls must end by itself in about the same time.
    const patience = {
      ...fixedSettings,
      ...run.settings,
      'http.lowSpeedTime': String(Math.max(1, Math.ceil(silenceMs / 1000))),
    }
    const environment = withSettings({ ...baseEnvironment, HOME: dir, ...inherit, ...run.environment }, patience)
    const deadline = new AbortController()
    const done = new AbortController()
    let killed: string | undefined
    const kill = (why: string) => {
      killed ??= why
      deadline.abort()
    }
    const onAbort = () => kill('stopped')
    run.signal?.addEventListener('abort', onAbort, { once: true })
    if (run.signal?.aborted) onAbort()
    runtime.sleep(timeoutMs, done.signal).then(
      () => kill(`no answer within ${Math.round(timeoutMs / 1000)} s`),
      () => undefined,
    )
    let answer: { stdOut: Buffer[]; stdErr: Buffer[]; exitCode: number } | undefined
    let failure: unknown
    try {
      await simpleGit({
        baseDir: dir,
        abort: deadline.signal,
        timeout: { block: silenceMs },
        completion: { onClose: true, onExit: 1_000 },
        input: () => run.input ?? '',
        allowEnvironment: Object.keys(environment),
        unsafe: {
          allowUnsafeAskPass: true,
          allowUnsafeConfigEnvCount: true,
          allowUnsafeConfigPaths: true,
          allowUnsafeCredentialHelper: true,
          allowUnsafeFsMonitor: true,
          allowUnsafeHooksPath: true,
          allowUnsafeProtocolOverride: true,
          allowUnsafeSshCommand: true,
        },
        errors: (error, result) => {
          answer = result
          return error instanceof Error ? error : undefined
        },
      })
        .env(environment)
        .raw(args)
    } catch (error) {
      failure = error
    } finally {
      done.abort()
      run.signal?.removeEventListener('abort', onAbort)
    }
    const said = answer ? Buffer.concat(answer.stdErr).toString('utf8') : ''
    const why = killed ?? (failure === undefined ? undefined : messageOf(failure))
    return {
      code: why === undefined ? (answer?.exitCode ?? -1) : -1,
      stdout: answer ? Buffer.concat(answer.stdOut) : Buffer.alloc(0),
      stderr: scrub(why === undefined ? said : `${said}\nfatal: ${why}`.trim(), secrets),
    }
  }
}

/** Numbers settings into GIT_CONFIG_*, after those the caller brought. */
function withSettings(environment: Record<string, string>, settings: Record<string, string>): Record<string, string> {
  const result = { ...environment }
  let count = Number(result.GIT_CONFIG_COUNT ?? 0)
  for (const [key, value] of Object.entries(settings)) {
    result[`GIT_CONFIG_KEY_${count}`] = key
    result[`GIT_CONFIG_VALUE_${count}`] = value
    count += 1
  }
  result.GIT_CONFIG_COUNT = String(count)
  return result
}

/** What is kept of the beginning and of the end of what git says; a server can make it say as much as it likes. */
const SAID_FIRST = 8 * 1024
const SAID_LAST = 24 * 1024

/** Replaces every secret, and the password of any URL, with `***`, and leaves out the middle of what is very long. */
export function scrub(text: string, secrets: string[]): string {
  let result = text
  for (const secret of [...secrets].sort((a, b) => b.length - a.length)) result = result.replaceAll(secret, '***')
  // Only now: half a secret would not be known for one.
  if (result.length > SAID_FIRST + SAID_LAST) result = `${result.slice(0, SAID_FIRST)}\n${result.slice(-SAID_LAST)}`
  return result
    .replace(/([a-z][a-z0-9+.-]{0,30}:\/\/[^/:@\s]*):[^/@\s]+@/gi, '$1:***@')
    .replace(/(authorization:\s*(?:basic|bearer)\s+)\S+/gi, '$1***')
}

function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replace(
    /^block timeout reached$/i,
    'the remote stalled',
  )
}
