import { systemRuntime as runtime } from '../../src/runtime.ts'
import type { Fault } from '../../src/sandbox/apiserver/index.ts'
import type { Random } from '../../src/sandbox/mesh/random.ts'
import type { FaultState } from '../../src/sandbox/prometheus/faults.ts'
import { CONTROLLER_USER } from '../../src/sandbox/sandbox.ts'
import type { Stage } from '../scenario/stage.ts'
import type { Fleet } from './fleet.ts'
import type { Release } from './release.ts'
import type { Slack } from './slack.ts'

/** What disturbances act upon. */
export interface Scenery {
  stage: Stage
  fleet: Fleet
  releases: readonly Release[]
  random: Random
  /** Names of what is going wrong now; none of it begins twice. */
  underWay: Set<string>
}

/** A disturbance: begins, and answers how to end it; one that is over at once answers nothing. */
export interface Trouble {
  name: string
  /** How often it is chosen, beside the others. */
  share: number
  begin(scenery: Scenery): Promise<(() => unknown) | undefined> | (() => unknown) | undefined
}

const mutating = new Set(['create', 'update', 'patch', 'delete'])

function api(name: string, fault: Omit<Fault, 'user' | 'match'>, onlyWrites = true): Trouble {
  return {
    name: `API server: ${name}`,
    share: 1,
    begin: ({ stage }) =>
      stage.sandbox.api.faults.add({
        ...fault,
        user: CONTROLLER_USER,
        // Leases are disturbed as well: that is how leaders are deposed.
        match: ({ verb }) => (onlyWrites ? mutating.has(verb) : verb !== 'watch'),
      }),
  }
}

function prometheus(name: string, faults: Partial<FaultState>): Trouble {
  return {
    name: `Prometheus: ${name}`,
    share: 0.5,
    async begin({ stage }) {
      await stage.sandbox.prometheus.faults.set(faults)
      return () => stage.sandbox.prometheus.faults.clear()
    },
  }
}

function git(name: string, set: (release: Release) => unknown, afterwards?: (release: Release) => unknown): Trouble {
  return {
    name: `Git: ${name}`,
    share: 0.7,
    begin({ releases, random }) {
      const release = releases[Math.floor(random() * releases.length)]
      if (!release) return undefined
      set(release)
      return () => {
        release.scene.remote.faults.clear()
        return afterwards?.(release)
      }
    },
  }
}

function slack(name: string, fault: Parameters<Slack['break']>[0]): Trouble {
  return {
    name: `Slack: ${name}`,
    share: 0.5,
    begin({ fleet }) {
      fleet.slack.break(fault)
      return () => fleet.slack.mend()
    },
  }
}

/** Everything that is done to a controller and to what it talks to. */
export const troubles: readonly Trouble[] = [
  api('409', { error: 409, probability: 0.5 }),
  api('429 with Retry-After', { error: 429, retryAfter: 1, probability: 0.5 }, false),
  api('500', { error: 500, probability: 0.5 }, false),
  api('resets', { reset: true, probability: 0.5 }, false),
  api('writes whose answers are lost', { resetAfter: true, probability: 0.5 }),
  api('a stalled write', { stall: true, count: 1 }),
  api('slow', { latencyMs: 400 }, false),
  api('slow writes', { latencyMs: 1_500 }),
  {
    name: 'API server: 410, and all watches dropped',
    share: 1,
    begin({ stage }) {
      stage.sandbox.api.compact()
      stage.sandbox.api.faults.dropWatches()
      return undefined
    },
  },
  {
    name: 'API server: silent watches, then dropped',
    share: 1,
    begin({ stage }) {
      const { faults } = stage.sandbox.api
      faults.silenceWatches(true)
      return () => {
        faults.silenceWatches(false)
        faults.dropWatches()
      }
    },
  },
  {
    name: 'API server: restart',
    share: 1,
    async begin({ stage, random }) {
      await stage.sandbox.api.restart({ downMs: 200 + random() * 1_500 })
      return undefined
    },
  },
  prometheus('refused', { outage: 'refused' }),
  prometheus('reset', { outage: 'reset' }),
  prometheus('500', { status: 500 }),
  prometheus('a login page', { html: true }),
  prometheus('garbage', { garbage: true }),
  prometheus('stalled', { stalled: true }),
  prometheus('slow', { latencyMs: 1_500 }),
  prometheus('NaN', { answers: 'nan' }),
  prometheus('Inf', { answers: 'inf' }),
  prometheus('empty', { answers: 'empty' }),
  prometheus('no scrapes', { stale: true }),
  git('down', ({ scene }) => Object.assign(scene.remote.faults, { down: true })),
  git('slow', ({ scene }) => Object.assign(scene.remote.faults, { delayMs: 700 })),
  git('never answers', ({ scene }) => Object.assign(scene.remote.faults, { delayMs: Number.POSITIVE_INFINITY })),
  // A refusal is not asked again until the branch has moved.
  git(
    'refuses pushes',
    ({ scene }) => Object.assign(scene.remote.faults, { rejectPush: 'GH006: Protected branch update failed' }),
    (release) => release.pushForeign().catch(() => undefined),
  ),
  git('500', ({ scene }) => Object.assign(scene.remote.faults, { status: 500 })),
  git('answers to pushes are lost', ({ scene }) => Object.assign(scene.remote.faults, { loseAnswers: 1 })),
  slack('down', { status: 503 }),
  slack('rate limited', { status: 429, retryAfter: '1' }),
  slack('never answers', { hang: true }),
  {
    name: 'Git: other people push',
    share: 2,
    async begin({ releases }) {
      await Promise.all(releases.map((release) => release.pushForeign()))
      return undefined
    },
  },
]

/** Ways to end a controller at a random instant. */
export const deaths: readonly Trouble[] = [
  {
    name: 'controller: killed',
    share: 3,
    begin({ fleet }) {
      fleet.killLeader('at a random instant')
      return undefined
    },
  },
  {
    name: 'controller: all killed',
    share: 1,
    begin({ fleet }) {
      fleet.killAll('all at a random instant')
      return undefined
    },
  },
  {
    name: 'controller: frozen beyond its lease',
    share: 2,
    begin({ fleet, random }) {
      fleet.freezeLeader(500 + random() * 4_000)
      return undefined
    },
  },
]

/** Disturbs at random until told to stop; counts what it did by name. Everything is undone when it resolves. */
export async function disturb(
  scenery: Scenery,
  list: readonly Trouble[],
  pace: { pauseMs: number; lengthMs: number },
  counts: Map<string, number>,
  signal: AbortSignal,
): Promise<void> {
  const { random, releases, underWay } = scenery
  const note = (what: string) => {
    for (const release of releases) release.trouble(what)
  }
  const wait = (ms: number) => runtime.sleep(ms, signal).catch(() => undefined)
  while (!signal.aborted) {
    await wait(pace.pauseMs * (0.3 + 1.4 * random()))
    if (signal.aborted) return
    const trouble = choose(list, random)
    if (underWay.has(trouble.name)) continue
    underWay.add(trouble.name)
    counts.set(trouble.name, (counts.get(trouble.name) ?? 0) + 1)
    note(trouble.name)
    const end = await begun(trouble, scenery, note)
    if (end) {
      await wait(pace.lengthMs * (0.3 + 1.4 * random()))
      await end()
      note(`over: ${trouble.name}`)
    }
    underWay.delete(trouble.name)
  }
}

/** People who lose every race for a push give up, as people do; that is no end of the run. */
async function begun(
  trouble: Trouble,
  scenery: Scenery,
  note: (what: string) => void,
): Promise<(() => unknown) | undefined> {
  try {
    return await trouble.begin(scenery)
  } catch (error) {
    note(`not done: ${trouble.name}: ${error instanceof Error ? error.message.split('\n')[0] : error}`)
    return undefined
  }
}

function choose(list: readonly Trouble[], random: Random): Trouble {
  let left = random() * list.reduce((sum, { share }) => sum + share, 0)
  for (const trouble of list) {
    left -= trouble.share
    if (left < 0) return trouble
  }
  return list[list.length - 1]!
}
