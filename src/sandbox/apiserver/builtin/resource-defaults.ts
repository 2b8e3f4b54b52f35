import { at, isObject } from '../json.ts'
import { canonicalQuantity } from '../quantity.ts'

/** Limits and requests as the real server writes them back. */
export function roundResources(resources: unknown): void {
  roundQuantities(at(resources, 'limits'))
  roundQuantities(at(resources, 'requests'))
}

/** A list of resources, in place: every quantity rounded up to thousandths. */
export function roundQuantities(quantities: unknown): void {
  if (!isObject(quantities)) return
  for (const [name, quantity] of Object.entries(quantities)) quantities[name] = canonicalQuantity(String(quantity), 3)
}

/** The divisor of a `resourceFieldRef`, which is written even when it is not set. */
export function defaultDivisor(source: unknown): void {
  const ref = at(source, 'resourceFieldRef')
  if (isObject(ref)) ref.divisor = canonicalQuantity(String(ref.divisor ?? '0'))
}
