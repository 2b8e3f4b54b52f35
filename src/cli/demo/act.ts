import type { RolloutStatus } from '../../api/status.ts'
import type { KubeObject } from '../../kube/object.ts'
import type { Runtime } from '../../runtime.ts'
import { APPROVALS, type Stage } from './stage.ts'
import type { Act, Story } from './story.ts'
import type { Witness } from './witness.ts'

/** What happened in one act, as seen from outside. */
export interface ActReport {
  id: string
  title: string
  version: string
  ok: boolean
  /** What should have happened and did not. */
  failures: string[]
  result: string
  message: string
  /** Weights that the new version was given, in order. */
  weights: number[]
  /** When its commit was pushed, ms since the start of the demo. */
  startedMs: number
  /** From the commit to the end, ms. */
  durationMs: number
  requests: number
  /** Requests that clients saw fail: 5xx or no answer. */
  bad: number
  p99Ms: number
  /** From the verdict to the accepted weight 0, as the controller measured it, ms. */
  breachToZeroMs?: number
  /** From the first weight to weight 0, ms: how long clients met the version. */
  exposedMs?: number
  approvedBy?: string[]
}

export interface Teller {
  /** A question is open: answers when it has been dealt with. */
  question(approval: KubeObject): Promise<void>
}

/** An act that has not ended after this long has failed. */
const ACT_MS = 60_000
const SETTLE_MS = 20_000

/** Plays one act: a developer pushes a commit, and everything else happens by itself, approval apart. */
export async function play(
  { stage, witness, story, runtime }: { stage: Stage; witness: Witness; story: Story; runtime: Runtime },
  act: Act,
  teller: Teller,
): Promise<ActReport> {
  const { sandbox, developer, load } = stage
  const { lane } = act
  const [startedAt, firstWeights] = [runtime.now(), witness.weights().length]
  const [attempt, measured] = [witness.status().attempt ?? 0, await breachSeconds(stage)]
  load.mark(act.id)
  await developer.commit(act.commit, act.edit)
  const asked = new Set<string>()
  const ask = async () => {
    for (const object of sandbox.api.storage.list(APPROVALS)) {
      const pending = ((object.status ?? {}) as { state?: string }).state ?? 'Pending'
      if (pending !== 'Pending' || asked.has(object.metadata.name)) continue
      asked.add(object.metadata.name)
      await teller.question(object)
    }
  }
  const asking = setInterval(() => void ask().catch(() => undefined), 100)
  const inTime = await witness.until((status) => ended(status, attempt), ACT_MS)
  clearInterval(asking)
  // Let Git and the cluster agree again before the next act.
  const world = { stage, witness, since: startedAt }
  const atRest = (status: RolloutStatus) => status.phase === 'Healthy' && status.git?.committed !== false
  const settled =
    inTime && (await witness.until((status) => atRest(status) && story.settled?.(world) !== false, SETTLE_MS))
  const durationMs = runtime.now() - startedAt
  const status = witness.status()
  const seen = witness.weights().slice(firstWeights)
  const given = seen.filter(
    (w, i) =>
      w.weights[lane] !== undefined &&
      (i === 0 ? (w.weights[lane] ?? 0) > 0 : w.weights[lane] !== (seen[i - 1]?.weights[lane] ?? 0)),
  )
  const weights = given.map((w) => w.weights[lane] ?? 0)
  const zero = given.findLast((w) => w.weights[lane] === 0)
  const counts = load.counts().acts[act.id]
  const breach = await breachSeconds(stage)
  const outcome = status.lastOutcome
  const report: ActReport = {
    id: act.id,
    title: act.title,
    version: act.version,
    ok: false,
    failures: [],
    result: inTime ? (outcome?.result ?? 'none') : 'not ended in time',
    message: outcome?.message ?? '',
    weights,
    startedMs: startedAt - stage.startedAt,
    durationMs,
    requests: counts?.sent ?? 0,
    bad: counts?.bad ?? 0,
    p99Ms: Math.round(counts?.latency.p99Ms ?? 0),
    ...(breach.count > measured.count ? { breachToZeroMs: Math.round((breach.sum - measured.sum) * 10_000) / 10 } : {}),
    ...(zero && given[0] && outcome?.result !== 'Promoted' ? { exposedMs: zero.at - given[0].at } : {}),
    ...(approversOf(stage).length > 0 && act.expected.result === 'Promoted' ? { approvedBy: approversOf(stage) } : {}),
  }
  report.failures = [
    ...check(act, report, status),
    ...((await story.check?.(act, world)) ?? []),
    ...(inTime && !settled ? ['Git and the cluster did not agree again in time'] : []),
  ]
  report.ok = report.failures.length === 0
  return report
}

function ended(status: RolloutStatus, attempt: number): boolean {
  return (status.attempt ?? 0) > attempt && status.canary === undefined && status.lastOutcome !== undefined
}

function check(act: Act, report: ActReport, status: RolloutStatus): string[] {
  const { result, reason, weights, bad } = act.expected
  const failures: string[] = []
  if (report.result !== result) failures.push(`ended as ${report.result}, not ${result}: ${status.message ?? ''}`)
  if (reason !== undefined && status.lastOutcome?.reason !== reason)
    failures.push(`ended for ${status.lastOutcome?.reason}, not ${reason}`)
  if (weights && report.weights.join() !== weights.join())
    failures.push(`weights went ${report.weights.join(' → ')}, not ${weights.join(' → ')}`)
  if (bad !== undefined && report.bad > bad)
    failures.push(`${report.bad} requests of clients failed, not ${bad} at most`)
  if (result === 'RolledBack') {
    if ((report.weights.at(-1) ?? 0) !== 0) failures.push('traffic is not back on stable')
    if (!status.knownBad?.some((known) => known.name === act.version))
      failures.push(`${act.version} is not known to be bad`)
  } else if (status.stable?.name !== act.version) failures.push(`${status.stable?.name} is stable, not ${act.version}`)
  return failures
}

function approversOf(stage: Stage): string[] {
  return stage.sandbox.api.storage
    .list(APPROVALS)
    .flatMap((object) => ((object.status ?? {}) as { by?: string[] }).by ?? [])
}

/** The controller's own measurement of "verdict to weight 0". */
async function breachSeconds(stage: Stage): Promise<{ count: number; sum: number }> {
  const text = await (await fetch(`${stage.controller.url}/metrics`)).text()
  const read = (what: string) =>
    Number(new RegExp(`^sluice_breach_to_weight_seconds_${what} (\\S+)$`, 'm').exec(text)?.[1] ?? 0)
  return { count: read('count'), sum: read('sum') }
}
