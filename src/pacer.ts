/**
 * Spreads work that many callers want to do at the same moment over turns of the event loop, first come first served, so that what
 * is more urgent (an answer from the network, a retreat) gets its turn in between.
 */
export interface Pacer {
  /** Resolves when it is this caller's turn. */
  turn(): Promise<void>
}

/** One caller goes on per turn of the event loop. */
export function createPacer(): Pacer {
  const waiting: (() => void)[] = []
  let running = false

  function next(): void {
    const resolve = waiting.shift()
    if (resolve) {
      resolve()
      setImmediate(next)
    } else {
      running = false
    }
  }

  return {
    turn: () =>
      new Promise((resolve) => {
        waiting.push(resolve)
        if (running) return
        running = true
        setImmediate(next)
      }),
  }
}
