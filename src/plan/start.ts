import type { RevisionRecord, RolloutStatus } from '../api/status.ts'
import { errors, sentence } from '../errors.ts'
import { owe, writesGit } from './commits.ts'
import { isConfigOnly } from './deployment/configuration.ts'
import { unlatched } from './deployment/latch.ts'
import { recorded, seenDeployment } from './deployment/state.ts'
import { destinationOf } from './destinations.ts'
import type { DeploymentObservation, PairObservation, RevisionObservation } from './observation.ts'
import { isBeforeOwnWrite } from './own-write.ts'
import { KNOWN_BAD_LIMIT, takenBack } from './retreat.ts'
import { sameContent, sameRevision, templateOf } from './revision.ts'
import { positionOf } from './steps.ts'
import { type Decision, event, iso, lowerWeight, percent, type Rule, stableIsGone, type Turn } from './turn.ts'

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
  status.stable = recordOf(chosen)
  if (fromMemory && memory?.stable && memory.stable.hash !== chosen.hash) status.stable.tested = false
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
  status.stable = recordOf(stable)
  if (memory?.stable && memory.stable.hash !== templateOf(stable)) status.stable.tested = false
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

/** Nothing to release, or something that must not be: the state in which a Rollout spends its life. */
export const idle: Rule = (turn) => {
  const { o, status } = turn
  if (status.canary || !status.stable || !o.workload.ok || !o.spec.ok || o.conflict || o.traffic.problem)
    return undefined
  const { desired } = o.workload
  // The pair of Deployment mode is always the same: what is wrong with it is said before it is needed.
  const unroutable = seenDeployment(turn) !== undefined && o.traffic.desired?.ok === false
  if (sameRevision(status.stable, desired)) return unroutable ? undefined : healthy(turn)
  const bad = status.knownBad?.find(
    (k) => k.revision === desired.revision || (k.name === desired.name && sameContent(k, desired)),
  )
  return bad ? keptOut(turn, bad) : undefined
}

function healthy(turn: Turn): Decision {
  const { status, o } = turn
  const { stable } = status
  delete status.step
  const stale = reapplied(turn)
  if (stale) return stale
  const live = o.traffic.shares[destinationOf(turn.spec, 'stable', status) ?? ''] ?? 0
  const untested = stable?.tested === false ? `; its content changed in place and was not tested` : ''
  const reason = untested ? 'UntestedServing' : 'Healthy'
  const note = `${untested}${gitNote(turn)}`
  const bad = status.knownBad?.some((k) => k.revision === stable?.revision) ?? false
  if (bad)
    return {
      phase: 'Healthy',
      reason: 'UntestedServing',
      ready: false,
      message: `${stable?.revision} serves and is known to be bad; another version has to be declared${note}`,
    }
  if (live < 99.99 && Object.keys(o.traffic.shares).length > 0) {
    return {
      phase: 'Healthy',
      reason: live === 100 ? reason : 'WeightsLeftAlone',
      message: `${stable?.revision} is desired and stable, with ${percent(live)} of the traffic; weights are left alone while nothing is released${note}`,
    }
  }
  return { phase: 'Healthy', reason, message: `${stable?.revision} has all the traffic${note}` }
}

/**
 * Between a retreat and its commit Git still has the old weight, and an engine may apply it once more: it goes back at once, as it
 * would with the canary still in flight. Weights that Git is not about to be told of are people's own.
 */
function reapplied(turn: Turn): Decision | undefined {
  const { status, o } = turn
  const entry = status.git?.pending?.find((e) => e.weights?.weight === 0 && !e.void)
  const { stable, canary } = entry?.weights ?? {}
  if (!stable || !canary || stable !== destinationOf(turn.spec, 'stable', status)) return undefined
  const share = o.traffic.shares[canary] ?? 0
  if (share <= 0 || stableIsGone(turn)) return undefined
  turn.effects.unshift({ kind: 'setWeight', stable, canary, weight: 0, direction: 'retreat', reason: 'Reapplied' })
  const message = `${canary} was given ${percent(share)} of the traffic before Git could be told that it has none; put back to 0%`
  event(turn, 'Warning', 'WeightRaised', message)
  return { phase: 'Healthy', reason: 'WeightRaised', message, requeueAfterMs: 0 }
}

/** What will keep the next release from being committed, said before it matters. An outage passes by itself and is not mentioned. */
function gitNote({ o }: Turn): string {
  const { problem } = o.git
  return !problem || problem.reason === 'GitUnreachable' ? '' : `; nothing can be committed: ${sentence(problem)}`
}

/** The desired revision was rolled back before (I8): it is left where a person or a slow engine put it, and gets no traffic. */
function keptOut(turn: Turn, bad: { revision: string; reason: string; message?: string }): Decision {
  const { status, o } = turn
  const pair = o.traffic.desired
  status.step = status.step ?? { index: 0, weight: 0, since: iso(turn.now) }
  if (pair?.ok && pair.weight > 0 && !isBeforeOwnWrite(status, pair, turn.now)) {
    if (stableIsGone(turn))
      return {
        phase: 'RolledBack',
        reason: 'NowhereToGo',
        message: `${bad.revision} is known to be bad and has ${percent(pair.weight)} of the traffic; it stays there because ${status.stable?.name} has no ready pod to go back to`,
        requeueAfterMs: 1_000,
      }
    lowerWeight(turn, pair, 0, 'KnownBad')
    const by = pair.writer?.manager ?? 'somebody'
    event(
      turn,
      'Warning',
      'KnownBad',
      `${bad.revision} was given ${percent(pair.weight)} of the traffic (last written by ${by}); put back to 0%`,
    )
  }
  if (turn.status.phase === 'RolledBack' || turn.status.phase === 'RollingBack') {
    const same = status.lastOutcome?.revision === bad.revision
    const settled = same && !status.conditions?.some((c) => c.type === 'Stalled' && c.reason === 'KnownBad')
    if (settled)
      return {
        phase: 'RolledBack',
        reason: status.lastOutcome?.reason ?? bad.reason,
        message: status.lastOutcome?.message ?? `${bad.revision} was rolled back`,
      }
  }
  return {
    phase: 'RolledBack',
    reason: 'KnownBad',
    message: `${bad.revision} is desired but was rolled back before (${bad.message ?? bad.reason}); it is left in Git and not tried. ${errors.KnownBad.fix}`,
  }
}

/** A new revision is desired: weights are recorded as they are, nothing moves yet, guard and evidence begin. */
export const start: Rule = (turn) => {
  const { o, status, now, spec } = turn
  if (status.canary || !status.stable || !o.workload.ok || !o.spec.ok || o.conflict || o.traffic.problem)
    return undefined
  const pair = o.traffic.desired
  if (!pair?.ok) return undefined
  if (isBeforeOwnWrite(status, pair, now))
    return {
      phase: 'Progressing',
      reason: 'Starting',
      message: `waits to see its own last write of the route before ${o.workload.desired.revision} starts`,
      requeueAfterMs: 100,
    }
  const d = seenDeployment(turn)
  const held = d && notReadyToStart(turn, d, pair)
  if (held) return held
  if (!o.rollout.hasFinalizer) turn.effects.push({ kind: 'addFinalizer' })
  const fallback = structuredClone(status)
  if (d) recorded(turn).floor = d.replicas
  const canary = recordOf(o.workload.desired)
  status.canary = canary
  status.attempt = (status.attempt ?? 0) + 1
  status.startedAt = iso(now)
  if (pair.weight > 0) status.exposedAt = iso(now)
  // Git tells who brought a template, not who changed what is not in it.
  if (o.git.author && !isConfigOnly(status.stable, canary)) status.author = o.git.author
  status.step = {
    index: positionOf(spec.steps, pair.weight, pair.sum),
    weight: pair.weight,
    since: iso(now),
    heldMs: 0,
    heldAt: iso(now),
  }
  delete status.analysis
  const found = pair.weight > 0 ? `, found with ${percent(pair.weight)} of the traffic` : ''
  const message = `${canary.revision} is to replace ${status.stable.revision}${found}`
  event(turn, 'Normal', 'Started', message)
  turn.effects.push({ kind: 'notify', topic: 'started', message })
  return { phase: 'Progressing', reason: 'Started', message, requeueAfterMs: 0, fallback }
}

/** In Deployment mode the latch has to hold, and nothing of an earlier attempt may be left: neither pods nor traffic to them. */
function notReadyToStart(
  turn: Turn,
  d: DeploymentObservation,
  pair: PairObservation & { ok: true },
): Decision | undefined {
  const { workload } = turn.o
  if (!workload.ok) return undefined
  const { desired } = workload
  const { waits } = d.configuration ?? {}
  const wait = (message: string): Decision => ({
    phase: 'Progressing',
    reason: 'Starting',
    message,
    requeueAfterMs: 1_000,
  })
  if (waits !== undefined) return wait(`${desired.name} is to replace ${turn.status.stable?.name}, and waits: ${waits}`)
  const same = d.canary?.revision === desired.revision && !d.canary.deleting
  if (pair.weight > 0 && !(same && (d.canary?.ready ?? 0) > 0)) {
    if (stableIsGone(turn)) return wait(`waits: ${turn.status.stable?.revision} has no ready pod`)
    lowerWeight(turn, pair, 0, 'Leftover')
    return wait(
      `${pair.canary} had ${percent(pair.weight)} of the traffic with nothing of ${desired.revision} behind it; put back to 0%`,
    )
  }
  if (d.canary && !(same && pair.weight > 0))
    return wait(`${desired.revision} starts when the pods of ${d.canary.name} from the attempt before are gone`)
  return unlatched(turn, d)
}

/** What status keeps of a revision. */
export function recordOf(revision: RevisionRecord): RevisionRecord {
  const { revision: id, name, hash, format, image, workloads, template, config } = revision
  return {
    revision: id,
    name,
    hash,
    format,
    workloads: workloads.map((w) => ({ ...w })),
    ...(image === undefined ? {} : { image }),
    ...(template === undefined ? {} : { template }),
    ...(config === undefined ? {} : { config: structuredClone(config) }),
  }
}

/** Commits a known-bad revision as desired again when a person asks to retry it. */
export function commitRetry(turn: Turn, mark: KnownBad, by: string | undefined): void {
  const { o } = turn
  const desired = o.workload.ok ? o.workload.desired : undefined
  const name = desired?.name ?? turn.spec.workload.subsets?.desired
  const now = desired ?? (name === undefined ? undefined : { name, revision: name, hash: '' })
  const isSame = turn.spec.workload.subsets ? now?.name === mark.name : now && templateOf(now) === templateOf(mark)
  if (!writesGit(turn) || !now || isSame) return
  owe(turn, {
    kind: 'retry',
    subject: `${o.rollout.name}: retry ${mark.name} (${o.rollout.namespace})`,
    ...takenBack(turn, now, mark),
    trailers: { Revision: mark.revision, 'Requested-by': by },
  })
}

type KnownBad = NonNullable<RolloutStatus['knownBad']>[number]
