/**
 * Chooses one of the weighted items: probability = weight / sum of weights, as Envoy does. `random` is in [0, 1).
 * A single item gets everything, whatever its weight. Weight 0 beside others is never chosen. Undefined when there is nothing to choose:
 * no items, or several whose weights are all 0 (Istio's validation refuses the latter).
 */
export function chooseWeighted<T extends { weight?: number }>(items: readonly T[], random: number): T | undefined {
  if (items.length <= 1) return items[0]
  let total = 0
  for (const item of items) total += item.weight ?? 0
  if (total <= 0) return undefined
  let point = random * total
  let last: T | undefined
  for (const item of items) {
    const weight = item.weight ?? 0
    if (weight <= 0) continue
    if (point < weight) return item
    point -= weight
    last = item
  }
  return last
}
