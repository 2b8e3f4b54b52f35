import { Labels } from './labels.ts'

interface TargetIdentity {
  job: string
  instance: string
  /** Further labels every series of this target gets. */
  labels: Readonly<Record<string, string>>
  /** Where in the interval scrapes fall: at times congruent to it. By default spread by the target's labels. */
  offsetMs?: number
  /** Keep a scraped label that conflicts with a target label, rather than rename it to `exported_…`. */
  honorLabels?: boolean
}

/** Something to scrape: over HTTP, or in process through `read`, which returns the text format. */
export type Target = TargetIdentity &
  ({ url: string; read?: never } | { url?: never; read: () => string | Promise<string> })

export function targetLabels(target: Target): Labels {
  return Labels.from({ ...target.labels, job: target.job, instance: target.instance })
}

/** Equal for targets that are the same to the scraper across calls of the discovery function. */
export function targetKey(target: Target): string {
  return `${targetLabels(target).key}\u0003${target.url ?? ''}`
}

/** The phase of a target's scrapes within the interval, in milliseconds: fixed, or spread by hash (FNV-1a). */
export function scrapeOffset(target: Target, intervalMs: number): number {
  if (target.offsetMs !== undefined) return ((target.offsetMs % intervalMs) + intervalMs) % intervalMs
  let hash = 0x811c9dc5
  for (const c of targetKey(target)) hash = Math.imul(hash ^ c.codePointAt(0)!, 0x01000193) >>> 0
  return hash % Math.max(1, Math.floor(intervalMs))
}

/** The labels a scraped series is stored under: the target's win, the series' own move to `exported_<name>`. */
export function storedLabels(
  scraped: readonly (readonly [string, string])[],
  target: Labels,
  honorLabels: boolean,
): Labels {
  const merged = new Map<string, string>(scraped)
  const displaced: [string, string][] = []
  for (const [name, value] of target.entries()) {
    const own = merged.get(name)
    if (own && honorLabels) continue
    if (own) displaced.push([name, own])
    merged.set(name, value)
  }
  for (const [name, value] of displaced) {
    let free = `exported_${name}`
    while (merged.get(free)) free = `exported_${free}`
    merged.set(free, value)
  }
  return Labels.from(merged)
}
