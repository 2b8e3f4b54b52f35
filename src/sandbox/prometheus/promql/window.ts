/** The samples a range function sees at one instant: entries `from` (inclusive) to `to` (exclusive), oldest first. */
export interface Window {
  readonly times: Float64Array
  readonly values: Float64Array
  readonly from: number
  readonly to: number
  /** The selected range in milliseconds; `endMs` is the evaluation instant less the offset. */
  readonly startMs: number
  readonly endMs: number
  readonly rangeMs: number
  /** The evaluation instant itself. */
  readonly evaluatedAtMs: number
}

/** A function over a non-empty window and its scalar argument, if it has one; `undefined` is no result. */
export type RangeFunction = (window: Window, parameter: number) => number | undefined
