import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { quantile } from './judge-random.ts'

/** What this machine does just now: absolute times of two runs can only be compared beside it. */
export interface Calibration {
  /** Megabytes of SHA-256 per second in one thread. */
  speed: number
  /** By how many milliseconds 99 of 100 timers are late at most. */
  late: number
}

/** Takes about a second. */
export async function calibrate(): Promise<Calibration> {
  const block = Buffer.alloc(1_000_000, 7)
  const rounds = 100
  const started = performance.now()
  for (let round = 0; round < rounds; round++) createHash('sha256').update(block).digest()
  const speed = rounds / ((performance.now() - started) / 1000)
  const lateness: number[] = []
  for (let i = 0; i < 50; i++) {
    const due = performance.now() + 5
    await sleep(5)
    lateness.push(Math.max(0, performance.now() - due))
  }
  return { speed, late: quantile(lateness, 0.99) }
}
