import { isObject } from '../json.ts'
import type { Schema } from '../schema.ts'

/** A model's schema as the server uses it: metadata is described apart; status is the server's, so nothing in it is required. */
export function servedSchema(schema: Schema, kind: string): Schema {
  const properties = { ...schema.properties }
  delete properties.metadata
  if (properties.status) properties.status = withoutRequired(properties.status)
  const required = (schema.required ?? []).filter((name) => name !== 'metadata')
  return { ...schema, description: `${kind} is a built-in kind of Kubernetes.`, properties, required }
}

function withoutRequired(schema: Schema): Schema {
  const copy: Schema = { ...schema }
  delete copy.required
  if (schema.properties) {
    copy.properties = Object.fromEntries(
      Object.entries(schema.properties).map(([name, field]) => [name, withoutRequired(field)]),
    )
  }
  if (schema.items && !schema['x-kubernetes-list-map-keys']) copy.items = withoutRequired(schema.items)
  if (isObject(schema.additionalProperties))
    copy.additionalProperties = withoutRequired(schema.additionalProperties as Schema)
  return copy
}
