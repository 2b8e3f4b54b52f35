import type { ErrorCode, Problem } from '../../errors.ts'
import type { JsonPatchOperation, KubeClient } from '../../kube/client.ts'
import { asKubeError } from '../../kube/kube-error.ts'
import type { KubeObject, Resource } from '../../kube/object.ts'
import { missingPermission } from '../../kube/permission.ts'
import type { ObjectReader } from '../../kube/reader.ts'
import type { HandsResult } from '../hands.ts'
import type { Latch } from './latch.ts'
import { MANAGER } from './names.ts'

/** What a hand asks of the API server. */
export type HandsClient = Pick<KubeClient, 'get' | 'list' | 'create' | 'patch' | 'delete'>

/** Everything the hands work with. */
export interface HandsParts {
  client: HandsClient
  /** Caches, for what the pair of destinations looks like. */
  reader: ObjectReader
  latch: Latch
}

/** Thrown in place of a write that is not this process's to make any more. */
export class NotLeader extends Error {
  override readonly name = 'NotLeader'
}

/** The client, with leadership checked right before each write (I6). */
export function guarded(client: HandsClient, isLeader: () => boolean): HandsClient {
  const check = () => {
    if (!isLeader()) throw new NotLeader('this process is not the leader any more')
  }
  return {
    get: (...request) => client.get(...request),
    list: (...request) => client.list(...request),
    async create(...request) {
      check()
      return client.create(...request)
    },
    async patch(...request) {
      check()
      return client.patch(...request)
    },
    async delete(...request) {
      check()
      return client.delete(...request)
    },
  }
}

/** What everything is written as. */
export const asSluice = { fieldManager: MANAGER } as const

/**
 * What a failed request means for an effect. Somebody else's write in between, and an object that is gone or there already, is no problem:
 * a new look tells more. What is no KubeError is a bug and is thrown on.
 */
export function refusal(error: unknown, what: string, refused: ErrorCode): HandsResult {
  if (error instanceof NotLeader) return { done: false }
  const known = asKubeError(error)
  if (!known) throw error
  if (known.isConflict || known.isAlreadyExists || known.isNotFound) return { done: false }
  const message = `${what}: ${known.message}`
  return { done: false, problem: { reason: reasonOf(known, refused), message } }
}

/** Quotas and admission webhooks answer 403 too: only the authorizer's refusal is a missing permission. */
function reasonOf(error: { status: number; isTransient: boolean; message: string }, refused: ErrorCode): ErrorCode {
  if (error.status === 401) return 'Unauthorized'
  if (missingPermission(error.message) !== undefined) return 'Forbidden'
  return error.isTransient ? 'ApiUnreachable' : refused
}

/** A patch that replaces `spec` and sets labels and annotations, on exactly the version of the object that was read. */
export async function rewrite(
  { client }: HandsParts,
  resource: Resource,
  live: KubeObject,
  wanted: {
    spec?: unknown
    labels?: Readonly<Record<string, string>>
    annotations?: Readonly<Record<string, string>>
  },
): Promise<KubeObject> {
  const { namespace, name, resourceVersion } = live.metadata
  const ops: JsonPatchOperation[] = [
    { op: 'replace', path: '/metadata/resourceVersion', value: resourceVersion },
    ...entries('labels', live.metadata.labels, wanted.labels),
    ...entries('annotations', live.metadata.annotations, wanted.annotations),
    ...(wanted.spec === undefined ? [] : [{ op: 'replace', path: '/spec', value: wanted.spec } as const]),
  ]
  return client.patch(resource, { ...(namespace ? { namespace } : {}), name }, { type: 'json', ops }, asSluice)
}

function entries(
  field: 'labels' | 'annotations',
  live: Readonly<Record<string, string>> | undefined,
  wanted: Readonly<Record<string, string>> = {},
): JsonPatchOperation[] {
  if (!live) return [{ op: 'add', path: `/metadata/${field}`, value: wanted }]
  return Object.entries(wanted)
    .filter(([key, value]) => live[key] !== value)
    .map(([key, value]) => ({ op: 'add', path: `/metadata/${field}/${escaped(key)}`, value }))
}

/** A key as a part of a JSON pointer (RFC 6901). */
function escaped(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1')
}

export function problem(reason: ErrorCode, message: string): { done: false; problem: Problem } {
  return { done: false, problem: { reason, message } }
}

/** A copy of an object of plain JSON, unknown fields included; empty for anything else. */
export function fieldsOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {}
}
