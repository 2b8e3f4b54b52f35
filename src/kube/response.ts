import type { KubeList } from './client.ts'
import { KubeError, type KubeErrorCause, type KubeErrorDetails } from './kube-error.ts'
import { apiVersionOf, type KubeObject, type Resource } from './object.ts'
import { missingPermission } from './permission.ts'

/** True for anything with the shape every API object has: apiVersion, kind, and metadata with a name. */
function isKubeObject(value: unknown): value is KubeObject {
  if (!isRecord(value) || typeof value.apiVersion !== 'string' || typeof value.kind !== 'string') return false
  return isRecord(value.metadata) && typeof value.metadata.name === 'string'
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The answer as an object of the API; a `BadResponse` KubeError when it is none. */
export function parseObject(answer: unknown, target: string): KubeObject {
  if (isKubeObject(answer)) return answer
  throw badResponse(target, 'the answer is not a Kubernetes object')
}

/** A list answer. Fills in the apiVersion and kind that servers leave out of list items. */
export function parseList(answer: unknown, resource: Resource, target: string): KubeList {
  const metadata = isRecord(answer) ? answer.metadata : undefined
  // An empty list may say `items: null`: Go's nil slice.
  const items = isRecord(answer) ? (answer.items ?? []) : undefined
  if (!isRecord(metadata) || !Array.isArray(items)) throw badResponse(target, 'the answer is not a list')
  const apiVersion = apiVersionOf(resource)
  const objects: KubeObject[] = []
  for (const item of items) {
    if (isRecord(item)) {
      item.apiVersion ??= apiVersion
      item.kind ??= resource.kind
    }
    objects.push(parseObject(item, target))
  }
  const { resourceVersion, continue: token } = metadata
  return {
    items: objects,
    resourceVersion: typeof resourceVersion === 'string' ? resourceVersion : '',
    ...(typeof token === 'string' && token !== '' ? { continue: token } : {}),
  }
}

export function badResponse(target: string, what: string): KubeError {
  return new KubeError(`Kubernetes API, ${target}: ${what}. Is there a proxy or a login page in between?`, {
    status: 0,
    reason: 'BadResponse',
  })
}

const maxMessage = 1_000

/** What etcd (1.5 MB, 2 MB) says of an object that is too large: the API server passes it on as a failure of its own, which it is not. */
const tooLarge = /etcdserver: request is too large|trying to send message larger than max/

/**
 * The KubeError for an HTTP status and the `Status` object in its body (if it is one).
 * `retryAfter` is the header of that name, in seconds.
 */
export function errorFromStatus(action: string, status: number, body: unknown, retryAfter?: string): KubeError {
  const isStatus = isRecord(body) && body.kind === 'Status'
  const details = isStatus ? parseDetails(body.details) : undefined
  const said = isStatus && typeof body.message === 'string' ? body.message : 'no explanation was given'
  if (status === 500 && tooLarge.test(said)) return errorFromStatus(action, 413, { kind: 'Status', message: said })
  const reason = isStatus && typeof body.reason === 'string' && body.reason !== '' ? body.reason : reasonOf(status)
  const seconds = retryAfter === undefined ? details?.retryAfterSeconds : Number(retryAfter)
  const denied = status === 403 ? missingPermission(said) : undefined
  const what = denied ? `${denied}: ${shorten(said)}` : `${action}: ${status} ${reason}: ${shorten(said)}`
  return new KubeError(`Kubernetes API, ${what}`, {
    status,
    reason,
    details,
    retryAfterMs:
      seconds !== undefined && Number.isFinite(seconds) && seconds >= 0 ? Math.round(seconds * 1000) : undefined,
  })
}

function shorten(text: string): string {
  return text.length <= maxMessage ? text : `${text.slice(0, maxMessage)}… (${text.length} characters)`
}

function parseDetails(value: unknown): KubeErrorDetails | undefined {
  if (!isRecord(value)) return undefined
  const causes = Array.isArray(value.causes) ? value.causes.filter(isRecord).map(parseCause) : undefined
  return {
    name: text(value.name),
    group: text(value.group),
    kind: text(value.kind),
    retryAfterSeconds: typeof value.retryAfterSeconds === 'number' ? value.retryAfterSeconds : undefined,
    causes,
  }
}

function parseCause(cause: Record<string, unknown>): KubeErrorCause {
  return { reason: text(cause.reason), message: text(cause.message), field: text(cause.field) }
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function reasonOf(status: number): string {
  return reasons[status] ?? 'Unknown'
}

const reasons: Record<number, string> = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  405: 'MethodNotAllowed',
  408: 'Timeout',
  409: 'Conflict',
  410: 'Expired',
  413: 'RequestEntityTooLarge',
  415: 'UnsupportedMediaType',
  422: 'Invalid',
  429: 'TooManyRequests',
  500: 'InternalError',
  502: 'BadGateway',
  503: 'ServiceUnavailable',
  504: 'Timeout',
}
