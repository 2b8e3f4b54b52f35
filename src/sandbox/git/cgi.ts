import { spawn } from 'node:child_process'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createGunzip } from 'node:zlib'

export interface CgiRequest {
  projectRoot: string
  /** Set when the caller proved who it is; git http-backend lets only such callers push. */
  user: string
  /** More variables for the child and for the hooks it runs. */
  environment: Record<string, string>
  /** When true, the command runs to its end, but its answer is thrown away and the connection broken. */
  loseAnswer: boolean
}

/**
 * Answers one request of Git's smart HTTP protocol through `git http-backend`
 * (https://git-scm.com/docs/git-http-backend, CGI 1.1 as in RFC 3875).
 */
export function gitHttpBackend(request: IncomingMessage, response: ServerResponse, cgi: CgiRequest): void {
  const url = new URL(request.url ?? '/', 'http://localhost')
  const child = spawn('git', ['http-backend'], {
    env: {
      PATH: '/usr/local/bin:/usr/bin:/bin',
      LC_ALL: 'C.UTF-8',
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_CONFIG_GLOBAL: '/dev/null',
      GIT_PROJECT_ROOT: cgi.projectRoot,
      GIT_HTTP_EXPORT_ALL: '1',
      GIT_PROTOCOL: headerOf(request, 'git-protocol'),
      REQUEST_METHOD: request.method ?? 'GET',
      PATH_INFO: decodeURIComponent(url.pathname),
      QUERY_STRING: url.search.replace(/^\?/, ''),
      CONTENT_TYPE: headerOf(request, 'content-type'),
      REMOTE_USER: cgi.user,
      REMOTE_ADDR: '127.0.0.1',
      ...cgi.environment,
    },
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  const body = headerOf(request, 'content-encoding') === 'gzip' ? request.pipe(createGunzip()) : request
  body.on('error', () => child.kill())
  child.stdin.on('error', () => undefined)
  body.pipe(child.stdin)
  response.on('close', () => {
    if (!response.writableFinished && !cgi.loseAnswer) child.kill()
  })
  child.on('error', () => response.destroy())

  if (cgi.loseAnswer) {
    child.stdout.resume()
    child.on('close', () => request.socket.destroy())
    return
  }
  let head = Buffer.alloc(0)
  const onData = (chunk: Buffer) => {
    head = Buffer.concat([head, chunk])
    const end = head.indexOf('\r\n\r\n')
    if (end < 0) return
    child.stdout.off('data', onData)
    writeHead(response, head.toString('latin1', 0, end))
    response.write(head.subarray(end + 4))
    child.stdout.pipe(response)
  }
  child.stdout.on('data', onData)
  child.on('close', () => {
    if (!response.headersSent) response.writeHead(500)
    response.end()
  })
}

function writeHead(response: ServerResponse, head: string): void {
  let status = 200
  for (const line of head.split('\r\n')) {
    const at = line.indexOf(':')
    const name = line.slice(0, at)
    const value = line.slice(at + 1).trim()
    if (name.toLowerCase() === 'status') status = Number.parseInt(value, 10)
    else response.setHeader(name, value)
  }
  response.writeHead(status)
}

function headerOf(request: IncomingMessage, name: string): string {
  const value = request.headers[name]
  return typeof value === 'string' ? value : ''
}
