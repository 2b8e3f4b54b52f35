/** One figure of a bench beside the number it has to reach. */
export interface Bar {
  what: string
  /** In the words of a table. */
  measured: string
  bar: string
  /** Undefined: the machine decides, or nothing was promised. */
  met?: boolean
}

/** The figures that do not reach their bars, one line each; nothing when all do. */
export function missed(bars: readonly Bar[]): string[] {
  return bars
    .filter(({ met }) => met === false)
    .map(({ what, measured, bar }) => `MISSED: ${what}: ${measured}, the bar is ${bar}`)
}
