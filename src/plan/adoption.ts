import type { RevisionRecord } from '../api/status.ts'
import { errors, type Problem, sentence } from '../errors.ts'
import { owe } from './commits.ts'
import { seenDeployment } from './deployment/state.ts'
import type { Memory, RevisionObservation } from './observation.ts'
import { KNOWN_BAD_LIMIT } from './retreat.ts'
import { templateOf } from './revision.ts'
import { recordOf } from './start.ts'
import { type Decision, event, percent, type Rule, type Turn } from './turn.ts'

/** First sight of this Rollout: who is stable? What the state file says, else initialStable, else the subset with strictly the most weight. */
export const adoption: Rule = (turn) => {
  const { o, status, spec } = turn
  if (status.stable) return undefined
  if (spec.source && o.git.mode !== 'Off' && !o.git.known) {
    return {
      phase: 'Pending',
      reason: 'WaitingForGit',
      message: `waits for Git to say what was stable: ${o.git.problem ? sentence(o.git.problem) : 'not read yet'}`,
    }
  }
  const secret = withheld(turn)
  if (secret) {
    return { phase: 'Pending', reason: secret.reason, message: `waits: ${sentence(secret)}`, ready: false }
  }
  if (!o.workload.ok || o.traffic.problem || o.conflict || !o.spec.ok) return undefined
  if (seenDeployment(turn)) return adoptDeployment(turn)
  const { all } = o.workload
  const memory = o.git.memory
  const fromMemory = memory?.stable && all.find((r) => r.name === memory.stable?.name)
  if (memory?.stable && !fromMemory) {
    return {
      phase: 'Invalid',
      reason: 'StableUnknown',
      message: `Git remembers ${memory.stable.name} as stable, but no Deployment is behind it; create it, or delete the state file to start anew`,
    }
  }
  const chosen = fromMemory ?? initial(turn, all)
  if (!chosen) {
    const shares = Object.entries(o.traffic.shares).map(([name, share]) => `${name} ${percent(share)}`)
    const message = `no subset is clearly stable (${shares.join(', ') || 'the route names none'})`
    return { phase: 'Invalid', reason: 'StableUnknown', message: `${message}. ${errors.StableUnknown.fix}` }
  }
  status.stable = foundInstead(recordOf(chosen), fromMemory && memory?.stable)
  status.knownBad = (memory?.knownBad ?? []).slice(-KNOWN_BAD_LIMIT).map((bad) => ({ ...bad }))
  if (memory?.attempt) status.attempt = memory.attempt
  const why = fromMemory
    ? 'as Git remembers'
    : spec.workload.subsets?.initialStable
      ? 'as declared'
      : 'with the most traffic'
  event(turn, 'Normal', 'Adopted', `${chosen.revision} is stable, ${why}`)
  return { phase: 'Pending', reason: 'Adopted', message: `${chosen.revision} is stable, ${why}`, requeueAfterMs: 0 }
}

/**
 * There is a state file, and it may not be believed or cannot be read: whatever was chosen now would forget for good what it knows to
 * be bad.
 */
function withheld({ o }: Turn): Problem | undefined {
  const { mode, problem, memory } = o.git
  if (mode === 'Off' || memory || !problem) return undefined
  return problem.reason === 'GitOtherCluster' || problem.reason === 'ManifestInvalid' ? problem : undefined
}

/** Marks what was found serving instead of what Git remembers: nobody has tested it here. */
function foundInstead(stable: RevisionRecord, remembered: Memory['stable'] | undefined): RevisionRecord {
  if (!remembered || remembered.hash === templateOf(stable)) return stable
  return { ...stable, tested: false, remembered: remembered.revision }
}

/** Stable is what has pods, never what the template says; with memory of another content, it is served and reported. */
function adoptDeployment(turn: Turn): Decision | undefined {
  const { o, status } = turn
  const d = seenDeployment(turn)
  if (!d || !o.workload.ok) return undefined
  const { stable } = o.workload
  if (!stable)
    return {
      phase: 'Pending',
      reason: 'Rolling',
      message: `waits for Deployment ${d.name} to end its own roll: pods of ${d.running.map((r) => r.revision).join(' and ')} are there`,
    }
  const { memory } = o.git
  status.stable = foundInstead(recordOf(stable), memory?.stable)
  status.knownBad = (memory?.knownBad ?? []).slice(-KNOWN_BAD_LIMIT).map((bad) => ({ ...bad }))
  if (memory?.attempt) status.attempt = memory.attempt
  const message = `${stable.revision} is stable, as Deployment ${d.name} runs it`
  event(turn, 'Normal', 'Adopted', message)
  return { phase: 'Pending', reason: 'Adopted', message, requeueAfterMs: 0 }
}

function initial(turn: Turn, all: readonly RevisionObservation[]): RevisionObservation | undefined {
  const declared = turn.spec.workload.subsets?.initialStable
  if (declared) return all.find((r) => r.name === declared)
  // Of all that carry traffic, also of those whose Deployment is not there (yet): none other may pass for the greatest.
  const [first, second] = Object.entries(turn.o.traffic.shares).sort(([, a], [, b]) => b - a)
  if (!first || first[1] <= 0 || first[1] === second?.[1]) return undefined
  return all.find((r) => r.name === first[0])
}

/** Git names another cluster, and this one is to take its place: said in Git once, so that the next start needs no flag. */
export function takeOver(turn: Turn): void {
  const { status, o } = turn
  if (!o.git.memory?.takenOver || !status.stable || o.rollout.deleting) return
  if (status.git?.pending?.some((e) => e.kind === 'adopt')) return
  owe(turn, {
    kind: 'adopt',
    subject: `${o.rollout.name}: taken over by this cluster (${o.rollout.namespace})`,
    trailers: { Revision: status.stable.revision },
  })
}
