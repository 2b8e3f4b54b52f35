import { type RolloutSpec, rolloutSpec } from '../../src/api/rollout.ts'
import type { PendingCommit, RolloutStatus } from '../../src/api/status.ts'
import type { Effect, Plan } from '../../src/plan/effects.ts'
import type {
  CommitResult,
  Observation,
  PairObservation,
  RequestObservation,
  RevisionObservation,
  SliObservation,
} from '../../src/plan/observation.ts'
import { plan } from '../../src/plan/plan.ts'
import { revisionOf } from '../../src/plan/revision.ts'
import { percentOf, pointsFor } from '../../src/plan/weights.ts'

/** One write of the canary's weight, as somebody watching the VirtualService sees it. */
export interface WeightChange {
  at: number
  subset: string
  from: number
  to: number
  manager: string
}

/** A commit on the model's branch. */
export interface ModelCommit {
  op?: string
  kind?: PendingCommit['kind']
  author: string
  weights?: PendingCommit['weights']
  desired?: { from: string; to: string }
  subject: string
}

/**
 * A model of everything around `plan`: a route, workloads, evidence, Git, approvals and a clock. It keeps what the outside
 * could see (every weight change, every commit), so that tests judge the world and not the calls.
 */
export class World {
  now = Date.parse('2026-01-01T00:00:00Z')
  spec: RolloutSpec
  status: RolloutStatus = {}
  generation = 1
  deleting = false
  deletedAt: number | undefined
  finalizer = false
  gone = false
  /** Points of every subset in the owned route. */
  points: Record<string, number>
  writer: { manager: string } | undefined
  resourceVersion = 1
  contents: Record<string, string> = { v1: 'a', v2: 'b', v3: 'c', v4: 'd' }
  pods: Record<string, { replicas: number; ready: number }> = {}
  /** What each revision's requests look like; by subset. */
  breaching = new Set<string>()
  /** undefined: fresh answers. */
  silence: 'NoData' | 'Error' | undefined
  stepEvents: number | undefined
  gap = false
  evidence: number | undefined
  gitMode: Observation['git']['mode'] = 'Push'
  commits: Observation['git']['commits'] = 'EveryStep'
  gitDown = false
  log: ModelCommit[] = []
  gitWeight: number | undefined
  gitConflict: Observation['git']['conflict']
  results: Record<string, CommitResult> = {}
  approvals: Record<string, { digest: string; state: 'Pending' | 'Approved' | 'Rejected' | 'Expired'; by: string[] }> =
    {}
  request: RequestObservation | undefined
  changes: WeightChange[] = []
  events: { reason: string; message: string }[] = []
  problem: Observation['traffic']['problem']
  stepStart = 0
  latest: Plan | undefined

  constructor(
    spec: Partial<Parameters<typeof rolloutSpec.parse>[0] & object> = {},
    points: Record<string, number> = { v1: 100, v2: 0, v3: 0, v4: 0 },
  ) {
    this.points = points
    this.spec = rolloutSpec.parse({
      workload: { subsets: { desired: 'v1' } },
      traffic: { istio: { virtualService: { name: 'my-app' } } },
      steps: [
        { weight: 10, hold: '1m' },
        { weight: 50, hold: '1m' },
        { weight: 100, hold: '1m' },
      ],
      source: { name: 'config' },
      ...spec,
    })
    for (const name of Object.keys(this.contents)) this.pods[name] = { replicas: 2, ready: 2 }
  }

  desire(subset: string): void {
    this.spec = { ...this.spec, workload: { subsets: { desired: subset } } }
    this.generation++
  }

  revision(name: string): RevisionObservation {
    const template = {
      spec: {
        containers: [{ name: 'app', image: `my-app:${name}`, env: [{ name: 'CONTENT', value: this.contents[name] }] }],
      },
    }
    const generation = (this.contents[name] ?? '').length
    return {
      ...revisionOf(name, [{ name: `my-app-${name}`, uid: `uid-${name}`, generation, template }]),
      ...(this.pods[name] ?? { replicas: 0, ready: 0 }),
    }
  }

  pair(stable: string, canary: string): PairObservation {
    if (this.problem) return { ok: false, problem: this.problem }
    const sum = (this.points[stable] ?? 0) + (this.points[canary] ?? 0)
    return {
      ok: true,
      stable,
      canary,
      weight: percentOf(this.points[canary] ?? 0, sum),
      sum,
      uneven: false,
      resourceVersion: String(this.resourceVersion),
      ...(this.writer ? { writer: this.writer } : {}),
    }
  }

  get weight(): number {
    const { stable, canary } = this.status
    if (!stable || !canary) return 0
    return percentOf(this.points[canary.name] ?? 0, (this.points[stable.name] ?? 0) + (this.points[canary.name] ?? 0))
  }

  observe(): Observation {
    const { stable, canary, approval } = this.status
    const desired = this.spec.workload.subsets?.desired ?? 'v1'
    const asked = approval && this.approvals[approval.name]
    const total = Object.values(this.points).reduce((a, b) => a + b, 0)
    return {
      rollout: {
        uid: 'uid',
        namespace: 'shop',
        name: 'my-app',
        generation: this.generation,
        deleting: this.deleting,
        ...(this.deletedAt === undefined ? {} : { deletedAt: this.deletedAt }),
        hasFinalizer: this.finalizer,
      },
      spec: { ok: true, value: this.spec },
      workload: {
        ok: true,
        desired: this.revision(desired),
        ...(stable ? { stable: this.revision(stable.name) } : {}),
        ...(canary ? { canary: this.revision(canary.name) } : {}),
        all: Object.keys(this.contents).map((name) => this.revision(name)),
      },
      traffic: {
        shares: Object.fromEntries(
          Object.entries(this.points).map(([name, points]) => [name, percentOf(points, total)]),
        ),
        ...(this.problem ? { problem: this.problem } : {}),
        ...(stable && canary ? { recorded: this.pair(stable.name, canary.name) } : {}),
        ...(stable && desired !== stable.name ? { desired: this.pair(stable.name, desired) } : {}),
      },
      analysis: { slis: canary ? this.spec.analysis.slis.map((sli) => this.sli(sli.name, canary.name)) : [] },
      git: {
        mode: this.gitMode,
        commits: this.commits,
        ...(this.gitDown ? { problem: { reason: 'GitUnreachable', message: 'the remote is down' } } : {}),
        results: this.results,
        ...(this.gitConflict ? { conflict: this.gitConflict } : {}),
        known: true,
      },
      ...(asked && approval ? { approval: { name: approval.name, ...asked } } : {}),
      ...(this.request ? { request: this.request } : {}),
    }
  }

  sli(name: string, canary: string): SliObservation {
    const windows = Math.floor((this.now - this.stepStart) / 15_000)
    return {
      name,
      kind: 'successRate',
      answer: this.silence ?? 'Fresh',
      ...(this.silence ? { message: 'no samples' } : {}),
      verdict: this.silence ?? (this.breaching.has(canary) && this.weight > 0 ? 'Breach' : 'Undecided'),
      good: 1000,
      bad: this.breaching.has(canary) ? 200 : 0,
      stepEvents: this.stepEvents ?? windows * 150,
      stepWindows: windows,
      observed: '99.90 %',
      objective: '99.5 %',
      newestAt: this.silence ? this.now - 60_000 : this.now,
      completeThrough: this.silence ? this.now - 60_000 : this.now,
      gap: this.gap,
      ...(this.evidence === undefined ? {} : { evidence: this.evidence }),
    }
  }

  /** Somebody else writes the canary's weight. */
  write(subset: string, weight: number, manager: string): void {
    const stable = this.status.stable?.name ?? 'v1'
    const sum = (this.points[stable] ?? 0) + (this.points[subset] ?? 0)
    const points = pointsFor(weight, sum)
    if (!points.ok) return
    this.changes.push({ at: this.now, subset, from: percentOf(this.points[subset] ?? 0, sum), to: weight, manager })
    this.points[stable] = points.stable
    this.points[subset] = points.canary
    this.writer = { manager }
    this.resourceVersion++
  }

  /** One reconcile: look, decide, act, record. `crashAfter` effects it dies without recording; `fails` says which effects fail. */
  reconcile(options: { crashAfter?: number; fails?: (effect: Effect) => boolean } = {}): Plan {
    const decided = plan(this.status, this.observe(), this.now)
    this.latest = decided
    let status = decided.status
    for (const [i, effect] of decided.effects.entries()) {
      if (i === options.crashAfter) return decided
      if (effect.kind === 'commit') continue
      if (options.fails?.(effect) && (effect.kind === 'setWeight' || effect.kind === 'addFinalizer')) {
        status = decided.fallback
        break
      }
      this.perform(effect)
    }
    if (options.crashAfter === decided.effects.length || this.gone) return decided
    if (this.status.step?.since !== status.step?.since)
      this.stepStart = Date.parse(status.step?.since ?? new Date(this.now).toISOString())
    this.status = JSON.parse(JSON.stringify(status))
    if (status === decided.status)
      for (const effect of decided.effects) if (effect.kind === 'commit') this.commit(effect.entry)
    return decided
  }

  /** Reconciles until nothing asks to be looked at again at once. */
  settle(options: Parameters<World['reconcile']>[0] = {}): void {
    for (let i = 0; i < 30; i++) {
      const before = JSON.stringify(this.status)
      const { requeueAfterMs } = this.reconcile(options)
      if (requeueAfterMs !== 0 && JSON.stringify(this.status) === before) return
    }
  }

  /** Lets time pass in looks of the interval. */
  pass(ms: number, options: Parameters<World['reconcile']>[0] = {}): void {
    const end = this.now + ms
    while (this.now < end) {
      this.settle(options)
      this.now = Math.min(end, this.now + 15_000)
    }
    this.settle(options)
  }

  perform(effect: Effect): void {
    switch (effect.kind) {
      case 'setWeight':
        this.write(
          effect.canary,
          effect.weight,
          effect.direction === 'forward' ? 'sluice' : `sluice-retreat.${effect.reason}`,
        )
        break
      case 'askApproval':
        this.approvals[effect.approval.name] ??= { digest: effect.approval.digest, state: 'Pending', by: [] }
        break
      case 'event':
        this.events.push({ reason: effect.reason, message: effect.message })
        break
      case 'addFinalizer':
        this.finalizer = true
        break
      case 'removeFinalizer':
        this.finalizer = false
        this.gone = this.deleting
        break
      default:
        break
    }
  }

  commit(entry: PendingCommit): void {
    if (this.gitDown) {
      this.results[entry.op] = { state: 'Waiting', message: 'the remote is down' }
      return
    }
    if (!this.log.some((c) => c.op === entry.op) && !entry.void) {
      this.log.push({
        op: entry.op,
        kind: entry.kind,
        author: 'sluice',
        subject: entry.subject,
        ...(entry.weights ? { weights: entry.weights } : {}),
        ...(entry.desired ? { desired: entry.desired } : {}),
      })
      if (entry.weights) this.gitWeight = entry.weights.weight
      if (entry.desired && this.spec.workload.subsets?.desired === entry.desired.from) this.desire(entry.desired.to)
    }
    this.results[entry.op] = { state: 'Done', sha: `sha-${entry.op}`, at: this.now }
  }

  approve(by = 'dana'): void {
    for (const approval of Object.values(this.approvals))
      if (approval.state === 'Pending') Object.assign(approval, { state: 'Approved', by: [by] })
  }

  /** The weights the canary was given, in order, as the outside saw them. */
  weightsOf(subset: string): number[] {
    return this.changes.filter((c) => c.subset === subset).map((c) => c.to)
  }
}
