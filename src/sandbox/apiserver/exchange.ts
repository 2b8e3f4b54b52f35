import type { IncomingMessage, ServerResponse } from 'node:http'
import { parse as parseYaml } from 'yaml'
import { decodeProtobuf } from './protobuf.ts'
import type { UserInfo } from './request-context.ts'
import { ApiError, badRequest, type StatusBody } from './status.ts'

/** One HTTP request being answered. */
export interface Exchange {
  request: IncomingMessage
  response: ServerResponse
  method: string
  path: string
  query: URLSearchParams
  user: UserInfo
  userAgent: string
  /** Become Warning headers. */
  warnings: string[]
}

const largestBody = 3 * 1024 * 1024

export async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request) {
    size += chunk.length
    if (size > largestBody) {
      throw new ApiError(413, 'RequestEntityTooLarge', `Request entity too large: limit is ${largestBody}`)
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** Reads JSON, YAML or Kubernetes' protobuf by content type; others are refused. Undefined for an empty body. */
export function parseBody(body: Buffer, contentType: string | undefined): unknown {
  const media = (contentType ?? 'application/json').split(';')[0]?.trim() ?? ''
  if (body.length === 0) return undefined
  if (media === 'application/vnd.kubernetes.protobuf') return decodeProtobuf(body)
  const text = body.toString('utf8')
  if (media === 'application/cbor') {
    throw new ApiError(
      415,
      'UnsupportedMediaType',
      `the body of the request was in an unknown format - accepted media types include: application/json, application/yaml`,
    )
  }
  try {
    return media.includes('yaml') ? parseYaml(text) : JSON.parse(text)
  } catch (error) {
    const why = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error)
    throw badRequest(`error decoding body: ${why}`)
  }
}

export function sendText(exchange: Exchange, code: number, text: string, type = 'application/json'): void {
  sendBytes(exchange, code, Buffer.from(text), type)
}

export function sendBytes(exchange: Exchange, code: number, body: Buffer, type: string): void {
  const { response } = exchange
  if (response.headersSent || response.destroyed) return
  const warnings = exchange.warnings.map((warning) => `299 - ${JSON.stringify(headerText(warning))}`)
  if (warnings.length > 0) response.setHeader('Warning', warnings)
  response.writeHead(code, {
    'Content-Type': type,
    'Content-Length': body.length,
    'Cache-Control': 'no-cache, private',
  })
  response.end(exchange.method === 'HEAD' ? undefined : body)
}

/** Header values are ASCII: anything else becomes a question mark rather than an error of the server. */
function headerText(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, '?')
}

export function sendJson(exchange: Exchange, code: number, value: unknown): void {
  sendText(exchange, code, JSON.stringify(value))
}

export function sendStatus(exchange: Exchange, status: StatusBody): void {
  const { retryAfterSeconds } = status.details ?? {}
  if (retryAfterSeconds !== undefined && !exchange.response.headersSent) {
    exchange.response.setHeader('Retry-After', String(retryAfterSeconds))
  }
  sendJson(exchange, status.code ?? 200, status)
}

/** The Status for anything thrown: an ApiError's own, or a 500 that names the fault of the server. */
export function statusOfError(error: unknown): StatusBody {
  if (error instanceof ApiError) return error.status
  const why = error instanceof Error ? error.message : String(error)
  return new ApiError(500, 'InternalError', `Internal error occurred: ${why}`).status
}
