import { createHash } from 'node:crypto'
import { groupVersions } from './discovery.ts'
import { isObject, type Json } from './json.ts'
import { objectMetaSchema } from './object-meta.ts'
import type { Registry } from './registry.ts'
import type { ResourceType, ServedVersion } from './resource-type.ts'
import type { Schema } from './schema.ts'

const metaName = 'io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta'

/** OpenAPI v3 documents per group-version, and the v2 document, built at first use and again when kinds change. */
export interface OpenApi {
  index(): Json
  document(path: string): Json | undefined
  v2(): Json
}

export function createOpenApi(registry: Registry): OpenApi {
  let revision = 0
  let documents = new Map<string, Json>()
  let v2: Json | undefined

  function refresh(): void {
    if (revision === registry.revision()) return
    revision = registry.revision()
    documents = new Map()
    v2 = undefined
  }

  function document(path: string): Json | undefined {
    refresh()
    const cached = documents.get(path)
    if (cached) return cached
    const found = groupVersions(registry).find((each) => pathOf(each.group, each.version) === path)
    if (!found) return undefined
    const built = documentOf(found.resources)
    documents.set(path, built)
    return built
  }

  return {
    index() {
      refresh()
      const paths: Json = {}
      for (const { group, version } of groupVersions(registry)) {
        const path = pathOf(group, version)
        const hash = createHash('sha256').update(`${path}@${registry.revision()}`).digest('hex').toUpperCase()
        paths[path] = { serverRelativeURL: `/openapi/v3/${path}?hash=${hash}` }
      }
      return { paths }
    },
    document,
    v2() {
      refresh()
      v2 ??= v2Document(registry)
      return v2
    },
  }
}

function pathOf(group: string, version: string): string {
  return group === '' ? `api/${version}` : `apis/${group}/${version}`
}

/** `io.k8s.api.apps.v1.Deployment` for built-ins, the group reversed for others: `dev.sluice.v1alpha1.Rollout`. */
function schemaName(type: ResourceType, version: string): string {
  if (!type.builtin) return `${type.group.split('.').reverse().join('.')}.${version}.${type.kind}`
  const group = type.group === '' ? 'core' : (type.group.split('.')[0] ?? '')
  return `io.k8s.api.${group}.${version}.${type.kind}`
}

interface Served {
  type: ResourceType
  version: ServedVersion
}

function documentOf(resources: Served[]): Json {
  const schemas: Json = { [metaName]: objectMetaSchema }
  const paths: Json = {}
  for (const served of resources) {
    const name = schemaName(served.type, served.version.name)
    schemas[name] = kindSchema(served, '#/components/schemas/')
    schemas[`${name}List`] = listSchema(served, '#/components/schemas/', name)
    Object.assign(paths, pathsOf(served, name))
  }
  return { openapi: '3.0.0', info: { title: 'Kubernetes', version: 'v1.36.0' }, paths, components: { schemas } }
}

function kindSchema({ type, version }: Served, refs: string): Json {
  const schema: Schema = version.schema ?? { type: 'object', 'x-kubernetes-preserve-unknown-fields': true }
  return {
    ...schema,
    type: 'object',
    properties: {
      apiVersion: {
        type: 'string',
        description: 'The version of the API this object is written in.',
      },
      kind: { type: 'string', description: 'The kind of this object.' },
      metadata: {
        description: "Standard object's metadata.",
        allOf: [{ $ref: `${refs}${metaName}` }],
        default: {},
      },
      ...withoutMeta(schema.properties),
    },
    'x-kubernetes-group-version-kind': [{ group: type.group, version: version.name, kind: type.kind }],
  }
}

function withoutMeta(properties: Record<string, Schema> | undefined): Record<string, Schema> {
  const { apiVersion: _, kind: __, metadata: ___, ...rest } = properties ?? {}
  return rest
}

function listSchema({ type, version }: Served, refs: string, name: string): Json {
  return {
    type: 'object',
    description: `${type.listKind} is a list of ${type.kind}.`,
    properties: {
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      items: { type: 'array', items: { allOf: [{ $ref: `${refs}${name}` }] } },
    },
    'x-kubernetes-group-version-kind': [{ group: type.group, version: version.name, kind: type.listKind }],
  }
}

function pathsOf({ type, version }: Served, name: string): Json {
  const base = `/${pathOf(type.group, version.name)}${type.namespaced ? '/namespaces/{namespace}' : ''}/${type.plural}`
  const gvk = { 'x-kubernetes-group-version-kind': { group: type.group, version: version.name, kind: type.kind } }
  const schema = { $ref: `#/components/schemas/${name}` }
  const responses = { 200: { description: 'OK', content: { 'application/json': { schema } } } }
  const parameters = ['dryRun', 'fieldManager', 'fieldValidation'].map((parameter) => ({
    name: parameter,
    in: 'query',
    schema: { type: 'string', uniqueItems: true },
  }))
  const operation = (action: string, extra: Json = {}) => ({
    responses,
    'x-kubernetes-action': action,
    ...gvk,
    ...extra,
  })
  if (type.virtual) return { [base]: { post: operation('post', { parameters }) } }
  return {
    [base]: { get: operation('list'), post: operation('post', { parameters }), delete: operation('deletecollection') },
    [`${base}/{name}`]: {
      get: operation('get'),
      put: operation('put', { parameters }),
      patch: operation('patch', {
        parameters: [...parameters, { name: 'force', in: 'query', schema: { type: 'boolean' } }],
      }),
      delete: operation('delete'),
    },
  }
}

/** OpenAPI v2: the same schemas under `definitions`, in the subset v2 knows. */
function v2Document(registry: Registry): Json {
  const definitions: Json = { [metaName]: v2Schema(objectMetaSchema) }
  const paths: Json = {}
  for (const { resources } of groupVersions(registry)) {
    for (const served of resources) {
      const name = schemaName(served.type, served.version.name)
      definitions[name] = v2Schema(kindSchema(served, '#/definitions/'))
      for (const [path, operations] of Object.entries(pathsOf(served, name))) paths[path] = v2Operations(operations)
    }
  }
  return { swagger: '2.0', info: { title: 'Kubernetes', version: 'v1.36.0' }, paths, definitions }
}

function v2Schema(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(v2Schema)
  if (!isObject(value)) return value
  const { nullable: _, anyOf: __, oneOf: ___, not: ____, ...rest } = value
  const result: Json = {}
  for (const [name, field] of Object.entries(rest)) result[name] = name === 'default' ? field : v2Schema(field)
  if (Array.isArray(result.allOf) && isObject(result.allOf[0]) && '$ref' in result.allOf[0]) {
    return { description: result.description, $ref: result.allOf[0].$ref }
  }
  if (result['x-kubernetes-int-or-string'] === true && !result.type) {
    return { ...result, type: 'string', format: 'int-or-string' }
  }
  return result
}

function v2Operations(operations: unknown): Json {
  const result: Json = {}
  for (const [method, operation] of Object.entries(isObject(operations) ? operations : {})) {
    if (!isObject(operation)) continue
    const given = Array.isArray(operation.parameters) ? operation.parameters.filter(isObject) : []
    const parameters = given.map(({ name }) => ({ name, in: 'query', type: 'string', uniqueItems: true }))
    result[method] = { ...operation, parameters, responses: { 200: { description: 'OK' } } }
  }
  return result
}
