import { fieldSchema } from './field-shape.ts'
import { clone, equal, isObject, type Json } from './json.ts'
import type { Schema } from './schema.ts'
import { ApiError, badRequest } from './status.ts'

/**
 * Applies a strategic merge patch to a copy: lists with a merge key merge by it, lists of scalars with the merge
 * strategy as sets, all others are replaced. Directives: `$patch`, `$retainKeys`, `$setElementOrder/…`,
 * `$deleteFromPrimitiveList/…`.
 * https://github.com/kubernetes/community/blob/master/contributors/devel/sig-api-machinery/strategic-merge-patch.md
 */
export function strategicPatch(object: Json, patch: Json, schema: Schema | undefined): Json {
  return mergeMap(clone(object), patch, schema)
}

const setOrder = '$setElementOrder/'
const deleteItems = '$deleteFromPrimitiveList/'

function mergeMap(target: Json, patch: Json, schema: Schema | undefined): Json {
  if (patch.$patch === 'replace') return withoutDirectives(patch)
  if (patch.$patch === 'delete') return {}
  if (Array.isArray(patch.$retainKeys)) {
    for (const name of Object.keys(target)) if (!patch.$retainKeys.includes(name)) delete target[name]
  }
  for (const [name, items] of Object.entries(patch)) {
    if (!name.startsWith(deleteItems) || !Array.isArray(items)) continue
    const list = target[name.slice(deleteItems.length)]
    if (Array.isArray(list)) {
      target[name.slice(deleteItems.length)] = list.filter((item) => !items.some((gone) => equal(gone, item)))
    }
  }
  for (const [name, value] of Object.entries(patch)) {
    if (name.startsWith('$')) continue
    const present = target[name]
    const field = fieldSchema(schema, name)
    if (value === null) delete target[name]
    else if (isObject(value)) {
      if (value.$patch === 'delete') delete target[name]
      else target[name] = mergeMap(isObject(present) ? present : {}, value, field)
    } else if (Array.isArray(value)) {
      target[name] = mergeList(Array.isArray(present) ? present : [], value, field, name)
    } else target[name] = value
  }
  for (const [name, order] of Object.entries(patch)) {
    if (!name.startsWith(setOrder) || !Array.isArray(order)) continue
    const field = name.slice(setOrder.length)
    const list = target[field]
    if (Array.isArray(list)) target[field] = inOrder(list, order, fieldSchema(schema, field))
  }
  return target
}

function mergeList(target: unknown[], patch: unknown[], schema: Schema | undefined, name: string): unknown[] {
  const strategy = schema?.['x-kubernetes-patch-strategy'] ?? ''
  const key = schema?.['x-kubernetes-patch-merge-key']
  if (!strategy.split(',').includes('merge')) return clone(patch).map(plain)
  if (!key) return [...target, ...patch.filter((item) => !target.some((present) => equal(present, item)))]
  if (patch.some((item) => isObject(item) && item.$patch === 'replace' && Object.keys(item).length === 1)) {
    return patch.filter((item) => !(isObject(item) && item.$patch === 'replace')).map(plain)
  }
  const result = [...target]
  for (const item of patch) {
    if (!isObject(item)) throw badRequest(`expected objects in the list ${name}, which merges by ${key}`)
    if (item[key] === undefined)
      // As upstream, this is a fault of the server.
      throw new ApiError(500, '', `map: ${JSON.stringify(item)} does not contain declared merge key: ${key}`)
    const position = result.findIndex((present) => isObject(present) && equal(present[key], item[key]))
    if (item.$patch === 'delete') {
      if (position >= 0) result.splice(position, 1)
      continue
    }
    const present = result[position]
    if (isObject(present)) result[position] = mergeMap(present, item, schema?.items)
    else result.push(mergeMap({}, item, schema?.items))
  }
  return result
}

/** Items named by `$setElementOrder` in its order; others keep their place relative to the item before them. */
function inOrder(list: unknown[], order: unknown[], schema: Schema | undefined): unknown[] {
  const key = schema?.['x-kubernetes-patch-merge-key']
  const idOf = (item: unknown) => JSON.stringify(key && isObject(item) ? item[key] : item)
  const wanted = order.map(idOf)
  const named = list.filter((item) => wanted.includes(idOf(item)))
  named.sort((a, b) => wanted.indexOf(idOf(a)) - wanted.indexOf(idOf(b)))
  const result = [...named]
  let after = -1
  for (const item of list) {
    const position = result.findIndex((placed) => idOf(placed) === idOf(item))
    if (position >= 0) after = position
    else {
      after++
      result.splice(after, 0, item)
    }
  }
  return result
}

function withoutDirectives(patch: Json): Json {
  return Object.fromEntries(Object.entries(patch).filter(([name]) => !name.startsWith('$')))
}

function plain(item: unknown): unknown {
  return isObject(item) && '$patch' in item ? withoutDirectives(item) : item
}
