import type { Outcome, RolloutStatus } from '../../src/api/status.ts'
import type { StepGiven, Version } from '../scenario/manifests.ts'

/** One try of one version, and what may become of it. */
export interface Attempt {
  version: string
  ends: readonly Outcome['result'][]
  /** The weights it is raised to, in order; without them, any beginning of the steps. */
  way?: readonly number[]
}

/** How the question before a step is answered. */
export interface Answers {
  /** Number of the step that asks. */
  step: number
  /** Written to the object, clicked in Slack, or written while no controller is alive. */
  how: 'Kubernetes' | 'Slack' | 'WhileDead'
}

/** What people can see and do, whatever else goes wrong. */
export interface People {
  /** Resolves when the world is so; rejects when the run ends first. */
  until(test: (status: RolloutStatus) => boolean): Promise<void>
  /** Present weight of a version. */
  weight(version: string): number
  /** Pushes a change of the manifests, again and again until it is in. */
  push(subject: string, edit: (files: Manifests) => void): Promise<void>
  /** Asks for something as `sluice <verb>` does, and waits for the acknowledgement. */
  request(verb: string, details?: Record<string, unknown>): Promise<void>
  /** Makes the pods of a version answer as they should. */
  repair(version: string): void
  /** A time that differs from run to run, milliseconds. */
  hesitate(ms: number): Promise<void>
}

/** The manifests of an app, to be edited. */
export interface Manifests {
  desire(version: string): void
  /** The weight of a version that is tried; the rest is for what is stable. */
  weight(version: string, percent: number): void
  holds(hold: string): void
}

/** A release as it is told: what is tried, what people do meanwhile, and how it has to end. */
export interface Plot {
  /** Versions besides the one that is stable at first. */
  versions: Version[]
  steps: StepGiven[]
  answers?: Answers
  /** What has to have become of it, oldest first. */
  attempts: Attempt[]
  /** After the first of them was made the desired version. */
  people?(people: People): Promise<void>
}

/**
 * Names of the releases: one that is well, one that answers nothing but errors, one that needs an answer on the way (three ways to
 * give it), and those in which people do something on the way.
 */
export const kinds = [
  'bad',
  'good',
  'gated',
  'reverted',
  'restored',
  'clicked',
  'orphaned',
  'superseded',
  'overtaken',
  'aborted',
  'paused',
  'contested',
  'retried',
] as const
export type Kind = (typeof kinds)[number]

const WEIGHTS = [10, 50, 100]
const well: Version = { name: 'v2' }
const failing: Version = { name: 'v2', behaviour: { ERROR_RATE: '1' } }

/** The usual steps; at one of them, if any, only people end the hold. */
function steps(held?: number): StepGiven[] {
  return WEIGHTS.map((weight, i) => ({ weight, hold: i + 1 === held ? '10m' : '1s' }))
}

function promoted(version: string, way = WEIGHTS): Attempt {
  return { version, ends: ['Promoted'], way }
}

function plain(answers?: Answers): Plot {
  return { versions: [well], steps: steps(), attempts: [promoted('v2')], ...(answers ? { answers } : {}) }
}

const traffic = (people: People) => people.until(() => people.weight('v2') > 0)
const held = (people: People, index: number) =>
  people.until(({ step }) => step?.index === index && step.entering === undefined)

export const plots: Record<Kind, Plot> = {
  good: plain(),
  bad: { versions: [failing], steps: steps(), attempts: [{ version: 'v2', ends: ['RolledBack'], way: [10] }] },
  gated: plain({ step: 2, how: 'Kubernetes' }),
  clicked: plain({ step: 2, how: 'Slack' }),
  orphaned: plain({ step: 2, how: 'WhileDead' }),
  reverted: {
    versions: [well],
    steps: steps(2),
    attempts: [{ version: 'v2', ends: ['Reverted'] }],
    async people(people) {
      await traffic(people)
      await people.push('v1 again', (files) => files.desire('v1'))
    },
  },
  // The same, and the weights are put back by hand as well: people may do Sluice's work.
  restored: {
    versions: [well],
    steps: steps(2),
    attempts: [{ version: 'v2', ends: ['Reverted'] }],
    async people(people) {
      await traffic(people)
      await people.push('v1 again, with all the traffic', (files) => {
        files.desire('v1')
        files.weight('v2', 0)
      })
    },
  },
  // A newer version while the first one is on its way, together with other steps.
  superseded: {
    versions: [well, { name: 'v3' }],
    steps: steps(1),
    attempts: [{ version: 'v2', ends: ['Superseded'], way: [10] }, promoted('v3')],
    async people(people) {
      await traffic(people)
      await people.push('release v3', (files) => {
        files.desire('v3')
        files.holds('1s')
      })
    },
  },
  // The same while the first one fails: whoever is first, the newer version is not undone.
  overtaken: {
    versions: [failing, { name: 'v3' }],
    steps: steps(),
    attempts: [{ version: 'v2', ends: ['RolledBack', 'Superseded'], way: [10] }, promoted('v3')],
    async people(people) {
      await traffic(people)
      await people.hesitate(2_500)
      await people.push('release v3', (files) => files.desire('v3'))
    },
  },
  aborted: {
    versions: [well],
    steps: steps(1),
    attempts: [{ version: 'v2', ends: ['Aborted'], way: [10] }],
    async people(people) {
      await traffic(people)
      await people.request('abort', { reason: 'the shop is closed' })
    },
  },
  paused: {
    versions: [well],
    steps: steps(2),
    attempts: [promoted('v2')],
    async people(people) {
      await traffic(people)
      await people.request('pause')
      await people.hesitate(2_000)
      await people.request('resume')
      await held(people, 2)
      await people.request('promote', { step: 2 })
    },
  },
  contested: {
    versions: [well],
    steps: steps(2),
    attempts: [promoted('v2', [10, 50, 50, 100])],
    async people(people) {
      await held(people, 2)
      await people.push('less, please', (files) => files.weight('v2', 20))
      await people.until(({ paused }) => paused?.reason === 'GitConflict' && people.weight('v2') === 20)
      await people.hesitate(1_000)
      await people.request('resume')
      await held(people, 2)
      await people.request('promote', { step: 2 })
    },
  },
  retried: {
    versions: [failing],
    steps: steps(),
    attempts: [{ version: 'v2', ends: ['RolledBack'], way: [10] }, promoted('v2')],
    async people(people) {
      let revision = ''
      await people.until(({ phase, knownBad = [] }) => {
        revision = knownBad[0]?.revision ?? ''
        return phase === 'Healthy' && revision !== ''
      })
      people.repair('v2')
      await people.request('retry', { revision })
    },
  },
}
