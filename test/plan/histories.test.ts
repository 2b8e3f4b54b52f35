import fc from 'fast-check'
import { describe, test } from 'vitest'
import { histories, play } from './history.ts'

/** Histories in all; SLUICE_HISTORIES asks for more than CI plays. */
const runs = Number(process.env.SLUICE_HISTORIES ?? 10_000)

describe('whatever happens to a Rollout', () => {
  test('every promise holds at every moment, and it comes to an end', { timeout: 0 }, () => {
    fc.assert(
      fc.property(histories(), (history) => {
        play(history)
      }),
      { numRuns: Math.ceil(runs * 0.7), verbose: 0 },
    )
  })
})
