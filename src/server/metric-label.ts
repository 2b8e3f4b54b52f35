/**
 * A guard for label values that come from elsewhere: the first `limit` different words (letters and digits, at most 40)
 * pass as they are, everything else becomes `Other`. So no input can make the number of series grow without bound.
 */
export function boundedLabel(limit: number): (value: string) => string {
  const seen = new Set<string>()
  return (value) => {
    if (seen.has(value)) return value
    if (seen.size >= limit || !/^[A-Za-z][A-Za-z0-9]{0,39}$/.test(value)) return 'Other'
    seen.add(value)
    return value
  }
}
