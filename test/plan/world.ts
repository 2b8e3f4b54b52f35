import { type RolloutSpec, rolloutSpec } from '../../src/api/rollout.ts'
import type { PendingCommit, RevisionRecord, RolloutStatus } from '../../src/api/status.ts'
import type { Problem } from '../../src/errors.ts'
import type { ApprovalQuestion, Effect, Plan, SetWeight } from '../../src/plan/effects.ts'
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

/** The names under which the route knows the two sides. */
export interface Destinations {
  stable: string
  canary: string
}

/** One write of the canary's weight, as somebody watching the VirtualService sees it. */
export interface WeightChange {
  at: number
  subset: string
  from: number
  to: number
  manager: string
}

/** A question on the model's API server. */
export interface ModelApproval {
  digest: string
  state: 'Pending' | 'Approved' | 'Rejected' | 'Expired'
  by: string[]
  expiresAt: number
  closed?: 'Void' | 'Consumed'
  notBefore?: number
  override?: string
  /** What was asked, as it was put. */
  question?: ApprovalQuestion
}

function observed({ question: _, ...asked }: ModelApproval, name: string) {
  return { ...asked, name }
}

/** How a reconcile ends early: killed before the effect with this index, or after the status was recorded and before commits are handed over. */
export interface Mishap {
  crashAfter?: number
  crashRecorded?: boolean
  fails?: (effect: Effect) => boolean
}

/** A commit on the model's branch. */
export interface ModelCommit {
  op?: string
  kind?: PendingCommit['kind']
  author: string
  weights?: PendingCommit['weights']
  desired?: { from: string; to: string }
  template?: PendingCommit['template']
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
  /** The same in a second owned route, when there is one. */
  second: Record<string, number> | undefined
  writer: { manager: string } | undefined
  resourceVersion = 1
  contents: Record<string, string> = { v1: 'a', v2: 'b', v3: 'c', v4: 'd' }
  pods: Record<string, { replicas: number; ready: number }> = {}
  /** What each revision's requests look like; by subset. */
  breaching = new Set<string>()
  /** undefined: fresh answers. */
  silence: 'NoData' | 'Error' | undefined
  neverSampled = false
  completeThrough: number | undefined
  verdicts: Record<string, SliObservation['verdict']> = {}
  stepEvents: number | undefined
  gap = false
  evidence: number | undefined
  gitMode: Observation['git']['mode'] = 'Push'
  commits: Observation['git']['commits'] = 'EveryStep'
  gitDown = false
  /** The source cannot be used, for a reason that does not pass by itself. */
  gitProblem: Observation['git']['problem']
  log: ModelCommit[] = []
  /** What the manifest in Git says each canary gets, what Sluice wrote there last, and a person's commit that differs. */
  gitWeights: Record<string, number> = {}
  /** The points in the manifest. */
  gitPoints: Record<string, number>
  ours: Record<string, number> = {}
  person: { canary: string; weight: number; commit: string; author: string } | undefined
  gitConflict: Observation['git']['conflict']
  gitRefuses = false
  /** Pull request mode: where an outcome lies, and whether a person has closed it. */
  proposes: string | undefined
  declines = false
  /** Commits of other people. */
  gitCommits = 0
  memory: Observation['git']['memory']
  /** Commits handed over and not made yet; lost with the process. */
  queue = new Map<string, PendingCommit>()
  /** Every commit that was handed over. */
  handed: PendingCommit[] = []
  results: Record<string, CommitResult> = {}
  approvals: Record<string, ModelApproval> = {}
  request: RequestObservation | undefined
  changes: WeightChange[] = []
  events: { reason: string; message: string }[] = []
  told: { topic: string; message: string }[] = []
  problem: Observation['traffic']['problem']
  specProblem: Problem | undefined
  workloadGone = new Set<string>()
  rolling: string | undefined
  namespaceTerminating = false
  gitKnown = true
  /** Whether the process has looked at Prometheus since it started. */
  looked = true
  /** A watch that lags: what `observe` sees of the route until it catches up. */
  cached: Pick<World, 'points' | 'writer' | 'resourceVersion'> | undefined
  /** What happens to the next reconcile, besides what its caller asks for. */
  mishap: (() => Mishap) | undefined
  /** Told about every plan, and about every write of a weight by Sluice before it happens. */
  onPlan: ((decided: Plan, seen: Observation, before: RolloutStatus) => void) | undefined
  onStatus: ((status: RolloutStatus) => void) | undefined
  onTime: ((ms: number) => void) | undefined
  requests = 0
  /** Rises whenever the recorded status, or what became of a commit, changes. */
  news = 0
  private text = ''
  /** Weights that were not written because a person's stand in Git. */
  unsaid = 0
  onWrite: ((effect: SetWeight, decided: Plan) => void) | undefined
  /** Whether the last reconcile ended at an effect that failed; the controller then waits a little. */
  failed = false
  stepStart = 0
  latest: Plan | undefined

  constructor(
    spec: Partial<Parameters<typeof rolloutSpec.parse>[0] & object> = {},
    points: Record<string, number> = { v1: 100, v2: 0, v3: 0, v4: 0 },
  ) {
    this.points = points
    this.gitPoints = { ...points }
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

  /** The pair of a Rollout in flight, by the names the route gives it. */
  destinations({ stable, canary }: RolloutStatus = this.status): Destinations | undefined {
    return stable && canary ? { stable: stable.name, canary: canary.name } : undefined
  }

  /** The pairs that are looked for in the route. */
  pairs(status: RolloutStatus): Pick<Observation['traffic'], 'recorded' | 'desired'> {
    const { stable } = status
    const recorded = this.destinations(status)
    const desired = this.spec.workload.subsets?.desired ?? 'v1'
    return {
      ...(recorded ? { recorded: this.pair(recorded.stable, recorded.canary) } : {}),
      ...(stable && desired !== stable.name ? { desired: this.pair(stable.name, desired) } : {}),
    }
  }

  /** What is desired, as it is now. */
  desiredNow(): RevisionRecord {
    return this.revision(this.spec.workload.subsets?.desired ?? '')
  }

  /** Whether what is desired is there at all. */
  get desiredIsThere(): boolean {
    return !this.workloadGone.has(this.spec.workload.subsets?.desired ?? '')
  }

  /** Why the canary cannot carry this weight, or nobody could take it back; from outside. */
  unfit({ stable }: SetWeight): string | undefined {
    const name = this.status.canary?.name ?? ''
    if (this.pods[name]?.ready !== this.pods[name]?.replicas) return 'the canary is not ready'
    if (this.rolling === name) return 'the canary has old pods'
    return this.pods[stable]?.ready ? undefined : 'stable is not ready'
  }

  private hashed = new Map<string, ReturnType<typeof revisionOf>>()

  revision(name: string): RevisionObservation {
    const content = this.contents[name] ?? ''
    const image = `my-app:${name}`
    const template = { spec: { containers: [{ name: 'app', image, env: [{ name: 'CONTENT', value: content }] }] } }
    const workload = { name: `my-app-${name}`, uid: `uid-${name}`, generation: content.length, template }
    const known = this.hashed.get(`${name}/${content}`) ?? revisionOf(name, [workload])
    this.hashed.set(`${name}/${content}`, known)
    return {
      ...known,
      ...(this.pods[name] ?? { replicas: 0, ready: 0 }),
      ...(this.rolling === name ? { rolling: `Deployment my-app-${name} is still rolling` } : {}),
    }
  }

  pair(stable: string, canary: string): PairObservation {
    if (this.problem) return { ok: false, problem: this.problem }
    const { points, writer, resourceVersion } = this.cached ?? this
    const routes = [points, ...(this.second ? [this.second] : [])].map((route) => {
      const sum = (route[stable] ?? 0) + (route[canary] ?? 0)
      return { sum, weight: percentOf(route[canary] ?? 0, sum) }
    })
    const weights = routes.map((r) => r.weight)
    const [weight, lowest] = [Math.max(...weights), Math.min(...weights)]
    const sum = Math.min(...routes.map((r) => r.sum))
    const absent = [stable, canary].find((name) => points[name] === undefined)
    if (absent)
      return { ok: false, problem: { reason: 'DestinationMissing', message: `the route has no destination ${absent}` } }
    if (sum === 0) return { ok: false, problem: { reason: 'WeightsZero', message: 'the two weights sum to 0' } }
    return {
      ok: true,
      stable,
      canary,
      weight,
      sum,
      uneven: weight !== lowest,
      ...(weight === lowest ? {} : { lowest }),
      resourceVersion: String(resourceVersion),
      ...(writer ? { writer } : {}),
    }
  }

  get weight(): number {
    const pair = this.destinations()
    if (!pair) return 0
    const { stable, canary } = pair
    return percentOf(this.points[canary] ?? 0, (this.points[stable] ?? 0) + (this.points[canary] ?? 0))
  }

  observe(status: RolloutStatus = this.status): Observation {
    const { canary, approval } = status
    const asked = approval && this.approvals[approval.name]
    if (asked?.state === 'Pending' && this.now >= asked.expiresAt) asked.state = 'Expired'
    const { points } = this.cached ?? this
    const total = Object.values(points).reduce((a, b) => a + b, 0)
    return {
      rollout: {
        uid: 'uid',
        namespace: 'shop',
        name: 'my-app',
        generation: this.generation,
        deleting: this.deleting,
        ...(this.deletedAt === undefined ? {} : { deletedAt: this.deletedAt }),
        ...(this.namespaceTerminating ? { namespaceTerminating: true } : {}),
        hasFinalizer: this.finalizer,
      },
      spec: this.specProblem ? { ok: false, problem: this.specProblem } : { ok: true, value: this.spec },
      workload: this.workloads(status),
      traffic: {
        shares: this.problem
          ? {}
          : Object.fromEntries(Object.entries(points).map(([name, p]) => [name, percentOf(p, total)])),
        ...(this.problem ? { problem: this.problem } : {}),
        ...this.pairs(status),
      },
      analysis: {
        slis: canary && this.looked ? this.spec.analysis.slis.map((sli) => this.sli(sli.name, canary.name)) : [],
      },
      git: this.git(status),
      ...(asked && approval && !asked.closed ? { approval: observed(asked, approval.name) } : {}),
      ...(this.request ? { request: this.request } : {}),
    }
  }

  workloads({ stable, canary }: RolloutStatus): Observation['workload'] {
    const desired = this.spec.workload.subsets?.desired ?? 'v1'
    const there = (name: string | undefined) =>
      name === undefined || this.workloadGone.has(name) ? undefined : this.revision(name)
    const known = {
      ...(there(stable?.name) ? { stable: there(stable?.name) } : {}),
      ...(there(canary?.name) ? { canary: there(canary?.name) } : {}),
    }
    const here = there(desired)
    if (!here)
      return {
        ok: false,
        problem: { reason: 'WorkloadMissing', message: `no Deployment has pods for ${desired}` },
        seen: { desired, ...known },
      }
    const all = Object.keys(this.contents).flatMap((name) => there(name) ?? [])
    return { ok: true, desired: here, ...known, all }
  }

  git(status: RolloutStatus): Observation['git'] {
    const { person } = this
    const canary = status.canary && this.destinations(status)?.canary
    const theirs = person && person.canary === canary && person.commit !== status.git?.accepted ? person : undefined
    const conflict = this.gitConflict ?? theirs
    return {
      mode: this.gitMode,
      commits: this.commits,
      ...(this.gitProblem ? { problem: this.gitProblem } : {}),
      ...(this.gitDown ? { problem: { reason: 'GitUnreachable', message: 'the remote is down' } } : {}),
      results: this.results,
      ...(conflict && !this.gitDown
        ? { conflict: { weight: conflict.weight, commit: conflict.commit, author: conflict.author } }
        : {}),
      ...(this.memory ? { memory: this.memory } : {}),
      known: this.gitKnown,
      tip: `tip-${this.log.length + this.gitCommits}`,
    }
  }

  sli(name: string, canary: string): SliObservation {
    const windows = Math.floor((this.now - this.stepStart) / 15_000)
    return {
      name,
      kind: 'successRate',
      answer: this.silence ?? 'Fresh',
      ...(this.silence ? { message: 'no samples' } : {}),
      verdict: this.silence ?? this.verdicts[name] ?? (this.convicts(canary) ? 'Breach' : 'Undecided'),
      good: 1000,
      bad: this.breaching.has(canary) ? 200 : 0,
      stepEvents: this.stepEvents ?? windows * 150,
      stepWindows: windows,
      observed: '99.90 %',
      objective: '99.5 %',
      ...(this.neverSampled && this.silence ? {} : { newestAt: this.silence ? this.now - 60_000 : this.now }),
      completeThrough: this.completeThrough ?? (this.silence ? this.now - 60_000 : this.now),
      gap: this.gap,
      ...(this.evidence === undefined ? {} : { evidence: this.evidence }),
    }
  }

  /** Requests that were counted before Sluice gave the canary traffic convict nobody: somebody else's raise is put back, not judged. */
  private convicts(canary: string): boolean {
    return this.breaching.has(canary) && this.weight > 0 && this.status.exposedAt !== undefined
  }

  /** Somebody writes the canary's weight. */
  write(subset: string, weight: number, manager: string, stable = this.destinations()?.stable ?? 'v1'): void {
    const sum = (this.points[stable] ?? 0) + (this.points[subset] ?? 0)
    const points = pointsFor(weight, sum)
    if (!points.ok) return
    const from = percentOf(this.points[subset] ?? 0, sum)
    this.changes.push({ at: this.now, subset, from, to: weight, manager })
    this.points[stable] = points.stable
    this.points[subset] = points.canary
    if (this.second) this.second = { ...this.points }
    this.writer = { manager }
    this.resourceVersion++
  }

  /** The router: a forward write needs the version it was planned on, a retreat lowers whatever is above it and raises nothing. */
  route(effect: SetWeight): boolean {
    const { stable, canary, weight, direction, resourceVersion } = effect
    if (this.problem) return false
    if (direction === 'forward') {
      if (resourceVersion !== String(this.resourceVersion)) return false
      this.write(canary, weight, 'sluice', stable)
      return true
    }
    const above = [this.points, ...(this.second ? [this.second] : [])].some((route) => {
      const sum = (route[stable] ?? 0) + (route[canary] ?? 0)
      const wanted = pointsFor(weight, sum)
      return wanted.ok ? (route[canary] ?? 0) > wanted.canary : (route[canary] ?? 0) > 0
    })
    if (!above) return true
    const manager = `sluice-retreat.${effect.reason}`
    const here = percentOf(this.points[canary] ?? 0, (this.points[stable] ?? 0) + (this.points[canary] ?? 0))
    const fits = pointsFor(weight, (this.points[stable] ?? 0) + (this.points[canary] ?? 0)).ok
    const before = { ...this.points }
    this.write(canary, fits ? weight : 0, manager, stable)
    if (here < weight) this.points = before
    return true
  }

  /** One reconcile: look, decide, act, record, hand commits over. */
  reconcile(asked: Mishap = {}): Plan {
    const options = { ...this.mishap?.(), ...asked }
    const seen = this.observe()
    const decided = plan(this.status, seen, this.now)
    this.latest = decided
    this.onPlan?.(decided, seen, this.status)
    let status = decided.status
    this.failed = false
    for (const [i, effect] of decided.effects.entries()) {
      if (i === options.crashAfter) return this.crashed(decided)
      if (effect.kind === 'commit') continue
      const required = effect.kind === 'setWeight' || effect.kind === 'addFinalizer'
      if ((required && options.fails?.(effect)) || !this.perform(effect, decided)) {
        status = decided.fallback
        this.failed = true
        break
      }
    }
    this.looked = true
    if (options.crashAfter === decided.effects.length || this.gone) return this.crashed(decided)
    if (this.status.step?.since !== status.step?.since)
      this.stepStart = Date.parse(status.step?.since ?? new Date(this.now).toISOString())
    const text = JSON.stringify(status)
    if (text !== this.text) {
      this.news++
      this.status = JSON.parse(text)
    }
    this.text = text
    this.onStatus?.(this.status)
    if (options.crashRecorded) return this.crashed(decided)
    if (status === decided.status)
      for (const effect of decided.effects) {
        if (effect.kind !== 'commit') continue
        this.queue.set(effect.entry.op, effect.entry)
        if (!this.handed.some((e) => e.op === effect.entry.op)) this.handed.push(effect.entry)
      }
    this.push()
    return decided
  }

  /** The process is gone and another one starts: what was in memory is lost. */
  crashed(decided: Plan): Plan {
    this.queue.clear()
    this.results = {}
    this.looked = false
    return decided
  }

  /** Reconciles until nothing asks to be looked at again at once. */
  settle(options: Mishap = {}): void {
    for (let i = 0; i < 30; i++) {
      const before = this.news + this.resourceVersion
      const { looked } = this
      const { requeueAfterMs } = this.reconcile(options)
      if (this.gone) return
      const same = this.news + this.resourceVersion === before
      if ((requeueAfterMs !== 0 || this.failed) && same && looked && this.looked) return
    }
    throw new Error(`does not settle: ${this.status.message}`)
  }

  /** Lets time pass in looks of the interval. */
  pass(ms: number, options: Mishap = {}): void {
    const end = this.now + ms
    while (this.now < end) {
      this.settle(options)
      if (this.gone) return
      this.advance(Math.min(end - this.now, 15_000))
    }
    if (!this.gone) this.settle(options)
  }

  /** Time passes and nobody looks. */
  advance(ms: number): void {
    this.onTime?.(ms)
    this.now += ms
  }

  /** A person makes a request. */
  ask(verb: RequestObservation['verb'], rest: Partial<RequestObservation>): void {
    this.request = { id: String(++this.requests), verb, by: 'dana', ...rest }
  }

  /** A process that is not the leader any more, and has not noticed: it plans from what was recorded, and gets one write done. */
  deposed(): void {
    const decided = plan(this.status, this.observe(), this.now)
    const [move] = decided.effects.filter((e) => e.kind === 'setWeight')
    if (move) {
      this.onWrite?.(move, decided)
      this.route(move)
    }
  }

  perform(effect: Effect, decided: Plan): boolean {
    switch (effect.kind) {
      case 'setWeight':
        this.onWrite?.(effect, decided)
        return this.route(effect)
      case 'askApproval': {
        const known = this.approvals[effect.approval.name]
        if (!known || known.closed)
          this.approvals[effect.approval.name] = {
            digest: effect.approval.digest,
            expiresAt: effect.approval.expiresAt,
            state: 'Pending',
            by: [],
            question: effect.approval,
          }
        return true
      }
      case 'closeApproval': {
        const known = this.approvals[effect.name]
        if (known) known.closed ??= effect.state
        return true
      }
      case 'notify':
        this.told.push({ topic: effect.topic, message: effect.message })
        return true
      case 'event':
        this.events.push({ reason: effect.reason, message: effect.message })
        return true
      case 'addFinalizer':
        this.finalizer = true
        return true
      case 'removeFinalizer':
        this.finalizer = false
        this.gone = this.deleting
        return true
      default:
        return true
    }
  }

  /** The writer of the branch: one commit per operation, in the order they were handed over. */
  push(): void {
    for (const [op, entry] of [...this.queue]) {
      const result = this.commit(entry)
      if (result.state !== this.results[op]?.state) this.news++
      this.results[op] = result
      if (result.state !== 'Waiting') this.queue.delete(op)
    }
  }

  commit(entry: PendingCommit): CommitResult {
    if (this.gitDown) return { state: 'Waiting', message: 'the remote is down' }
    if (this.log.some((c) => c.op === entry.op)) return { state: 'Done', sha: `sha-${entry.op}`, at: this.now }
    if (entry.void) return { state: 'Done', at: this.now }
    if (this.proposes) return { state: 'Waiting', message: `lies in ${this.proposes}`, proposed: this.proposes }
    if (this.declines)
      return { state: 'Refused', problem: { reason: 'PullRequestDeclined', message: 'dana closed #7' } }
    if (this.gitRefuses)
      return { state: 'Refused', problem: { reason: 'GitProtected', message: 'the branch is protected' } }
    const { weights, desired, template } = entry
    const { person } = this
    if (weights && person && person.canary === weights.canary && person.commit !== entry.accept) {
      if (person.weight !== weights.weight) {
        if (entry.kind !== 'step') this.unsaid++
        return { ...person, state: 'Conflict', message: `${person.author} set the weight` }
      }
    }
    this.log.push({
      op: entry.op,
      kind: entry.kind,
      author: 'sluice',
      subject: entry.subject,
      ...(weights ? { weights } : {}),
      ...(desired ? { desired } : {}),
      ...(template ? { template } : {}),
    })
    if (weights) {
      this.writeGit(weights.stable, weights.canary, weights.weight)
      this.ours[weights.canary] = weights.weight
      if (person?.canary === weights.canary) this.person = undefined
    }
    if (desired && this.spec.workload.subsets?.desired === desired.from) this.desire(desired.to)
    if (template) this.revertTemplate(template)
    return { state: 'Done', sha: `sha-${entry.op}`, at: this.now }
  }

  /** The template of the Deployment in Git goes back; there is none where versions are subsets. */
  revertTemplate(_template: NonNullable<PendingCommit['template']>): void {}

  /** A person writes the canary's weight into the manifest in Git; what Sluice wrote there last is no conflict. */
  personWrites(canary: string, weight: number): void {
    this.writeGit(this.destinations()?.stable ?? 'v1', canary, weight)
    const commit = `person-${++this.gitCommits}`
    this.person = (this.ours[canary] ?? 0) === weight ? undefined : { canary, weight, commit, author: 'Eve' }
  }

  writeGit(stable: string, canary: string, weight: number): void {
    this.gitWeights[canary] = weight
    const points = pointsFor(weight, (this.gitPoints[stable] ?? 0) + (this.gitPoints[canary] ?? 0))
    if (points.ok) Object.assign(this.gitPoints, { [stable]: points.stable, [canary]: points.canary })
  }

  approve(by = 'dana', rest: Pick<ModelApproval, 'notBefore' | 'override'> = {}): void {
    for (const approval of Object.values(this.approvals))
      if (approval.state === 'Pending') Object.assign(approval, { state: 'Approved', by: [by], ...rest })
  }

  /** The weights the canary was given, in order, as the outside saw them. */
  weightsOf(subset: string): number[] {
    return this.changes.filter((c) => c.subset === subset).map((c) => c.to)
  }
}
