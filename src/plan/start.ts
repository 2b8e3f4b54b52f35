import type { RevisionRecord, RolloutStatus } from '../api/status.ts'
import { owe, writesGit } from './commits.ts'
import { isConfigOnly } from './deployment/configuration.ts'
import { unlatched } from './deployment/latch.ts'
import { recorded, seenDeployment } from './deployment/state.ts'
import type { DeploymentObservation, PairObservation } from './observation.ts'
import { isBeforeOwnWrite } from './own-write.ts'
import { takenBack } from './retreat.ts'
import { templateOf } from './revision.ts'
import { positionOf } from './steps.ts'
import { type Decision, event, iso, lowerWeight, percent, type Rule, stableIsGone, type Turn } from './turn.ts'

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
