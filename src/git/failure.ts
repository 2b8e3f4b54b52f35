import type { Problem } from '../errors.ts'

/**
 * What became of a command that talks to the remote. `transient`: worth trying again unchanged.
 * `lostRace`: somebody pushed first. `corrupt`: our own clone is damaged and must be made anew.
 */
export type GitFailure =
  | { kind: 'lostRace' }
  | { kind: 'corrupt'; detail: string }
  | { kind: 'locked'; detail: string }
  | { kind: 'problem'; problem: Problem; transient: boolean }

const lostRace = [
  /\[rejected\].*\((fetch first|non-fast-forward|stale info)\)/,
  /\[remote rejected\].*\((cannot lock ref|failed to update ref|incorrect old value|reference already exists|fetch first|failed to lock)/,
  /cannot lock ref .* but expected/,
  /remote ref is at .* but expected/,
]
const protectedBranch = [
  /protected branch/i,
  /hook declined/i,
  /GH00[0-9]/,
  /not allowed to push/i,
  /branch is locked/i,
  /\[remote rejected\]/,
  /refusing to update checked out branch/i,
  /denyCurrentBranch/,
]
const auth = [
  /Authentication failed/i,
  /could not read (Username|Password)/i,
  /terminal prompts disabled/i,
  /Permission denied \(/,
  /The requested URL returned error: (401|403)/,
  /Host key verification failed/,
  /HTTP Basic: Access denied/i,
  /Load key .* (error in libcrypto|invalid format)/,
  /Permission to .* denied/i,
]
const missingRepository = [
  /repository .* not found/i,
  /does not appear to be a git repository/,
  /The requested URL returned error: (404|410)/,
]
const noGitServer = [
  /\/info\/refs.* not valid: /,
  /invalid server response; got /,
  /unable to update url base from redirection/,
  /protocol error: bad line length character/,
]
const corrupt = [
  /not a git repository|directory that does not exist/,
  /object file .* is empty/,
  /loose object .* is corrupt/,
  /inflate: data stream error/,
  /bad object/,
  /unable to (read tree|parse commit|find [0-9a-f]{7,})/,
  /(packfile|pack) .* (is corrupt|cannot be accessed|does not match index|is far too short)/i,
  /index file .* is too small/,
  /unresolved deltas|did not receive expected object|missing (blob|tree|commit)/i,
  /bad (config|shallow) |error: .*shallow.* (corrupt|invalid)|shallow file was changed/i,
  /Could not read [0-9a-f]{40}|Failed to traverse parents|shallow file has changed/i,
  /broken ref|bad ref|reference broken|unable to resolve reference/,
]

export interface FailureContext {
  url: string
  branch?: string
  /** Name of the Secret whose credentials were used. */
  secret?: string
}

/** Sorts the words of git and of the server. `text` must already be free of secrets. */
export function classify(text: string, context: FailureContext): GitFailure {
  const matches = (patterns: RegExp[]) => patterns.some((pattern) => pattern.test(text))
  const problem = (reason: Problem['reason'], message: string, transient: boolean): GitFailure => ({
    kind: 'problem',
    problem: { reason, message },
    transient,
  })
  const said = lastWords(text)
  if (/Unable to create '.*\.lock': File exists/.test(text)) return { kind: 'locked', detail: said }
  if (matches(lostRace)) return { kind: 'lostRace' }
  if (/couldn't find remote ref|Remote branch .* not found|no such ref was fetched/i.test(text)) {
    return problem('GitBranchMissing', `${context.url} has no branch "${context.branch ?? ''}"`, true)
  }
  if (matches(protectedBranch)) {
    return problem(
      'GitProtected',
      `${context.url} refused the push to ${context.branch ?? 'the branch'}: ${said}`,
      false,
    )
  }
  const uid = /No user exists for uid (\d+)/.exec(text)?.[1]
  if (uid) {
    const message = `ssh does not run as the user ${uid}, who is not in /etc/passwd here: run the container as the user of its image`
    return problem('GitUnreachable', message, true)
  }
  const ssh = sshProblem(text, context)
  if (ssh) return problem('GitAuth', ssh, true)
  if (matches(auth)) {
    const denied = /Permission denied \([^)]*\)/.exec(text)?.[0]
    const whose = context.secret ? `those of the Secret ${context.secret}` : 'there are none, as secretRef is not set'
    return problem('GitAuth', `${context.url} refused our credentials (${whose}): ${denied ?? said}`, true)
  }
  if (matches(noGitServer)) {
    const message = `${context.url} answers, but not as a Git server does; it may be a login page or a proxy`
    return problem('GitUnreachable', message, true)
  }
  if (matches(missingRepository))
    return problem('GitUnreachable', `there is no repository at ${context.url}: ${said}`, true)
  if (matches(corrupt)) return { kind: 'corrupt', detail: said }
  return problem('GitUnreachable', `${context.url} does not answer: ${said}`, true)
}

const isProgress =
  /^(hint:|To |Done$|(Enumerating|Counting|Compressing|Receiving|Writing|Resolving|Updating)\b.*:|Total |error: failed to push some refs)/

/** What ssh says about keys, in a sentence that names the host and what to put where. */
function sshProblem(text: string, { url, secret }: FailureContext): string | undefined {
  const whose = secret ? `the Secret ${secret}` : 'the Secret of secretRef'
  const unknown = /No (\S+) host key is known for (\S+) and/.exec(text)
  if (unknown) {
    const host = unknown[2]!
    return `the host key of ${host} is not known: put the lines of "ssh-keyscan ${scanned(host)}", compared with what that host publishes, under known_hosts into ${whose}`
  }
  const changed = /Host key for (\S+) has changed/.exec(text)?.[1]
  if (changed !== undefined || /REMOTE HOST IDENTIFICATION HAS CHANGED/.test(text)) {
    return `${changed ?? url} shows another host key than known_hosts in ${whose} has: if it was changed on purpose, put the new one there, otherwise somebody stands in between`
  }
  if (/Load key .*(error in libcrypto|invalid format|incorrect passphrase)/.test(text)) {
    return `identity in ${whose} is no SSH private key that can be read without a passphrase, so that ${url} lets nobody in`
  }
  return undefined
}

/** `[host]:port`, as known_hosts has it, in the words of ssh-keyscan. */
function scanned(host: string): string {
  const port = /^\[(.+)\]:(\d+)$/.exec(host)
  return port ? `-p ${port[2]} ${port[1]}` : host
}

/** The line that says most, short enough for a status message: what the server or a hook printed, else git's own last error. */
function lastWords(text: string): string {
  const lines = text
    .split(/\r?\n|\r/)
    .map((line) => line.trim())
    .filter((line) => line !== '' && !isProgress.test(line.replace(/^remote:\s*/, '')))
  const remote = lines
    .filter((line) => /^remote:/.test(line))
    .map((line) => line.replace(/^remote:\s*(error:\s*)?/, ''))
  const fatal = lines.find((line) => /^(fatal|error):/.test(line))?.replace(/^(fatal|error):\s*/, '')
  const words = [
    ...new Set([...remote.filter((line) => line !== ''), fatal ?? lines.at(-1) ?? 'no reason given']),
  ].join('; ')
  const clean = words
    .replace(/[\u0000-\u001f\u007f]+/g, ' ')
    .replace(/\s+/g, ' ')
    .slice(0, 1_000)
    .replace(/[.;\s]+$/, '')
  return clean.length > 300 ? `${clean.slice(0, 297)}...` : clean
}
