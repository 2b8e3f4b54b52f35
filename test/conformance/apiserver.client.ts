import http from 'node:http'
import https from 'node:https'

export interface Answer {
  status: number
  headers: http.IncomingHttpHeaders
  // The suites look into answers of every shape.
  // biome-ignore lint/suspicious/noExplicitAny: JSON of the API under test
  body: any
}

export interface RequestOptions {
  body?: unknown
  contentType?: string
  accept?: string
  userAgent?: string
  headers?: Record<string, string | string[]>
}

/** A raw connection to an API server, real or sandbox. */
export interface RawClient {
  url: string
  request(method: string, path: string, options?: RequestOptions): Promise<Answer>
  /** Reads a watch until `enough` says so or the server ends it; the connection is cut then. */
  watch(path: string, enough: (events: WatchEvent[]) => boolean): Promise<WatchEvent[]>
}

export interface WatchEvent {
  type: string
  // biome-ignore lint/suspicious/noExplicitAny: JSON of the API under test
  object: any
}

export function rawClient(url: string, token?: string): RawClient {
  const library = url.startsWith('https:') ? https : http
  const base = (options: RequestOptions): Record<string, string | string[]> => ({
    Accept: options.accept ?? 'application/json',
    'User-Agent': options.userAgent ?? 'conformance/1.0',
    ...(token ? { Authorization: `Bearer ${token}` } : {}),
    ...options.headers,
  })
  return {
    url,
    request: (method, path, options = {}) =>
      new Promise((resolve, reject) => {
        const body = options.body === undefined ? undefined : text(options.body)
        const headers = {
          ...base(options),
          ...(body === undefined ? {} : bodyHeaders(body, options)),
        }
        const request = library.request(`${url}${path}`, { method, headers, rejectUnauthorized: false }, (response) => {
          const chunks: Buffer[] = []
          response.on('data', (chunk) => chunks.push(chunk))
          response.on('error', reject)
          response.on('end', () => {
            const received = Buffer.concat(chunks).toString('utf8')
            const isJson = (response.headers['content-type'] ?? '').includes('json')
            const parsed: unknown = isJson && received ? JSON.parse(received) : received
            resolve({ status: response.statusCode ?? 0, headers: response.headers, body: parsed })
          })
        })
        request.on('error', reject)
        request.end(body)
      }),
    watch: (path, enough) =>
      new Promise((resolve, reject) => {
        const events: WatchEvent[] = []
        let rest = ''
        const request = library.request(
          `${url}${path}`,
          { headers: base({}), rejectUnauthorized: false },
          (response) => {
            response.on('data', (chunk: Buffer) => {
              const lines = (rest + chunk.toString('utf8')).split('\n')
              rest = lines.pop() ?? ''
              for (const line of lines) if (line.trim() !== '') events.push(JSON.parse(line))
              if (enough(events)) {
                resolve(events)
                request.destroy()
              }
            })
            response.on('end', () => resolve(events))
            response.on('error', () => resolve(events))
          },
        )
        request.on('error', (error) => (events.length > 0 ? resolve(events) : reject(error)))
        request.end()
      }),
  }
}

/** node sends no length with a DELETE by itself. */
function bodyHeaders(body: string, options: RequestOptions): Record<string, string> {
  return {
    'Content-Type': options.contentType ?? 'application/json',
    'Content-Length': String(Buffer.byteLength(body)),
  }
}

function text(body: unknown): string {
  return typeof body === 'string' ? body : JSON.stringify(body)
}

export const jsonPatchType = 'application/json-patch+json'
export const mergePatchType = 'application/merge-patch+json'
export const strategicPatchType = 'application/strategic-merge-patch+json'
export const applyPatchType = 'application/apply-patch+yaml'
