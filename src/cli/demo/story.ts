import type { Outcome, RolloutStatus } from '../../api/status.ts'
import type { KubeObject } from '../../kube/object.ts'
import type { Runtime } from '../../runtime.ts'
import { desiring, type Version, versions, withVersion } from './manifests.ts'
import { APPROVALS, type Stage } from './stage.ts'
import type { Witness } from './witness.ts'

/** What is to happen in one act. */
export interface Act {
  id: string
  title: string
  version: Version
  /** The commit that starts it. */
  commit: string
  expected: { result: Outcome['result']; reason?: string; weights?: number[] }
}

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

export const acts: readonly Act[] = [
  {
    id: 'good',
    title: 'a good release',
    version: versions.v2,
    commit: 'my-app: release 2.0.0',
    expected: { result: 'Promoted', weights: [10, 50, 100] },
  },
  {
    id: 'errors',
    title: 'a release that fails 20 % of its requests',
    version: versions.v3,
    commit: 'my-app: release 3.0.0',
    expected: { result: 'RolledBack', reason: 'Breach.success-rate' },
  },
  {
    id: 'slow',
    title: 'a release that is slow, without errors',
    version: versions.v4,
    commit: 'my-app: release 4.0.0',
    expected: { result: 'RolledBack', reason: 'Breach.latency' },
  },
]

export interface Teller {
  /** An act begins. */
  act(act: Act, number: number): void
  /** A question is open: answers when it has been dealt with. */
  question(approval: KubeObject): Promise<void>
}

/** An act that has not ended after this long has failed. */
const ACT_MS = 60_000

/** Plays one act: a developer pushes a commit, and everything else happens by itself, approval apart. */
export async function play(
  stage: Stage,
  witness: Witness,
  act: Act,
  teller: Teller,
  runtime: Runtime,
): Promise<ActReport> {
  const { sandbox, developer, load } = stage
  const { name } = act.version
  const [startedAt, firstWeights] = [runtime.now(), witness.weights().length]
  const [attempt, measured] = [witness.status().attempt ?? 0, await breachSeconds(stage)]
  load.mark(act.id)
  await developer.commit(act.commit, (files) => {
    const known = files.has(`my-app-${name}.yaml`) ? files : withVersion(files, act.version)
    return desiring(known, name)
  })
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
  const settled =
    inTime && (await witness.until((status) => status.phase === 'Healthy' && status.git?.committed !== false, 15_000))
  const durationMs = runtime.now() - startedAt
  const status = witness.status()
  const seen = witness.weights().slice(firstWeights)
  const given = seen.filter(
    (w, i) =>
      w.weights[name] !== undefined &&
      (i === 0 ? (w.weights[name] ?? 0) > 0 : w.weights[name] !== (seen[i - 1]?.weights[name] ?? 0)),
  )
  const weights = given.map((w) => w.weights[name] ?? 0)
  const zero = given.findLast((w) => w.weights[name] === 0)
  const counts = load.counts().acts[act.id]
  const breach = await breachSeconds(stage)
  const outcome = status.lastOutcome
  const report: ActReport = {
    id: act.id,
    title: act.title,
    version: name,
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
    ...(zero && given[0] ? { exposedMs: zero.at - given[0].at } : {}),
    ...(approversOf(stage).length > 0 && act.expected.result === 'Promoted' ? { approvedBy: approversOf(stage) } : {}),
  }
  report.failures = [
    ...check(act, report, status),
    ...(inTime && !settled ? ['Git and the cluster did not agree again in time'] : []),
  ]
  report.ok = report.failures.length === 0
  return report
}

function ended(status: RolloutStatus, attempt: number): boolean {
  return (status.attempt ?? 0) > attempt && status.canary === undefined && status.lastOutcome !== undefined
}

function check(act: Act, report: ActReport, status: RolloutStatus): string[] {
  const { result, reason, weights } = act.expected
  const failures: string[] = []
  if (report.result !== result) failures.push(`ended as ${report.result}, not ${result}: ${status.message ?? ''}`)
  if (reason !== undefined && status.lastOutcome?.reason !== reason)
    failures.push(`ended for ${status.lastOutcome?.reason}, not ${reason}`)
  if (weights && report.weights.join() !== weights.join())
    failures.push(`weights went ${report.weights.join(' → ')}, not ${weights.join(' → ')}`)
  if (result === 'RolledBack') {
    if (report.weights.at(-1) !== 0) failures.push('traffic is not back on stable')
    if (!status.knownBad?.some((bad) => bad.name === act.version.name))
      failures.push(`${act.version.name} is not known to be bad`)
  } else if (status.stable?.name !== act.version.name)
    failures.push(`${status.stable?.name} is stable, not ${act.version.name}`)
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
