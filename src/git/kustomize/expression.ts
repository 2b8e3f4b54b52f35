/** What is longer is matched by nothing here; names and images of Kubernetes never are. */
const LONGEST = 512

/**
 * Whether an expression of a repository may be run. Kustomize's engine takes linear time whatever the expression; this one's can take for
 * ever (`(a+)+b`), and while it does nobody's traffic goes back. So at most two repetitions, each of a single character, and few
 * alternatives: what people write to name objects and images.
 */
export function isTame(expression: string): boolean {
  if (expression.length > LONGEST) return false
  // Escapes and classes stand for one character each.
  const plain = expression
    .replace(/\\./gs, 'a')
    .replace(/\[[^\]]*\]/g, 'a')
    .replaceAll('(?:', '(')
  const count = (pattern: RegExp) => plain.match(pattern)?.length ?? 0
  const repeats = count(/[*+?{]/g) - count(/[*+?}]\?/g)
  return !/\)[*+{]|\(\?/.test(plain) && repeats <= 2 && count(/\(/g) <= 2 && count(/\|/g) <= 16
}

/** Whether a value is short enough for a tame expression to be run on it. */
export function isShort(value: string): boolean {
  return value.length <= LONGEST
}
