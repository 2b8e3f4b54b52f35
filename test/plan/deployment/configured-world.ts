import type { PendingCommit, RevisionRecord, RolloutStatus } from '../../../src/api/status.ts'
import type { KubeObject } from '../../../src/kube/object.ts'
import type { Effect, Plan } from '../../../src/plan/effects.ts'
import type { Observation } from '../../../src/plan/observation.ts'
import { asCarried, templateContent } from '../../../src/plan/revision.ts'
import type { ConfigLook } from '../../../src/workload/deployment/config.ts'
import { names, ownLabels } from '../../../src/workload/deployment/names.ts'
import { createDeploymentWorkload } from '../../../src/workload/deployment/observe.ts'
import { canaryPods } from '../../../src/workload/deployment/overlay.ts'
import { applyCanary, isReady, tick, write } from './cluster.ts'
import { type Native, podsOf, readyPods, setOf, type Template } from './native.ts'
import { DeploymentWorld } from './world.ts'

const namespace = 'shop'

/**
 * The model world around a Deployment whose pods read a ConfigMap `env` and a Secret `token`. What plans see is what the real observation
 * makes of the model's cluster. The annotation of a template is modelled as its restart: both make new pods of the same template.
 */
export class ConfiguredWorld extends DeploymentWorld {
  /** What is in the ConfigMap. */
  config = 'a'
  lookup: ConfigLook['state'] = 'There'
  /** Hashes of configurations by the number that stands for the annotation. */
  annotations: string[] = ['']
  /** Annotation of the canary's pods, by revision. */
  private readonly canaries = new Map<string, string | undefined>()

  constructor(spec: ConstructorParameters<typeof DeploymentWorld>[0] = {}, deployment: Record<string, unknown> = {}) {
    super(spec, { deployment: { trackConfig: true, ...deployment } })
  }

  /** The content of pods and of the template: what an annotation says, or nothing. */
  carried(t: Template): string | undefined {
    return this.annotations[t.restart] || undefined
  }

  override workloads(status: RolloutStatus): Observation['workload'] {
    const objects = this.objects()
    const workload = createDeploymentWorkload(
      {
        get: ({ kind }, key) => objects.find((o) => o.kind === kind && o.metadata.name === key.name),
        list: ({ kind }) => objects.filter((o) => o.kind === kind),
      },
      { of: () => this.cluster.latch },
      { look: (_, reference) => this.look(reference.kind) },
    )
    return workload.observe({
      namespace,
      rollout: 'my-app',
      workload: this.spec.workload,
      traffic: this.spec.traffic,
      recordedStable: status.stable,
      recordedCanary: status.canary,
      recordedPrevious: status.deployment?.promotion?.previous,
    })
  }

  override desiredNow(): RevisionRecord {
    const seen = this.workloads(this.status)
    if (!seen.ok) throw new Error(seen.problem.message)
    return seen.desired
  }

  private look(kind: 'ConfigMap' | 'Secret'): ConfigLook {
    if (kind === 'Secret') return { state: 'There', digest: { token: 'x' } }
    if (this.lookup === 'There') return { state: 'There', digest: { value: this.config } }
    return this.lookup === 'Refused'
      ? { state: 'Refused', message: 'sluice may not list configmaps' }
      : { state: this.lookup }
  }

  override perform(effect: Effect, decided: Plan): boolean {
    const { cluster } = this
    const d = cluster.deployment
    if (!d || this.refused) return super.perform(effect, decided)
    const before = JSON.stringify(cluster)
    if (effect.kind === 'resume') {
      if (String(d.resourceVersion) === effect.resourceVersion)
        write(cluster, 'sluice', (it) => {
          it.paused = false
          if (effect.config !== undefined) it.template.restart = this.numberOf(effect.config)
        })
    } else if (effect.kind === 'scaleCanary') {
      const { revision, config } = effect.revision
      this.canaries.set(revision, config?.hash)
      applyCanary(cluster, revision, effect.replicas)
    } else if (effect.kind === 'restoreTemplate') {
      const home = effect.to
      const fits = (t: Template) =>
        this.bare(t) === home.template && [undefined, home.config?.hash].includes(this.carried(t))
      const found = fits(d.template) ? d : d.sets.find((set) => fits(set.template))
      if (found && (found !== d || d.paused))
        write(cluster, 'sluice', (it) => {
          it.template = { ...found.template }
          it.paused = false
        })
    } else return super.perform(effect, decided)
    tick(cluster, () => undefined)
    if (JSON.stringify(cluster) !== before) this.news++
    return true
  }

  override revertTemplate({ from, to }: NonNullable<PendingCommit['template']>): void {
    if (this.bare(this.gitTemplate) !== from.hash) return
    const found = this.past.find((t) => this.bare(t) === to.hash)
    if (found) this.gitTemplate = { ...found, restart: 0 }
  }

  /** An engine replaces the whole template by what Git says. */
  replaceTemplate(): void {
    write(this.cluster, 'engine', (d) => {
      d.template = { ...this.gitTemplate, restart: 0 }
    })
    tick(this.cluster, () => undefined)
  }

  bare(t: Template): string {
    return templateContent(this.template(t)).hash
  }

  private numberOf(config: string): number {
    const known = this.annotations.indexOf(config)
    return known >= 0 ? known : this.annotations.push(config) - 1
  }

  private template(t: Template) {
    const config = this.carried(t)
    return {
      metadata: {
        labels: { app: 'my-app', track: 'stable' },
        ...(config ? { annotations: { [names.config]: config } } : {}),
      },
      spec: {
        containers: [
          {
            name: 'app',
            image: `my-app:${t.tag}`,
            env: [{ name: 'CONTENT', value: t.env }],
            envFrom: [{ configMapRef: { name: 'env' } }, { secretRef: { name: 'token' } }],
          },
        ],
      },
    }
  }

  private objects(): KubeObject[] {
    const { deployment: d, canary, labelled } = this.cluster
    const destinations = ['stable', 'canary'].map((subset) => ({ destination: { host: 'my-app', subset } }))
    const routes = [
      thing('VirtualService', 'my-app', { hosts: ['my-app'], http: [{ route: destinations }] }),
      thing('Service', 'my-app', { selector: { app: 'my-app' } }),
      thing('DestinationRule', 'my-app', {
        host: 'my-app',
        subsets: ['stable', 'canary'].map((name) => ({ name, labels: { track: name } })),
      }),
    ]
    if (!d) return routes
    const user = this.native(d, (t) => this.template(t))
    const [own] = user
    if (own && labelled) own.metadata.labels = { [names.rollout]: 'my-app' }
    if (!canary) return [...routes, ...user]
    const config = this.canaries.get(canary.revision)
    const made = (t: Template) =>
      canaryPods({ ...thing('Deployment', 'my-app', { template: this.template(t) }) }, { track: 'canary' }, config)
        .template
    const copy = this.native(canary.deployment, made)
    const [head] = copy
    if (head) {
      head.metadata.labels = ownLabels('my-app', 'my-app')
      head.metadata.annotations = {
        [names.revision]: canary.revision,
        [names.replicas]: String(canary.asked),
        [names.templateHash]: asCarried(templateContent(made(canary.applied))).hash,
      }
      if (canary.until !== undefined) head.metadata.deletionTimestamp = '2026-01-01T00:00:00Z'
    }
    return [...routes, ...user, ...copy]
  }

  /** A Deployment, its ReplicaSets and their pods. */
  private native(d: Native, templateOf: (t: Template) => object): KubeObject[] {
    const ready = isReady(this.cluster)
    const selector = { matchLabels: { app: 'my-app' } }
    const deployment = thing('Deployment', d.name, {
      replicas: d.replicas,
      paused: d.paused,
      selector,
      template: templateOf(d.template),
    })
    Object.assign(deployment.metadata, {
      uid: d.uid,
      generation: d.generation,
      resourceVersion: String(d.resourceVersion),
    })
    deployment.status = {
      observedGeneration: d.generation,
      replicas: podsOf(d),
      updatedReplicas: setOf(d, d.template)?.pods.length ?? 0,
      availableReplicas: readyPods(d, ready),
    }
    const sets = d.sets.flatMap((set, i) => {
      const name = `${d.name}-${i}`
      const replicaSet = thing('ReplicaSet', name, { replicas: set.pods.length, template: templateOf(set.template) })
      Object.assign(replicaSet.metadata, { uid: set.uid, ownerReferences: [owner('Deployment', d.name, d.uid)] })
      const pods = set.pods.map((born, j) => {
        const pod = thing('Pod', `${name}-${j}`, {})
        const status = ready(d, set, born) ? 'True' : 'False'
        Object.assign(pod.metadata, { uid: `${set.uid}-${j}`, ownerReferences: [owner('ReplicaSet', name, set.uid)] })
        return { ...pod, status: { phase: 'Running', conditions: [{ type: 'Ready', status }] } }
      })
      return [replicaSet, ...pods]
    })
    return [deployment, ...sets]
  }
}

function thing(kind: string, name: string, spec: object): KubeObject {
  return { apiVersion: 'v1', kind, metadata: { name, namespace }, spec }
}

function owner(kind: string, name: string, uid: string) {
  return { apiVersion: 'apps/v1', kind, name, uid, controller: true }
}
