import { clone, equal, isObject } from './json.ts'
import { ApiError, badRequest } from './status.ts'

/** As the real server limits a patch. */
const maxOperations = 10_000

/** Applies a JSON patch (RFC 6902) to a copy; a failing operation, a failing test included, is a 422. */
export function jsonPatch(document: unknown, operations: unknown): unknown {
  if (!Array.isArray(operations))
    throw badRequest('json: cannot unmarshal object into Go value of type jsonpatch.Patch')
  if (operations.length > maxOperations) {
    throw new ApiError(
      413,
      'RequestEntityTooLarge',
      `Request entity too large: The allowed maximum operations in a JSON patch is ${maxOperations}, got ${operations.length}`,
    )
  }
  let result = clone(document)
  for (const operation of operations) result = applyOperation(result, operation)
  return result
}

/** The real server says only this, whichever operation failed; the cause stays on the error for the log. */
function rejected(cause: string): ApiError {
  const error = new ApiError(422, 'Invalid', 'the server rejected our request due to an error in our request', {})
  error.cause = cause
  return error
}

function applyOperation(document: unknown, operation: unknown): unknown {
  if (!isObject(operation)) throw badRequest('error decoding patch: an operation must be an object')
  const path = pointer(operation.path)
  if (path.length === 0 && operation.op !== 'test') throw rejected('the whole document cannot be changed')
  switch (operation.op) {
    case 'add':
      return write(document, path, clone(operation.value), 'add')
    case 'replace':
      // As the real library, a field of an object that is not there is added.
      return write(document, path, clone(operation.value), 'replace')
    case 'remove':
      return remove(document, path)
    case 'test': {
      const found = readOrNull(document, path)
      if (equal(found, operation.value ?? null)) return document
      throw rejected(`testing value ${String(operation.path)} failed`)
    }
    case 'move': {
      const from = pointer(operation.from)
      const value = read(document, from)
      return write(remove(document, from), path, value, 'add')
    }
    case 'copy':
      return write(document, path, clone(read(document, pointer(operation.from))), 'add')
    default:
      throw rejected(`Unexpected kind: ${String(operation.op)}`)
  }
}

function pointer(path: unknown): string[] {
  if (path === '') return []
  if (typeof path !== 'string' || !path.startsWith('/')) throw rejected(`missing path: ${String(path)}`)
  return path
    .slice(1)
    .split('/')
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
}

function read(document: unknown, path: string[]): unknown {
  let current = document
  for (const name of path) {
    const next = Array.isArray(current)
      ? current[index(name, current.length)]
      : isObject(current)
        ? current[name]
        : undefined
    if (next === undefined) throw rejected(`doc is missing path: /${path.join('/')}: missing value`)
    current = next
  }
  return current
}

/** A test against a missing field compares with null, as the real library does for objects. */
function readOrNull(document: unknown, path: string[]): unknown {
  const parent = read(document, path.slice(0, -1))
  const last = path.at(-1)
  if (last === undefined) return document
  if (isObject(parent)) return parent[last] ?? null
  return read(document, path)
}

function write(document: unknown, path: string[], value: unknown, how: 'add' | 'replace'): unknown {
  const last = path.at(-1)
  if (last === undefined) return value
  const parent = read(document, path.slice(0, -1))
  if (Array.isArray(parent)) {
    if (last === '-') parent.push(value)
    else if (how === 'add') parent.splice(index(last, parent.length + 1), 0, value ?? null)
    else parent[index(last, parent.length)] = value
  } else if (isObject(parent)) parent[last] = value ?? null
  else throw rejected(`doc is missing path: /${path.join('/')}`)
  return document
}

function remove(document: unknown, path: string[]): unknown {
  read(document, path)
  const last = path.at(-1)
  const parent = read(document, path.slice(0, -1))
  if (last === undefined) return null
  if (Array.isArray(parent)) parent.splice(index(last, parent.length), 1)
  else if (isObject(parent)) delete parent[last]
  return document
}

/** Negative positions count from the end. */
function index(name: string, length: number): number {
  const given = /^-?\d+$/.test(name) ? Number(name) : Number.NaN
  const position = given < 0 ? given + length : given
  if (!(position >= 0 && position < length)) throw rejected(`Unable to access invalid index: ${name}`)
  return position
}
