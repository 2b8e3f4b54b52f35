import { join } from 'node:path'
import { systemRuntime as runtime } from '../../src/runtime.ts'
import { randomStream } from '../../src/sandbox/mesh/random.ts'
import { openStage } from '../scenario/stage.ts'
import { type Fleet, startFleet } from './fleet.ts'
import type { Violation } from './invariants.ts'
import { measureLag } from './lag.ts'
import type { Kind } from './plot.ts'
import { type Mode, prepareRelease, type Release } from './release.ts'
import { trapEveryLife, trapPush, trapWrite } from './trap.ts'
import { deaths, disturb, troubles } from './trouble.ts'

/** One run: some releases side by side, disturbed from a seed. */
export interface RunOptions {
  seed: number
  controllers: number
  /** What is played, each in a namespace of its own. */
  plays: readonly { kind: Kind; mode: Mode }[]
  /** How long things go wrong, from the moment the releases begin; then they may end in peace. */
  disturbMs: number
  /** After that they may take their time, as long as anything moves within this. */
  patienceMs: number
}

export interface RunResult {
  /**
   * Some release did not come to its end, and the machine had no time for the cluster: that proves nothing. What went wrong
   * before is in the violations all the same.
   */
  starved: boolean
  violations: { namespace: string; violation: Violation }[]
  kills: ReadonlyMap<string, number>
  starts: number
  faults: Map<string, number>
  /** Everything that was seen, for the person who has to find out. */
  text: string
}

/** How a run kills: once at a write about each release, every process at one of its first writes, or at random instants. */
const killings = ['Writes', 'EveryLife', 'Instants'] as const

/** Share of the time that a cluster may be without the machine and still come to its end. */
const STARVED = 0.1

/** What can only be judged once a release is over. */
const isOfTheEnd = new Set<Violation['rule']>(['End', 'Request'])

/** Plays the releases, and holds them to the invariants. Throws only when the sandbox itself fails. */
export async function run(options: RunOptions): Promise<RunResult> {
  const { seed, controllers, plays, disturbMs, patienceMs } = options
  const random = randomStream(seed, 'torture')
  const faults = new Map<string, number>()
  const lag = measureLag()
  const stage = await openStage()
  let fleet: Fleet | undefined
  const releases: Release[] = []
  try {
    const { sandbox, dir } = stage
    const keep = randomStream(seed, 'work')
    const onEvent = (what: string) => {
      for (const release of releases) release.trouble(what)
    }
    const acting = await startFleet({ sandbox, dir, controllers, keepsWork: () => keep() < 0.7, onEvent })
    fleet = acting
    const whims = randomStream(seed, 'people')
    const prepared = plays.map(({ kind, mode }, i) =>
      prepareRelease(stage, acting, `${kind}-${i}`, kind, { mode, random: whims }),
    )
    releases.push(...(await Promise.all(prepared)))
    const killing = killings[Math.floor(random() * killings.length)]
    const removes: (() => void)[] = []
    if (killing === 'EveryLife') removes.push(trapEveryLife(sandbox.api, acting.killLeader, random))
    if (killing === 'Writes')
      for (const { namespace } of releases) {
        const boundary = { n: 1 + Math.floor(random() * 45), when: random() < 0.5 ? 'Before' : 'After' } as const
        removes.push(trapWrite(sandbox.api, namespace, boundary, acting.killLeader))
        trapPush(join(dir, `${namespace}.git`), acting.pidFile, 1 + Math.floor(random() * 4), [boundary.when])
      }
    await Promise.all(releases.map((release) => release.begin()))
    const over = new AbortController()
    const scenery = { stage, fleet: acting, releases, random, underWay: new Set<string>() }
    const pace = { pauseMs: 300 + random() * 900, lengthMs: 500 + random() * 2_000 }
    // Two things at once go wrong in half of the runs.
    const trouble = Array.from({ length: random() < 0.5 ? 1 : 2 }, () =>
      disturb(scenery, troubles, pace, faults, over.signal),
    )
    const dying =
      killing === 'Instants'
        ? disturb(scenery, deaths, { pauseMs: 3_500, lengthMs: 0 }, faults, over.signal)
        : Promise.resolve()
    await until(() => releases.every((release) => release.isOver()), disturbMs)
    over.abort()
    await Promise.all([...trouble, dying])
    for (const remove of removes) remove()
    onEvent('peace')
    await untilStill(releases, patienceMs)
    // Nothing may come after the end.
    await runtime.sleep(1_500)
    const unfinished = new Set(releases.filter((release) => !release.isOver()).map(({ namespace }) => namespace))
    const starved = unfinished.size > 0 && lag.share() > STARVED
    const judged = await Promise.all(releases.map((release) => release.judge()))
    return {
      starved,
      violations: judged.flatMap(({ violations, story: { namespace } }) =>
        violations
          .filter(({ rule }) => !(starved && unfinished.has(namespace) && isOfTheEnd.has(rule)))
          .map((violation) => ({ namespace, violation })),
      ),
      kills: acting.kills,
      starts: acting.starts,
      faults,
      text: [
        ...judged.map(({ story }, i) => releases[i]!.text(story)),
        'log of the controllers:',
        ...acting.log(),
      ].join('\n'),
    }
  } finally {
    lag.stop()
    await fleet?.stop()
    for (const release of releases) await release.stop()
    await stage.stop()
  }
}

async function until(test: () => boolean, ms: number): Promise<void> {
  const end = runtime.monotonic() + ms
  while (!test() && runtime.monotonic() < end) await runtime.sleep(50)
}

/** Until all of them are over, or nothing has moved for so long: a busy machine is slow, and no violation. */
async function untilStill(releases: readonly Release[], ms: number): Promise<void> {
  for (let before = ''; ; ) {
    const now = progressOf(releases)
    if (now === before) return
    before = now
    await until(() => releases.every((release) => release.isOver()) || progressOf(releases) !== before, ms)
    if (releases.every((release) => release.isOver())) return
  }
}

function progressOf(releases: readonly Release[]): string {
  return JSON.stringify(
    releases.map(({ scene }) => {
      const { phase, attempt, move, step, history, git, lastRequest } = scene.status()
      return [phase, attempt, move, step?.index, history?.length, git?.pending?.length, lastRequest?.id]
    }),
  )
}
