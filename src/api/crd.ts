import { stringify } from 'yaml'
import { z } from 'zod'
import { group, type Kind, kinds, version } from './kinds.ts'

type Json = null | boolean | number | string | Json[] | { [key: string]: Json }
type JsonObject = { [key: string]: Json }

/**
 * The structural OpenAPI v3 schema of a zod schema, as a CustomResourceDefinition takes it.
 * @see https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema
 */
export function structuralSchema(schema: z.ZodType): JsonObject {
  const json = z.toJSONSchema(schema, {
    target: 'openapi-3.0',
    io: 'input',
    reused: 'inline',
    unrepresentable: 'throw',
  })
  return structural(JSON.parse(JSON.stringify(json)) as JsonObject)
}

function structural(node: JsonObject): JsonObject {
  const out: JsonObject = {}
  for (const [key, value] of Object.entries(node)) {
    if (key === '$schema') continue
    if (node['x-kubernetes-int-or-string'] && (key === 'anyOf' || key === 'type')) continue
    if (key === 'properties') {
      out.properties = Object.fromEntries(
        Object.entries(value as JsonObject).map(([k, v]) => [k, structural(v as JsonObject)]),
      )
    } else if (key === 'items') {
      out.items = structural(value as JsonObject)
    } else if (key === 'additionalProperties') {
      if (value !== false) out.additionalProperties = structural(value as JsonObject)
    } else if (key === 'maximum' && value === Number.MAX_SAFE_INTEGER) {
    } else if (key === 'minimum' && value === Number.MIN_SAFE_INTEGER) {
    } else if (key === 'exclusiveMinimum' && typeof value === 'number') {
      out.minimum = value
      out.exclusiveMinimum = true
    } else if (key === 'exclusiveMaximum' && typeof value === 'number') {
      out.maximum = value
      out.exclusiveMaximum = true
    } else {
      out[key] = value
    }
  }
  // A map of strings: zod also says what its keys are, which a structural schema cannot.
  delete out.propertyNames
  if (out.allOf) lift(out)
  return out
}

/** Two patterns on one string come as allOf; a structural schema takes value checks there, but no type or description. */
function lift(node: JsonObject): void {
  node.allOf = (node.allOf as JsonObject[]).map((part) => {
    const { type, description, ...rest } = part
    return rest
  })
}

/** The CustomResourceDefinition of one kind. */
export function crdOf(kind: Kind): JsonObject {
  const properties: JsonObject = {
    apiVersion: { type: 'string' },
    kind: { type: 'string' },
    metadata: { type: 'object' },
    spec: structuralSchema(kind.spec),
  }
  if (kind.status) {
    const status = structuralSchema(kind.status)
    // Before anybody has looked at it, an object is not current: kstatus reads that from a generation that was never observed.
    if ('observedGeneration' in Object(status.properties)) status.default = { observedGeneration: -1 }
    properties.status = status
  }
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${kind.plural}.${group}` },
    spec: {
      group,
      names: {
        kind: kind.kind,
        listKind: `${kind.kind}List`,
        plural: kind.plural,
        singular: kind.singular,
        categories: ['sluice'],
        ...(kind.shortNames.length > 0 ? { shortNames: kind.shortNames } : {}),
      },
      scope: 'Namespaced',
      versions: [
        {
          name: version,
          served: true,
          storage: true,
          additionalPrinterColumns: kind.columns.map((column) => ({ ...column })),
          ...(kind.status ? { subresources: { status: {} } } : {}),
          schema: {
            openAPIV3Schema: {
              type: 'object',
              description: String(properties.spec && (properties.spec as JsonObject).description),
              required: ['spec'],
              properties,
            },
          },
        },
      ],
    },
  }
}

/** kubectl reads YAML 1.1, where a bare `Off` is a boolean: such words are quoted. */
const yamlOptions = { lineWidth: 0, aliasDuplicateObjects: false, compat: 'yaml-1.1' } as const

/** Every CRD as `file name → YAML`, exactly as checked in under crds/. */
export function crdFiles(): Record<string, string> {
  return Object.fromEntries(
    Object.values(kinds).map((kind) => [
      `${group}_${kind.plural}.yaml`,
      `# Generated from src/api by "npm run generate". Do not edit.\n${stringify(crdOf(kind), yamlOptions)}`,
    ]),
  )
}
