const metricName = '__name__'

/**
 * An immutable label set, sorted by label name, without empty values (to Prometheus an empty label is no label).
 * Its identity and its name-less form are computed once, because nearly every operator asks for them.
 */
export class Labels {
  readonly names: readonly string[]
  readonly values: readonly string[]
  #key: string | undefined
  #nameless: Labels | undefined

  /** `names` must be sorted and unique, `values` parallel to it and without empty strings; use `Labels.from` otherwise. */
  constructor(names: readonly string[], values: readonly string[]) {
    this.names = names
    this.values = values
  }

  static readonly empty = new Labels([], [])

  /** Builds a label set from any record or list of pairs; empty values are dropped, the last of equal names wins. */
  static from(source: Readonly<Record<string, string>> | Iterable<readonly [string, string]>): Labels {
    const pairs = Symbol.iterator in source ? source : Object.entries(source)
    const map = new Map<string, string>()
    for (const [name, value] of pairs as Iterable<readonly [string, string]>) map.set(name, value)
    const names = [...map.keys()].filter((name) => map.get(name) !== '').sort(byteOrder)
    return new Labels(
      names,
      names.map((name) => map.get(name)!),
    )
  }

  /** Equal for equal label sets, different otherwise. */
  get key(): string {
    if (this.#key === undefined) {
      let key = ''
      for (let i = 0; i < this.names.length; i++) key += `${this.names[i]}\u0001${this.values[i]}\u0002`
      this.#key = key
    }
    return this.#key
  }

  /** The value of a label, or `''` when it is not set. */
  get(name: string): string {
    const i = this.names.indexOf(name)
    return i < 0 ? '' : this.values[i]!
  }

  /** The same labels without the metric name. */
  get nameless(): Labels {
    this.#nameless ??= this.names.includes(metricName) ? this.filter((name) => name !== metricName) : this
    return this.#nameless
  }

  filter(keep: (name: string) => boolean): Labels {
    const names: string[] = []
    const values: string[] = []
    for (let i = 0; i < this.names.length; i++) {
      if (!keep(this.names[i]!)) continue
      names.push(this.names[i]!)
      values.push(this.values[i]!)
    }
    return new Labels(names, values)
  }

  /** The same labels with one set, or removed when `value` is empty. */
  with(name: string, value: string): Labels {
    return Labels.from([...this.entries(), [name, value]])
  }

  *entries(): IterableIterator<readonly [string, string]> {
    for (let i = 0; i < this.names.length; i++) yield [this.names[i]!, this.values[i]!]
  }

  toRecord(): Record<string, string> {
    return Object.fromEntries(this.entries())
  }

  /** As Prometheus prints a label set in its error messages. */
  toString(): string {
    return `{${[...this.entries()].map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(', ')}}`
  }
}

/** Go compares strings by bytes; for UTF-16 strings that is the order of code points. */
export function byteOrder(a: string, b: string): number {
  if (a === b) return 0
  const n = Math.min(a.length, b.length)
  for (let i = 0; i < n; i++) {
    const x = a.charCodeAt(i)
    const y = b.charCodeAt(i)
    if (x === y) continue
    // A surrogate stands for a code point above every other UTF-16 unit.
    const xs = x >= 0xd800 && x <= 0xdfff
    const ys = y >= 0xd800 && y <= 0xdfff
    return xs === ys ? x - y : xs ? 1 : -1
  }
  return a.length - b.length
}

/** Orders label sets as Prometheus sorts the series of a range answer: pair by pair, name before value. */
export function compareLabels(a: Labels, b: Labels): number {
  const n = Math.min(a.names.length, b.names.length)
  for (let i = 0; i < n; i++) {
    const order = byteOrder(a.names[i]!, b.names[i]!) || byteOrder(a.values[i]!, b.values[i]!)
    if (order !== 0) return order
  }
  return a.names.length - b.names.length
}
