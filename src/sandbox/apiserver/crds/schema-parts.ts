import type { Schema } from '../schema.ts'

/** Short words for the schemas of this folder. */
export const text: Schema = { type: 'string' }
export const integer: Schema = { type: 'integer', format: 'int32' }
export const flag: Schema = { type: 'boolean' }
export const open: Schema = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true }
export const textMap: Schema = { type: 'object', additionalProperties: text }

export function object(properties: Record<string, Schema>, required?: string[]): Schema {
  return { type: 'object', properties, ...(required ? { required } : {}) }
}

export function list(items: Schema, more: Partial<Schema> = {}): Schema {
  return { type: 'array', items, ...more }
}

export function map(additionalProperties: Schema): Schema {
  return { type: 'object', additionalProperties }
}

export function described(schema: Schema, description: string): Schema {
  return { ...schema, description }
}
