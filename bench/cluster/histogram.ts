/** Observations of a histogram up to each bound, in the order of the bounds; the last bound is infinite. */
export type Buckets = [bound: number, count: number][]

/** The buckets of a histogram without labels. */
export function bucketsOf(metrics: ReadonlyMap<string, number>, name: string): Buckets {
  const buckets: Buckets = []
  for (const [series, count] of metrics) {
    const le = series.startsWith(`${name}_bucket{`) ? /le="([^"]+)"/.exec(series)?.[1] : undefined
    if (le !== undefined) buckets.push([le === '+Inf' ? Number.POSITIVE_INFINITY : Number(le), count])
  }
  return buckets.sort(([a], [b]) => a - b)
}

/** The least bound that at least this share of the observations keeps; NaN without observations. */
export function boundOf(buckets: Buckets, share: number): number {
  const total = buckets.at(-1)?.[1] ?? 0
  return total === 0 ? Number.NaN : (buckets.find(([, count]) => count >= share * total)?.[0] ?? Number.NaN)
}

/** The share of observations within a bound that is one of the buckets'. */
export function shareWithin(buckets: Buckets, bound: number): number {
  const total = buckets.at(-1)?.[1] ?? 0
  return (buckets.find(([b]) => b === bound)?.[1] ?? Number.NaN) / total
}
