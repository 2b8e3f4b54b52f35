/** One entry of `details.causes`, as metav1.StatusCause. */
export interface Cause {
  reason: string
  message: string
  field: string
}

export interface StatusDetails {
  name?: string
  group?: string
  kind?: string
  uid?: string
  causes?: Cause[]
  retryAfterSeconds?: number
}

/** A `metav1.Status` body. */
export interface StatusBody {
  kind: 'Status'
  apiVersion: 'v1'
  metadata: Record<string, unknown>
  status: 'Failure' | 'Success'
  message?: string
  reason?: string
  details?: StatusDetails
  /** Left out of a Success. */
  code?: number
}

/** What the server answers when it refuses: thrown anywhere below the HTTP layer, written out as its Status. */
export class ApiError extends Error {
  readonly status: StatusBody
  constructor(code: number, reason: string, message: string, details?: StatusDetails) {
    super(message)
    this.name = 'ApiError'
    this.status = {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message,
      ...(reason ? { reason } : {}),
      ...(details ? { details } : {}),
      code,
    }
  }
}

/** The names an error needs from a resource. */
export interface Named {
  group: string
  plural: string
  kind: string
}

/** `deployments.apps`, or `pods` for the core group. */
export function groupResource(type: Pick<Named, 'group' | 'plural'>): string {
  return type.group === '' ? type.plural : `${type.plural}.${type.group}`
}

function groupKind(type: Named): string {
  return type.group === '' ? type.kind : `${type.kind}.${type.group}`
}

function details(type: Named, name: string): StatusDetails {
  return { name, ...(type.group ? { group: type.group } : {}), kind: type.plural }
}

export function notFound(type: Named, name: string): ApiError {
  return new ApiError(404, 'NotFound', `${groupResource(type)} "${name}" not found`, details(type, name))
}

export function alreadyExists(type: Named, name: string): ApiError {
  return new ApiError(409, 'AlreadyExists', `${groupResource(type)} "${name}" already exists`, details(type, name))
}

export function conflict(type: Named, name: string, why: string): ApiError {
  return new ApiError(
    409,
    'Conflict',
    `Operation cannot be fulfilled on ${groupResource(type)} "${name}": ${why}`,
    details(type, name),
  )
}

/** The conflict of optimistic concurrency, in the words clients match on. */
export function modified(type: Named, name: string): ApiError {
  return conflict(
    type,
    name,
    'the object has been modified; please apply your changes to the latest version and try again',
  )
}

export function forbidden(type: Named, name: string, why: string, causes?: Cause[]): ApiError {
  const subject = name ? `${groupResource(type)} "${name}" is forbidden` : `${groupResource(type)} is forbidden`
  return new ApiError(403, 'Forbidden', `${subject}: ${why}`, {
    ...details(type, name),
    ...(causes ? { causes } : {}),
  })
}

/** A 422 whose message lists every cause the way field.ErrorList prints itself. */
export function invalid(type: Named, name: string, causes: Cause[]): ApiError {
  const unique = [...new Set(causes.map((cause) => (cause.field ? `${cause.field}: ${cause.message}` : cause.message)))]
  const list = unique.length === 1 ? unique[0] : `[${unique.join(', ')}]`
  return new ApiError(422, 'Invalid', `${groupKind(type)} "${name}" is invalid: ${list}`, {
    ...(name ? { name } : {}),
    ...(type.group ? { group: type.group } : {}),
    ...(type.kind ? { kind: type.kind } : {}),
    causes,
  })
}

export function badRequest(message: string): ApiError {
  return new ApiError(400, 'BadRequest', message)
}

export function expired(message: string): ApiError {
  return new ApiError(410, 'Expired', message)
}

export function methodNotAllowed(type: Named): ApiError {
  return new ApiError(405, 'MethodNotAllowed', `the server does not allow this method on the requested resource`, {
    ...(type.group ? { group: type.group } : {}),
    kind: type.plural,
  })
}

/** A value as Go's `%#v`-like field errors show it: strings quoted, objects as JSON. */
export function shown(value: unknown): string {
  if (typeof value === 'number') return shownNumber(value)
  return JSON.stringify(value) ?? 'null'
}

/** A number as Go prints it: `1e-06`. */
export function shownNumber(value: number): string {
  if (value !== 0 && Math.abs(value) < 1e-4) return value.toExponential().replace(/e-(\d)$/, 'e-0$1')
  return String(value)
}

export function fieldInvalid(field: string, value: unknown, why: string): Cause {
  return { reason: 'FieldValueInvalid', message: `Invalid value: ${shown(value)}: ${why}`, field }
}

export function fieldRequired(field: string, why = ''): Cause {
  return { reason: 'FieldValueRequired', message: why ? `Required value: ${why}` : 'Required value', field }
}

export function fieldForbidden(field: string, why: string): Cause {
  return { reason: 'FieldValueForbidden', message: `Forbidden: ${why}`, field }
}

export function fieldNotSupported(field: string, value: unknown, supported: readonly unknown[]): Cause {
  return {
    reason: 'FieldValueNotSupported',
    message: `Unsupported value: ${shown(value)}: supported values: ${supported.map(shown).join(', ')}`,
    field,
  }
}

export function fieldDuplicate(field: string, value: unknown): Cause {
  return { reason: 'FieldValueDuplicate', message: `Duplicate value: ${shown(value)}`, field }
}
