import type { PendingCommit, RevisionRecord, RolloutStatus } from '../../../src/api/status.ts'
import {
  type DeploymentEffect,
  type Effect,
  isDeploymentEffect,
  type Plan,
  type SetWeight,
} from '../../../src/plan/effects.ts'
import type { Observation } from '../../../src/plan/observation.ts'
import { type Destinations, type Mishap, World } from '../world.ts'
import {
  applyCanary,
  type Cluster,
  create,
  deleteCanary,
  isReady,
  live,
  newCluster,
  setFloor,
  tick,
  write,
} from './cluster.ts'
import { contentOf, hashOf, readyPods, revisionOfTemplate, type Template } from './native.ts'
import { desiredOf, seeWorkload } from './see.ts'

/** How often a GitOps engine puts into the cluster what Git says. */
const ENGINE_INTERVAL = 30_000

type Declared = NonNullable<ConstructorParameters<typeof World>[0]>

/** A version by its image, with nothing else in it. */
export function version(tag: string, env = '', restart = 0): Template {
  return { tag, env, restart }
}

/** How the Deployment of a world begins. */
export interface Beginning {
  replicas?: number
  deployment?: Record<string, unknown>
}

/** The model world around one Deployment whose template is released. */
export class DeploymentWorld extends World {
  cluster: Cluster
  /** What the branch says, and everything it has ever said. */
  gitTemplate: Template
  past: Template[]
  /** A GitOps engine applies the branch. */
  engine = true
  private applied = 0
  /** What `observe` sees of the cluster until its watch catches up. */
  seen: Cluster | undefined
  /** Every write is seen one look late. */
  lagging = false
  /** Writes by Sluice to Deployments and autoscalers are refused. */
  refused = false
  /** Told about everything that Sluice does to Deployments, before it happens. */
  onHands: ((effect: Effect, seen: Observation) => void) | undefined
  onBirth: ((content: string, excuse: string | undefined) => void) | undefined

  constructor(spec: Declared = {}, { replicas = 4, deployment = {} }: Beginning = {}) {
    super(
      { workload: { deployment: { name: 'my-app', scaleDownDelay: '30s', ...deployment } }, ...spec },
      { stable: 100, canary: 0 },
    )
    const first = version('v1')
    this.gitTemplate = first
    this.past = [first]
    this.cluster = newCluster(this.now, first, replicas)
    this.tick()
    this.cluster.now = this.now
    if (this.cluster.deployment) for (const set of this.cluster.deployment.sets) set.pods = set.pods.map(() => 0)
  }

  private tick(): void {
    tick(this.cluster, (content, excuse) => this.onBirth?.(content, excuse))
  }

  override destinations(): Destinations {
    return { stable: 'stable', canary: 'canary' }
  }

  /** The pair of a Deployment is always the same two. */
  override pairs({ stable, canary }: RolloutStatus): Pick<Observation['traffic'], 'recorded' | 'desired'> {
    const pair = this.pair('stable', 'canary')
    return { ...(stable && canary ? { recorded: pair } : {}), desired: pair }
  }

  override workloads(status: RolloutStatus): Observation['workload'] {
    return seeWorkload(this.seen ?? this.cluster, status)
  }

  override desiredNow(): RevisionRecord {
    const { deployment } = this.cluster
    return deployment ? desiredOf(this.cluster, deployment) : revisionOfTemplate(version('gone'))
  }

  override get desiredIsThere(): boolean {
    return this.cluster.deployment !== undefined && !this.cluster.misfit
  }

  override unfit({ weight }: SetWeight): string | undefined {
    const { deployment: d, canary } = this.cluster
    // A watch that lags is no reason to blame anybody.
    if (this.seen || this.cached) return undefined
    if (!d || !canary || canary.until !== undefined) return 'there is no canary Deployment'
    if (contentOf(canary.deployment.template) !== contentOf(canary.applied)) return 'the canary runs something else'
    if (canary.revision !== this.status.canary?.revision) return `the canary runs ${canary.revision}`
    const ready = readyPods(canary.deployment, isReady(this.cluster))
    const share = Math.max(1, Math.ceil((d.replicas * weight) / 100))
    if (ready < share) return `${ready} canary pods are ready, ${share} are needed`
    return readyPods(d, isReady(this.cluster)) > 0 ? undefined : 'stable is not ready'
  }

  /** Time passes pod by pod, and the engine applies. */
  override advance(ms: number): void {
    this.onTime?.(ms)
    this.now += ms
    live(
      this.cluster,
      ms,
      (content, excuse) => this.onBirth?.(content, excuse),
      () => this.apply(),
    )
  }

  /** The engine puts the branch's template into the cluster where it differs; restart annotations are not its own. */
  private apply(): void {
    const { deployment: d, now } = this.cluster
    if (!this.engine || this.gitMode === 'Off' || this.gitDown || !d) return
    if (now - this.applied < ENGINE_INTERVAL) return
    this.applied = now
    if (contentOf(d.template) === contentOf(this.gitTemplate)) return
    const { tag, env } = this.gitTemplate
    write(this.cluster, 'engine', (it) => Object.assign(it.template, { tag, env }))
  }

  /** A person declares another template in Git, and it is applied; or only writes it into the cluster. */
  release(to: Template, by: 'git' | 'kubectl' | 'replace' = 'git'): void {
    if (by === 'git' && this.gitMode !== 'Off' && this.gitDown) return
    if (by === 'git' || this.gitMode === 'Off') {
      this.gitTemplate = { ...to }
      this.past.push({ ...to })
      this.gitCommits++
    }
    const restart = Math.max(to.restart, this.cluster.deployment?.template.restart ?? 0)
    write(this.cluster, by, (d) => Object.assign(d.template, { ...to, restart }), by === 'replace')
    this.tick()
  }

  /** New pods of the same content. */
  restart(): void {
    write(this.cluster, 'kubectl rollout restart', (d) => d.template.restart++)
    this.tick()
  }

  override revertTemplate({ from, to }: NonNullable<PendingCommit['template']>): void {
    if (hashOf(this.gitTemplate) !== from.hash) return
    const found = this.past.find((t) => hashOf(t) === to.hash)
    if (found) this.gitTemplate = { ...found, restart: 0 }
  }

  /** Whatever is broken in the cluster is mended: pods become ready, the policy is there, and so is the Deployment. */
  mend(): void {
    const { cluster } = this
    Object.assign(cluster, { neverReady: [], down: [], policy: true, breakGlass: false, misfit: false })
    if (!cluster.deployment) create(cluster, this.gitTemplate, 4)
    if (cluster.deployment?.replicas === 0) cluster.deployment.replicas = 4
    this.tick()
  }

  /** The cluster as others see it change. */
  fingerprint(): string {
    return JSON.stringify([this.workloads(this.status), this.resourceVersion])
  }

  override reconcile(asked: Mishap = {}): Plan {
    const late = this.seen
    const before = this.lagging ? structuredClone(this.cluster) : undefined
    const then = before && JSON.stringify(before)
    const decided = super.reconcile(asked)
    if (late && this.lagging) {
      this.seen = undefined
      this.news++
    } else if (before && then !== JSON.stringify(this.cluster)) this.seen = before
    return decided
  }

  override crashed(decided: Plan): Plan {
    this.cluster.latch = { state: 'Unknown' }
    return super.crashed(decided)
  }

  override perform(effect: Effect, decided: Plan): boolean {
    if (!isDeploymentEffect(effect)) return super.perform(effect, decided)
    const before = JSON.stringify(this.cluster)
    this.hands(effect)
    if (JSON.stringify(this.cluster) !== before) this.news++
    return true
  }

  /** A refused one is no reason to stop. */
  private hands(effect: DeploymentEffect): void {
    const { cluster } = this
    const d = cluster.deployment
    if (this.latest) this.onHands?.(effect, this.lastSeen ?? this.observe())
    if (this.refused) return
    if (effect.kind === 'removeCanary') deleteCanary(cluster)
    if (effect.kind === 'floor') setFloor(cluster, effect.replicas)
    if (!d) return
    switch (effect.kind) {
      case 'adopt':
        if (cluster.labelled && (d.paused || !effect.pause)) break
        write(cluster, 'sluice', (it) => {
          cluster.labelled = true
          if (effect.pause) it.paused = true
        })
        break
      case 'proveLatch': {
        const holds = cluster.policy && cluster.labelled && !cluster.breakGlass
        cluster.latch = holds
          ? { state: 'Proven', at: this.now }
          : { state: 'Missing', at: this.now, message: 'a changed template was not latched' }
        break
      }
      case 'scaleCanary':
        if (hashOf(d.template) === effect.revision.hash) applyCanary(cluster, effect.revision.revision, effect.replicas)
        break
      case 'resume':
        if (d.paused && String(d.resourceVersion) === effect.resourceVersion)
          write(cluster, 'sluice', (it) => {
            it.paused = false
          })
        break
      case 'restoreTemplate': {
        const isBack = hashOf(d.template) === effect.to.hash
        if (isBack && !d.paused) break
        const template = isBack ? d.template : d.sets.find((s) => hashOf(s.template) === effect.to.hash)?.template
        if (template)
          write(cluster, 'sluice', (it) => {
            it.template = { ...template }
            it.paused = false
          })
        break
      }
      case 'release':
        // Looked at once more right before the write: only what is recorded as stable is let go.
        if (effect.resume && d.paused && hashOf(d.template) !== this.status.stable?.hash) break
        write(cluster, 'sluice', (it) => {
          cluster.labelled = false
          if (effect.resume) it.paused = false
        })
        break
    }
    this.tick()
  }

  /** What the plan that is being carried out had seen. */
  private lastSeen: Observation | undefined

  override observe(status: RolloutStatus = this.status): Observation {
    const o = super.observe(status)
    this.lastSeen = o
    return o
  }

  /** Lets time pass as the controller does: it looks when something changes, or when it asked to. */
  wait(ms: number, until: () => boolean = () => false): void {
    const end = this.now + ms
    this.settle()
    let due = this.due()
    let seen = this.fingerprint()
    while (this.now < end && !this.gone && !until()) {
      this.advance(Math.max(1_000, Math.min(5_000, due - this.now, end - this.now)))
      const before = this.news
      this.push()
      if (this.news === before && this.now < due && this.fingerprint() === seen) continue
      this.settle()
      due = this.due()
      seen = this.fingerprint()
    }
  }

  private due(): number {
    return this.latest?.requeueAfterMs === undefined ? Number.POSITIVE_INFINITY : this.now + this.latest.requeueAfterMs
  }
}
