import { mean, quantile, seeded } from '../judge-random.ts'
import { byJudge, byThreshold, drawTraffic, type Reaction } from './thresholds.ts'

export interface Act {
  /** Share of the canary's requests that fail from the onset on. */
  sickRate: number
  healthySeconds: number
  sickSeconds: number
  /** How often it is played, each time with other requests and at other phases of checks and scrapes. */
  plays: number
}

/** What one rule let through in an act. */
export interface Toll {
  /** Mean of bad requests that clients got from the canary. */
  bad: number
  /** Median and 90 % of the seconds from the onset until traffic is put back. */
  median: number
  p90: number
  /** Plays in which it did not react at all. */
  missed: number
  /** Plays in which it reacted before anything was wrong. */
  early: number
}

export interface Comparison {
  act: Act
  fiveFailures: Toll
  oneFailure: Toll
  judge: Toll
}

/** 100 requests a second, a tenth of them to the canary, of which 0.1 % fail in health; 99 % must succeed. */
export const SETTING = { rps: 100, share: 0.1, healthyRate: 0.001, objective: 99, interval: 15, scrape: 15 }

/** Plays an act, and lets every rule judge the same requests. */
export async function compareRules(act: Act, seed: number): Promise<Comparison> {
  const random = seeded(seed)
  const reactions = { fiveFailures: [] as Reaction[], oneFailure: [] as Reaction[], judge: [] as Reaction[] }
  for (let play = 0; play < act.plays; play++) {
    const traffic = drawTraffic(random, { ...SETTING, ...act })
    const threshold = { objective: SETTING.objective, phase: Math.floor(random() * 60) }
    reactions.fiveFailures.push(byThreshold(traffic, { ...threshold, failures: 5 }))
    reactions.oneFailure.push(byThreshold(traffic, { ...threshold, failures: 1 }))
    reactions.judge.push(await byJudge(traffic, { ...SETTING, phase: Math.floor(random() * SETTING.scrape) }))
  }
  return {
    act,
    fiveFailures: tollOf(reactions.fiveFailures),
    oneFailure: tollOf(reactions.oneFailure),
    judge: tollOf(reactions.judge),
  }
}

function tollOf(reactions: readonly Reaction[]): Toll {
  const counted = reactions.filter((reaction) => !reaction.early)
  const seconds = counted.map((reaction) => reaction.seconds)
  return {
    bad: mean(counted.map((reaction) => reaction.bad)),
    median: quantile(seconds, 0.5),
    p90: quantile(seconds, 0.9),
    missed: counted.filter((reaction) => !reaction.reacted).length,
    early: reactions.length - counted.length,
  }
}
