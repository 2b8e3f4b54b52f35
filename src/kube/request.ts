import type { Patch, WriteOptions } from './client.ts'
import type { ObjectKey, Resource } from './object.ts'
import { resourceName } from './resources.ts'

export const contentTypes = {
  json: 'application/json',
  jsonPatch: 'application/json-patch+json',
  mergePatch: 'application/merge-patch+json',
  strategicPatch: 'application/strategic-merge-patch+json',
  applyPatch: 'application/apply-patch+yaml',
} as const

/**
 * The API's path of a collection, an object or a subresource, with its query.
 * Throws a TypeError where an object of a namespaced resource is named without its namespace.
 */
export function objectPath(
  resource: Resource,
  key: Partial<ObjectKey>,
  subresource?: string,
  query: Record<string, string | undefined> = {},
): string {
  const root = resource.group === '' ? `/api/${resource.version}` : `/apis/${resource.group}/${resource.version}`
  if (resource.namespaced && key.name !== undefined && !key.namespace) {
    throw new TypeError(`${resource.kind} "${key.name}" is namespaced, but no namespace was given.`)
  }
  const namespace = resource.namespaced && key.namespace ? `/namespaces/${encodeURIComponent(key.namespace)}` : ''
  const name = key.name === undefined ? '' : `/${encodeURIComponent(key.name)}`
  const tail = subresource === undefined ? '' : `/${subresource}`
  return `${root + namespace}/${resource.plural}${name}${tail}${encodeQuery(query)}`
}

/** The query of a write. `timeout` makes the server give up when we do, so that an abandoned write cannot land much later. */
export function writeQuery(options: WriteOptions, timeoutMs: number, force?: boolean): string {
  if (options.fieldManager !== undefined) assertFieldManager(options.fieldManager)
  return encodeQuery({
    fieldManager: options.fieldManager,
    dryRun: options.dryRun ? 'All' : undefined,
    fieldValidation: options.fieldValidation,
    force: force ? 'true' : undefined,
    timeout: `${Math.ceil(timeoutMs)}ms`,
  })
}

/** Content type and body of a patch. JSON is YAML, so an apply body is sent as JSON. */
export function encodePatch(patch: Patch): { body: unknown; contentType: string; force?: boolean } {
  switch (patch.type) {
    case 'json':
      return { body: patch.ops, contentType: contentTypes.jsonPatch }
    case 'merge':
      return { body: patch.body, contentType: contentTypes.mergePatch }
    case 'strategic':
      return { body: patch.body, contentType: contentTypes.strategicPatch }
    case 'apply':
      return { body: patch.body, contentType: contentTypes.applyPatch, force: patch.force }
  }
}

/** `rollouts.sluice.dev shop/checkout` or `... shop/checkout (status)`, for error messages. */
export function describeTarget(resource: Resource, key: Partial<ObjectKey>, subresource?: string): string {
  const name = [key.namespace, key.name].filter(Boolean).join('/')
  return `${resourceName(resource)}${name && ` ${name}`}${subresource ? ` (${subresource})` : ''}`
}

/**
 * Field managers are 1 to 128 printable characters. A name that starts with `kubectl` is refused: GitOps engines treat
 * such managers as a person's leftovers and take their fields away.
 */
function assertFieldManager(name: string): void {
  if (name.startsWith('kubectl')) {
    throw new TypeError(`Field manager "${name}" must not start with "kubectl": GitOps engines undo such fields.`)
  }
  if (name === '' || name.length > 128 || !/^[\x20-\x7e]+$/.test(name)) {
    throw new TypeError(`Field manager "${name}" must be 1 to 128 printable characters.`)
  }
}

function encodeQuery(query: Record<string, string | undefined>): string {
  const params = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) if (value !== undefined && value !== '') params.set(name, value)
  const text = params.toString()
  return text && `?${text}`
}
