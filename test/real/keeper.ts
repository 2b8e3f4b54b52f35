import { createHash, randomBytes } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { systemRuntime as runtime } from '../../src/runtime.ts'
import type { Manifest } from '../deploy/kustomize.ts'
import type { Api } from './api.ts'

/** Plays what an API server by itself lacks: the Deployment and ReplicaSet controllers, the kubelet, and garbage collection. */
export interface Keeper {
  /** Looks after the Deployments of a namespace from now on. */
  keep(namespace: string): void
  stop(): Promise<void>
}

const HASH = 'pod-template-hash'
const REVISION = 'deployment.kubernetes.io/revision'

/** Looks at everything several times a second and does one small thing about whatever is not as it should be, by ordinary requests. */
export function startKeeper(api: Api): Keeper {
  const namespaces = new Set<string>()
  const stopped = new AbortController()
  let address = 0

  async function pass(): Promise<void> {
    const [deployments = [], sets = [], pods = []] = await Promise.all(
      ['deployments', 'replicasets', 'pods'].map(async (plural) =>
        (await api.list(plural)).filter((each) => namespaces.has(each.metadata.namespace)),
      ),
    )
    const work = [
      ...deployments.map((each) => () => deploymentController(each, sets.filter(ownedBy(each)))),
      ...sets.map((each) => () => replicaSetController(each, pods.filter(ownedBy(each)))),
      ...pods.map((each) => () => kubelet(each)),
      ...orphansOf(sets, deployments).map((each) => () => remove('replicasets', each)),
      ...orphansOf(pods, sets).map((each) => () => remove('pods', each)),
    ]
    // What changed meanwhile is refused, and done at the next pass.
    await Promise.all(work.map((each) => each().catch(() => undefined)))
  }

  async function deploymentController(deployment: Manifest, sets: Manifest[]): Promise<void> {
    const { namespace, deletionTimestamp } = deployment.metadata
    if (deletionTimestamp) return
    const wanted: number = deployment.spec.replicas
    const newest = sets.find((each) => isDeepStrictEqual(templateOf(each), deployment.spec.template))
    if (!newest && !deployment.spec.paused) {
      await api.create('replicasets', replicaSetOf(deployment, 1 + Math.max(0, ...sets.map(revisionOf))))
      return
    }
    const older = sets.filter((each) => each !== newest)
    if (newest && !deployment.spec.paused) {
      const latest = Math.max(...sets.map(revisionOf))
      const revision = String(revisionOf(newest) < latest ? latest + 1 : latest)
      for (const [plural, each] of [['replicasets', newest] as const, ['deployments', deployment] as const])
        if (each.metadata.annotations?.[REVISION] !== revision)
          await api.patch(plural, namespace, each.metadata.name, {
            metadata: { annotations: { [REVISION]: revision } },
          })
      // One more than wanted at a time, and never fewer ready.
      const present = sum(older, (each) => each.spec.replicas)
      await scale(newest, Math.min(wanted, Math.max(newest.spec.replicas, wanted + 1 - present)))
      let surplus = Math.max(0, Math.min(present, present + (newest.status.readyReplicas ?? 0) - wanted))
      for (const each of older) {
        const gone = Math.min(surplus, each.spec.replicas)
        surplus -= gone
        await scale(each, each.spec.replicas - gone)
      }
    } else {
      // Paused, it scales what serves.
      const [serving] = [...sets].sort((a, b) => b.spec.replicas - a.spec.replicas || revisionOf(b) - revisionOf(a))
      if (serving) await scale(serving, Math.max(0, serving.spec.replicas + wanted - sum(sets, (s) => s.spec.replicas)))
    }
    const ready = sum(sets, (each) => each.status.readyReplicas)
    const done = newest?.status.readyReplicas === wanted && sum(older, (each) => each.status.replicas) === 0
    const progressing = deployment.spec.paused
      ? { type: 'Progressing', status: 'Unknown', reason: 'DeploymentPaused' }
      : { type: 'Progressing', status: 'True', reason: done ? 'NewReplicaSetAvailable' : 'ReplicaSetUpdated' }
    const available = ready >= wanted
    await tell('deployments', deployment, {
      observedGeneration: deployment.metadata.generation,
      replicas: sum(sets, (each) => each.status.replicas),
      updatedReplicas: newest?.status.replicas ?? 0,
      readyReplicas: ready,
      availableReplicas: ready,
      unavailableReplicas: Math.max(0, wanted - ready),
      conditions: [
        {
          type: 'Available',
          status: available ? 'True' : 'False',
          reason: `MinimumReplicas${available ? 'A' : 'Una'}vailable`,
        },
        progressing,
      ],
    })
  }

  async function replicaSetController(set: Manifest, all: Manifest[]): Promise<void> {
    const pods = all.filter((pod) => !pod.metadata.deletionTimestamp)
    const { namespace, name, deletionTimestamp, generation } = set.metadata
    if (deletionTimestamp) return
    const missing = set.spec.replicas - pods.length
    const unreadyFirst = [...pods].sort((a, b) => Number(isReady(a)) - Number(isReady(b)))
    for (const pod of unreadyFirst.slice(0, Math.max(0, -missing))) await remove('pods', pod)
    for (let i = 0; i < missing; i++) {
      const { labels, annotations } = set.spec.template.metadata
      const metadata = {
        name: `${name}-${randomBytes(3).toString('hex')}`,
        namespace,
        labels,
        annotations,
        ownerReferences: [ownerOf(set)],
      }
      await api.create('pods', { apiVersion: 'v1', kind: 'Pod', metadata, spec: set.spec.template.spec })
    }
    const ready = pods.filter(isReady).length
    const counts = { fullyLabeledReplicas: pods.length, readyReplicas: ready, availableReplicas: ready }
    await tell('replicasets', set, { observedGeneration: generation, replicas: pods.length, ...counts })
  }

  async function kubelet(pod: Manifest): Promise<void> {
    if (isReady(pod) || pod.metadata.deletionTimestamp) return
    const startedAt = new Date(Math.floor(runtime.now() / 1000) * 1000).toISOString().replace('.000', '')
    const types = ['PodScheduled', 'Initialized', 'ContainersReady', 'Ready']
    await api.patchStatus('pods', pod, {
      phase: 'Running',
      startTime: startedAt,
      podIP: `10.1.${(++address >> 8) % 256}.${address % 256}`,
      conditions: types.map((type) => ({ type, status: 'True', lastTransitionTime: startedAt })),
      containerStatuses: pod.spec.containers.map(({ name, image }: Manifest) => {
        const state = { running: { startedAt } }
        return { name, image, imageID: image, ready: true, started: true, restartCount: 0, state }
      }),
    })
  }

  async function scale(set: Manifest, replicas: number): Promise<void> {
    if (set.spec.replicas === replicas) return
    await api.patch('replicasets', set.metadata.namespace, set.metadata.name, { spec: { replicas } })
  }

  /** Writes a status where it says something new. */
  async function tell(plural: string, object: Manifest, status: Record<string, unknown>): Promise<void> {
    // A count of zero is not kept by a real API server.
    const kept = (value: unknown) => (value === 0 ? undefined : value)
    const differs = Object.entries(status).some(([key, value]) => {
      const conditions = (all: Manifest) => all?.map(({ type, status, reason }: Manifest) => ({ type, status, reason }))
      const before = object.status?.[key]
      if (key === 'conditions') return !isDeepStrictEqual(conditions(before), conditions(value))
      return kept(before) !== kept(value)
    })
    if (differs) await api.patchStatus(plural, object, status)
  }

  async function remove(plural: string, { metadata }: Manifest): Promise<void> {
    if (!metadata.deletionTimestamp) await api.remove(plural, metadata.namespace, metadata.name)
  }

  async function run(): Promise<void> {
    while (!stopped.signal.aborted) {
      // The server may be away.
      await pass().catch(() => undefined)
      await runtime.sleep(150, stopped.signal).catch(() => undefined)
    }
  }
  const running = run()
  return {
    keep: (namespace) => void namespaces.add(namespace),
    stop() {
      stopped.abort()
      return running
    },
  }
}

function replicaSetOf(deployment: Manifest, revision: number): Manifest {
  const { metadata, spec } = deployment
  const hash = createHash('sha256').update(JSON.stringify(spec.template)).digest('hex').slice(0, 10)
  const labels = { ...spec.template.metadata.labels, [HASH]: hash }
  return {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: {
      name: `${metadata.name}-${hash}`,
      namespace: metadata.namespace,
      labels,
      annotations: { [REVISION]: String(revision) },
      ownerReferences: [ownerOf(deployment)],
    },
    spec: {
      replicas: 0,
      selector: { matchLabels: { ...spec.selector.matchLabels, [HASH]: hash } },
      template: { ...spec.template, metadata: { ...spec.template.metadata, labels } },
    },
  }
}

function ownerOf({ apiVersion = 'apps/v1', kind, metadata }: Manifest) {
  const named = kind ?? (metadata.labels?.[HASH] ? 'ReplicaSet' : 'Deployment')
  return { apiVersion, kind: named, name: metadata.name, uid: metadata.uid, controller: true, blockOwnerDeletion: true }
}

const ownerUid = (object: Manifest): string | undefined => object.metadata.ownerReferences?.[0]?.uid
const ownedBy = (owner: Manifest) => (object: Manifest) => ownerUid(object) === owner.metadata.uid

function orphansOf(objects: Manifest[], owners: Manifest[]): Manifest[] {
  const uids = new Set(owners.map((each) => each.metadata.uid))
  return objects.filter((each) => ownerUid(each) !== undefined && !uids.has(ownerUid(each)))
}

/** The template that a ReplicaSet was made of. */
function templateOf(set: Manifest): Manifest {
  const { [HASH]: _, ...labels } = set.spec.template.metadata.labels
  return { ...set.spec.template, metadata: { ...set.spec.template.metadata, labels } }
}

function revisionOf(set: Manifest): number {
  return Number(set.metadata.annotations?.[REVISION] ?? 0)
}

function isReady(pod: Manifest): boolean {
  return pod.status?.conditions?.some((each: Manifest) => each.type === 'Ready' && each.status === 'True') ?? false
}

function sum(objects: Manifest[], count: (object: Manifest) => number | undefined): number {
  return objects.reduce((total, each) => total + (count(each) ?? 0), 0)
}
