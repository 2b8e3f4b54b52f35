import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type History, histories, play } from './history.ts'
import type { DeploymentWorld } from './world.ts'

/** Histories in all, of which a part is played twice; SLUICE_HISTORIES asks for more than CI plays, as it does of subsets. */
const runs = Math.ceil(0.3 * Number(process.env.SLUICE_HISTORIES ?? 10_000))

/** The same histories in every run, so that a red test tells of the change and not of luck; SLUICE_SEED hunts elsewhere. */
const seed = Number(process.env.SLUICE_SEED ?? 20_260_601)
console.log(`${runs} histories of a Deployment from seed ${seed}`)

/** What is left of a history for those who come later. */
function outcome({ status, points, log, gone, gitTemplate, cluster, namespaceTerminating }: DeploymentWorld) {
  // A namespace that is going away takes everything along, and waits for nobody: what was done before that is chance.
  if (namespaceTerminating) return { gone, points }
  const { deployment: d, canary, labelled, autoscaler } = cluster
  return {
    gone,
    points,
    gitTemplate,
    labelled,
    canary: canary?.revision,
    template: d?.template,
    paused: d?.paused,
    minimum: autoscaler?.min,
    stable: status.stable?.revision,
    tested: status.stable?.tested,
    outcomes: status.history?.map(({ revision, result, reason }) => ({ revision, result, reason })),
    bad: status.knownBad?.map((k) => k.revision).sort(),
    commits: log.map(({ kind, weights, template }) => ({ kind, weights, template })),
  }
}

/** Every reconcile in `deaths` dies: before the effect with that index, or (-1) right after the status was recorded. */
function killed(history: History, deaths: Map<number, number>): DeploymentWorld {
  return play(history, (reconcile) => deaths.get(reconcile))
}

describe('whatever happens to a Deployment', () => {
  test('every promise holds at every moment, and it comes to an end', { timeout: 0 }, () => {
    fc.assert(
      fc.property(histories(), (history) => {
        play(history)
      }),
      { seed, numRuns: Math.ceil(runs * 0.6) },
    )
  })

  test('a controller that dies anywhere, and often, leaves the same outcomes and the same commits (I5)', {
    timeout: 0,
  }, () => {
    const death = fc.tuple(fc.nat(60), fc.integer({ min: -1, max: 7 }))
    fc.assert(
      fc.property(histories(8), fc.array(death, { minLength: 1, maxLength: 12 }), (history, deaths) => {
        expect(outcome(killed(history, new Map(deaths)))).toEqual(outcome(play(history)))
      }),
      { seed, numRuns: Math.ceil(runs * 0.2) },
    )
  })
})
