import { isDeepStrictEqual } from 'node:util'
import { at, copyOf, plain, type Traced, type TracedMap, textOf } from '../traced.ts'

/** An operation that cannot be done; kustomize fails there. */
export class Inapplicable extends Error {
  override readonly name = 'Inapplicable'
}

/** Applies the operations of a JSON patch (RFC 6902) to `root`, which is changed. Throws Inapplicable. */
export function operate(root: TracedMap, operations: Traced[]): void {
  for (const operation of operations) {
    const op = textOf(at(operation, ['op'])) ?? ''
    const path = pointer(textOf(at(operation, ['path'])))
    const value = at(operation, ['value'])
    if (op === 'add' || op === 'replace') {
      if (value === undefined) throw new Inapplicable(`has an operation "${op}" without a value`)
      put(root, path, copyOf(value), op)
    } else if (op === 'remove') take(root, path)
    else if (op === 'move') put(root, path, take(root, pointer(textOf(at(operation, ['from'])))), 'add')
    else if (op === 'copy') put(root, path, copyOf(find(root, pointer(textOf(at(operation, ['from']))))), 'add')
    else if (op === 'test') {
      const found = find(root, path)
      if (value === undefined || !isDeepStrictEqual(plain(found), plain(value)))
        throw new Inapplicable(`has a test of /${path.join('/')} that fails`)
    } else throw new Inapplicable(`has the unknown operation "${op}"`)
  }
}

function pointer(text: string | undefined): string[] {
  if (text === undefined || !text.startsWith('/')) throw new Inapplicable(`has the path "${text ?? ''}"`)
  return text
    .slice(1)
    .split('/')
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
}

function find(root: TracedMap, path: string[]): Traced {
  const found = at(root, path)
  if (found === undefined) throw new Inapplicable(`names /${path.join('/')}, which does not exist`)
  return found
}

function put(root: TracedMap, path: string[], value: Traced, op: 'add' | 'replace'): void {
  const last = path.at(-1)!
  const parent = find(root, path.slice(0, -1))
  if (parent instanceof Map) {
    if (op === 'replace' && !parent.has(last)) throw new Inapplicable(`names /${path.join('/')}, which does not exist`)
    parent.set(last, value)
    return
  }
  if (!Array.isArray(parent)) throw new Inapplicable(`names /${path.join('/')}, which cannot be`)
  const index = last === '-' && op === 'add' ? parent.length : indexIn(parent, last, op === 'add' ? 1 : 0, path)
  if (op === 'add') parent.splice(index, 0, value)
  else parent[index] = value
}

function take(root: TracedMap, path: string[]): Traced {
  const last = path.at(-1)!
  const parent = find(root, path.slice(0, -1))
  const found = find(root, path)
  if (parent instanceof Map) parent.delete(last)
  else if (Array.isArray(parent)) parent.splice(indexIn(parent, last, 0, path), 1)
  return found
}

function indexIn(list: Traced[], text: string, beyond: number, path: string[]): number {
  const index = /^(0|[1-9]\d*)$/.test(text) ? Number(text) : -1
  if (index < 0 || index >= list.length + beyond)
    throw new Inapplicable(`names /${path.join('/')}, which does not exist`)
  return index
}
