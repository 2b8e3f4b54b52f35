/** One look at an SLI: events counted since the attempt began, and log10 of the evidence; NaN where nobody knows. */
export interface SliPoint {
  /** Epoch ms. */
  at: number
  good: number
  bad: number
  stableGood: number
  stableBad: number
  evidence: number
}

/** Points that one series may have; a thousand Rollouts with two SLIs each take less than 10 MB. */
export const MOST_POINTS = 120

const COLUMNS = 6
const FIRST_ROOM = 16

/**
 * The course of one SLI in little memory: 32-bit floats, which are exact enough to draw. When it is full every other point goes, and
 * from then on points are kept twice as far apart, so that it covers a minute or a month. The newest point is always there.
 */
export class Series {
  readonly #start: number
  #cells = new Float32Array(FIRST_ROOM * COLUMNS)
  #length = 0
  /** Seconds that two kept points are apart at least. */
  #spacing = 0

  /** @param start epoch ms of the attempt; points are kept relative to it. */
  constructor(start: number) {
    this.#start = start
  }

  /** Adds a look, unless it says what the last one said. */
  add(point: SliPoint): void {
    const row = [
      (point.at - this.#start) / 1000,
      point.good,
      point.bad,
      point.stableGood,
      point.stableBad,
      point.evidence,
    ].map(Math.fround)
    const last = this.#length - 1
    if (last >= 0 && row.every((cell, i) => i === 0 || Object.is(cell, this.#cell(last, i)))) return
    const tooClose = last >= 1 && this.#cell(last, 0) - this.#cell(last - 1, 0) < this.#spacing
    if (!tooClose) {
      if (this.#length === MOST_POINTS) this.#thin()
      this.#makeRoom()
      this.#length++
    }
    this.#cells.set(row, (this.#length - 1) * COLUMNS)
  }

  /** Oldest first. */
  points(): SliPoint[] {
    return Array.from({ length: this.#length }, (_, row) => ({
      at: this.#start + Math.round(this.#cell(row, 0) * 1000),
      good: this.#cell(row, 1),
      bad: this.#cell(row, 2),
      stableGood: this.#cell(row, 3),
      stableBad: this.#cell(row, 4),
      evidence: this.#cell(row, 5),
    }))
  }

  #cell(row: number, column: number): number {
    return this.#cells[row * COLUMNS + column] ?? Number.NaN
  }

  #thin(): void {
    let kept = 0
    for (let row = 0; row < this.#length; row += 2) {
      this.#cells.copyWithin(kept * COLUMNS, row * COLUMNS, (row + 1) * COLUMNS)
      kept++
    }
    const span = this.#cell(kept - 1, 0) - this.#cell(0, 0)
    this.#spacing = span / kept
    this.#length = kept
  }

  #makeRoom(): void {
    if (this.#cells.length >= (this.#length + 1) * COLUMNS) return
    const larger = new Float32Array(Math.min(this.#cells.length * 2, MOST_POINTS * COLUMNS))
    larger.set(this.#cells)
    this.#cells = larger
  }
}
