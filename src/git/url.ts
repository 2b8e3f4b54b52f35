/**
 * One spelling for every way to write the same remote, so that one writer serves it: scheme and host in lower case,
 * `git@host:path` as ssh, no user of https, no default port, no trailing slash or `.git`.
 */
export function normaliseUrl(url: string): string {
  const scp = /^(?:([^@/\s]+)@)?([^:/\s]+):(?!\/\/)(.*)$/.exec(url)
  const parsed = parse(scp ? `ssh://${scp[1] ? `${scp[1]}@` : ''}${scp[2]}/${scp[3]!.replace(/^\/+/, '')}` : url)
  if (parsed === undefined) return url
  const scheme = parsed.protocol.toLowerCase()
  const user = scheme === 'ssh:' && parsed.username ? `${parsed.username}@` : ''
  const port = parsed.port === '' || (scheme === 'ssh:' && parsed.port === '22') ? '' : `:${parsed.port}`
  const path = parsed.pathname
    .replace(/\/{2,}/g, '/')
    .replace(/\/+$/, '')
    .replace(/\.git$/, '')
  return `${scheme}//${user}${parsed.hostname.toLowerCase()}${port}${path}`
}

/** The URL as it may be shown and passed to git: without a password, whoever wrote one into it. */
export function withoutPassword(url: string): string {
  return url.replace(/^([a-z][a-z0-9+.-]*:\/\/[^/:@\s]*):[^/@\s]*@/i, '$1@')
}

/** Scheme, host and port of an http(s) remote: what a credential is meant for. */
export function originOf(url: string): string | undefined {
  const parsed = parse(url)
  return parsed && /^https?:$/.test(parsed.protocol) ? `${parsed.protocol}//${parsed.host}/` : undefined
}

export function isSsh(url: string): boolean {
  return /^ssh:\/\//i.test(url) || (!/^[a-z][a-z0-9+.-]*:\/\//i.test(url) && /^[^@/\s]+@[^:/\s]+:/.test(url))
}

/**
 * The page of a forge that shows the difference of two commits; undefined where the forge is not known. Never with a user or password
 * in it.
 */
export function compareUrl(
  url: string,
  provider: 'GitHub' | 'GitLab' | undefined,
  from: string,
  to: string,
): string | undefined {
  const remote = parse(normaliseUrl(url))
  if (!remote || !/^(https?|ssh):$/.test(remote.protocol)) return undefined
  const known = { 'github.com': 'GitHub', 'gitlab.com': 'GitLab' }[remote.hostname.replace(/^(ssh|altssh)\./, '')]
  const forge = provider ?? known
  const repository = remote.pathname.replace(/^\/+/, '')
  if (forge === undefined || !repository.includes('/')) return undefined
  // A clone over ssh tells nothing about the port of the web page.
  const host = known ? remote.hostname.replace(/^(ssh|altssh)\./, '') : remote.hostname
  const site = remote.protocol === 'ssh:' ? `https://${host}` : `${remote.protocol}//${remote.host}`
  return `${site}/${repository}${forge === 'GitLab' ? '/-' : ''}/compare/${from}...${to}`
}

function parse(url: string): URL | undefined {
  return URL.canParse(url) ? new URL(url) : undefined
}
