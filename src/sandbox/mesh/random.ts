/** A source of numbers uniform in [0, 1). */
export type Random = () => number

/**
 * A repeatable stream of numbers in [0, 1): the same seed and name give the same stream on every machine.
 * Streams with different names are independent, so that adding one consumer does not shift the draws of another.
 * The generator is Mulberry32 (Tommy Ettinger), good enough for sampling traffic; not for anything secret.
 */
export function randomStream(seed: number, name: string): Random {
  let state = fnv1a(`${seed}/${name}`)
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}

/** The 32-bit FNV-1a hash of the text's UTF-16 code units (Fowler, Noll, Vo), as an unsigned number. */
export function fnv1a(text: string): number {
  let hash = 0x811c9dc5
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  }
  return hash >>> 0
}
