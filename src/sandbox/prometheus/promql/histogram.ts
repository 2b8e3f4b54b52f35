import { parseGoFloat } from '../go-number.ts'
import type { Labels } from '../labels.ts'
import type { Vector } from './value.ts'

interface Bucket {
  upperBound: number
  count: number
}

/** `histogram_quantile` over classic buckets; samples without a readable `le` are left out, as in Prometheus. */
export function histogramQuantile(q: number, vector: Vector): Vector {
  const histograms = new Map<string, { labels: Labels; buckets: Bucket[] }>()
  for (const { labels, value } of vector) {
    const upperBound = parseGoFloat(labels.get('le'))
    if (upperBound === undefined) continue
    const identity = labels.filter((name) => name !== 'le')
    let histogram = histograms.get(identity.key)
    if (!histogram) {
      histogram = { labels: identity.nameless, buckets: [] }
      histograms.set(identity.key, histogram)
    }
    histogram.buckets.push({ upperBound, count: value })
  }
  return [...histograms.values()].map(({ labels, buckets }) => ({ labels, value: bucketQuantile(q, buckets) }))
}

function bucketQuantile(q: number, unsorted: Bucket[]): number {
  if (Number.isNaN(q)) return Number.NaN
  if (q < 0) return Number.NEGATIVE_INFINITY
  if (q > 1) return Number.POSITIVE_INFINITY
  const buckets = cumulative(unsorted)
  const last = buckets.at(-1)
  if (last?.upperBound !== Number.POSITIVE_INFINITY || buckets.length < 2) return Number.NaN
  if (last.count === 0) return Number.NaN
  let rank = q * last.count
  const found = buckets.slice(0, -1).findIndex((bucket) => bucket.count >= rank)
  if (found < 0) return buckets.at(-2)!.upperBound
  const bucket = buckets[found]!
  if (found === 0 && bucket.upperBound <= 0) return bucket.upperBound
  const previous = found > 0 ? buckets[found - 1]! : { upperBound: 0, count: 0 }
  rank -= previous.count
  return previous.upperBound + (bucket.upperBound - previous.upperBound) * (rank / (bucket.count - previous.count))
}

/** Sorted by bound, equal bounds merged, counts made to never fall. */
function cumulative(unsorted: Bucket[]): Bucket[] {
  const merged: Bucket[] = []
  for (const bucket of unsorted.toSorted((a, b) => a.upperBound - b.upperBound || 0)) {
    const previous = merged.at(-1)
    if (previous?.upperBound === bucket.upperBound) previous.count += bucket.count
    else merged.push({ ...bucket })
  }
  let max = merged[0]?.count ?? 0
  for (const bucket of merged) {
    if (bucket.count > max) max = bucket.count
    else if (bucket.count < max) bucket.count = max
  }
  return merged
}
