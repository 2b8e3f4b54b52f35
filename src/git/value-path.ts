import type { Path } from './manifest.ts'

/** Reads a path as people write it, `apps[0]["my.app"].tag`; undefined where it is none. */
export function parseValuePath(text: string): Path | undefined {
  const path: Path = []
  const segment = /(?:^|\.)([^.[\]"'\s]+)|\[(\d+)\]|\["([^"]+)"\]|\['([^']+)'\]/y
  while (segment.lastIndex < text.length) {
    const match = segment.exec(text)
    if (!match) return undefined
    const [, key, index, double, single] = match
    path.push(index === undefined ? (key ?? double ?? single)! : Number(index))
  }
  return path.length > 0 ? path : undefined
}
