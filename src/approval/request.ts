import { createHash } from 'node:crypto'
import { z } from 'zod'
import type { Problem } from '../errors.ts'
import type { RequestObservation } from '../plan/observation.ts'

/** The annotation on a Rollout in which a person's request travels. GitOps engines leave it alone. */
export const requestAnnotation = 'sluice.dev/request'

/** Who wrote the request. Stamped from the API server's user by an admission policy; never by the person. */
export const requesterAnnotation = 'sluice.dev/requested-by'

const verbs = ['pause', 'resume', 'promote', 'abort', 'retry'] as const
export type RequestVerb = (typeof verbs)[number]

const id = z.string().min(1).max(128)
const request = z.object({
  id,
  verb: z.enum(verbs),
  revision: z.string().min(1).max(253).optional(),
  step: z.int().min(0).max(1000).optional(),
  reason: z.string().max(1000).optional(),
  full: z.boolean().optional(),
})

/** What the annotations of a Rollout ask for. `Void`: something that nobody can act on; to be acknowledged once. */
export type RequestReading =
  | { kind: 'None' }
  | { kind: 'Request'; request: RequestObservation }
  | { kind: 'Void'; id: string; verb: string; by?: string; problem: Problem }

/**
 * Reads the request from a Rollout's annotations. Never throws: what cannot be understood is a void request with a
 * sentence, under the id it carries, or under one derived from its text, so that it is acknowledged once.
 * A `by` inside the JSON is free text and is not read; unknown fields are left out.
 */
export function readRequest(annotations: Record<string, string> | undefined): RequestReading {
  const text = annotations?.[requestAnnotation]
  if (text === undefined || text.trim() === '') return { kind: 'None' }
  const by = annotations?.[requesterAnnotation]?.trim() || undefined
  const json = parseJson(text)
  const parsed = request.safeParse(json)
  if (parsed.success) return { kind: 'Request', request: { ...parsed.data, ...(by === undefined ? {} : { by }) } }

  const given = z.object({ id: id.optional().catch(undefined), verb: z.string().max(64).optional().catch(undefined) })
  const rest = given.safeParse(json).data
  const message =
    json === undefined
      ? `the annotation ${requestAnnotation} is not JSON, so nothing was done`
      : `the request in ${requestAnnotation} cannot be understood (${describe(parsed.error)}), so nothing was done`
  return {
    kind: 'Void',
    id: rest?.id ?? `unreadable-${createHash('sha256').update(text).digest('hex').slice(0, 12)}`,
    verb: rest?.verb ?? 'unknown',
    ...(by === undefined ? {} : { by }),
    problem: { reason: 'RequestVoid', message, field: `metadata.annotations["${requestAnnotation}"]` },
  }
}

export interface RequestDetails {
  /** The revision the person was looking at; the request is void for any other. */
  revision?: string
  step?: number
  reason?: string
  /** With `promote`: ends all remaining holds. */
  full?: boolean
}

/**
 * The value of the annotation for one request. `id` makes it count once: a fresh one for every request.
 * @throws {z.ZodError} when a part is longer than a request may be.
 */
export function makeRequest(verb: RequestVerb, details: RequestDetails, requestId: string): string {
  return JSON.stringify(request.parse({ id: requestId, verb, ...details }))
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function describe(error: z.ZodError): string {
  const issue = error.issues[0]
  if (issue === undefined) return 'it is malformed'
  const place = issue.path.join('.')
  if (place === 'verb') return `verb must be one of ${verbs.join(', ')}`
  return `${place === '' ? '' : `${place}: `}${issue.message.charAt(0).toLowerCase()}${issue.message.slice(1)}`
}
