/** A PromQL string literal. */
export function quote(text: string): string {
  return `"${escapeString(text)}"`
}

/** What may stand inside a PromQL string literal of either quote. */
export function escapeString(text: string): string {
  return text.replace(/["'\\\n]/g, (char) => (char === '\n' ? '\\n' : `\\${char}`))
}

/** A regular expression (RE2, anchored by Prometheus) that matches exactly the given texts. */
export function anyOf(texts: readonly string[]): string {
  return [...new Set(texts)]
    .sort()
    .map((text) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
    .join('|')
}
