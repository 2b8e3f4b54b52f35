import { type Document, isAlias, isMap, isPair, isScalar, isSeq, type Node, visit } from 'yaml'

/** Something in a document that keeps it from being read, and where. */
export interface Obstacle {
  at: number
  message: string
}

/** Nodes, or eight characters each, that a document may have when every alias stands for what it names: 2 million are 16 MiB. */
const expandedLimit = 2_000_000

/** Two entries of a mapping with one key. The parser could find them too, but takes the square of their number. */
export function duplicateKey(document: Document.Parsed): Obstacle | undefined {
  let found: Obstacle | undefined
  visit(document, {
    Map(_key, node) {
      const keys = new Set<unknown>()
      for (const { key } of node.items) {
        if (!isScalar(key) || key.value === '<<') continue
        if (keys.has(key.value)) {
          found = { at: key.range?.[0] ?? 0, message: 'Map keys must be unique' }
          return visit.BREAK
        }
        keys.add(key.value)
      }
      return undefined
    },
  })
  return found
}

/** Aliases that stand for more than a reader can hold (https://en.wikipedia.org/wiki/Billion_laughs_attack), or for themselves. */
export function explosion(document: Document.Parsed): Obstacle | undefined {
  const anchors = new Map<string, number>()
  let found: Obstacle | undefined
  measure(document.contents)
  return found

  function measure(node: unknown): number {
    if (found) return 0
    if (isAlias(node)) {
      const size = anchors.get(node.source)
      if (size === Number.POSITIVE_INFINITY)
        stop(node, `the alias *${node.source} stands for something that it is part of`)
      return size ?? 1
    }
    if (isPair(node)) return measure(node.key) + measure(node.value)
    if (isScalar(node)) return named(node.anchor, 1 + (typeof node.value === 'string' ? node.value.length >> 3 : 0))
    if (!isMap(node) && !isSeq(node)) return 0
    if (node.anchor) anchors.set(node.anchor, Number.POSITIVE_INFINITY)
    let size = 1
    for (const item of node.items) {
      size += measure(item)
      if (size > expandedLimit) stop(node, 'its aliases stand for more than 16 MiB')
    }
    return named(node.anchor, size)
  }

  function named(anchor: string | undefined, size: number): number {
    if (anchor) anchors.set(anchor, size)
    return size
  }

  function stop(node: Node, message: string): void {
    found ??= { at: node.range?.[0] ?? 0, message }
  }
}
