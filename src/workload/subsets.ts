import type { Problem } from '../errors.ts'
import { fieldAt } from '../kube/field.ts'
import type { KubeObject } from '../kube/object.ts'
import type { ObjectReader } from '../kube/reader.ts'
import { resources } from '../kube/resources.ts'
import type { RevisionObservation, WorkloadObservation } from '../plan/observation.ts'
import { revisionOf } from '../plan/revision.ts'
import { isReady, replicasOf, whyNotReady, whyRolling } from './readiness.ts'
import { findVersions, type Version } from './versions.ts'
import type { Workload, WorkloadQuery } from './workload.ts'

/** Versions that already run side by side, as subsets of a DestinationRule or as Services of their own. */
export function createSubsetWorkload(reader: ObjectReader): Workload {
  return { observe: (query) => observeSubsets(query, reader) }
}

/**
 * What runs behind every subset: the Deployments whose pod template the Service selects and the subset's labels match, named by a hash
 * of their templates, with wanted and ready pods. Reads caches of DestinationRules, VirtualServices, Services, Deployments and Pods only.
 */
function observeSubsets(query: WorkloadQuery, reader: ObjectReader): WorkloadObservation {
  const { subsets } = query.workload
  if (!subsets) {
    const message = 'only spec.workload.subsets can be observed as subsets'
    return { ok: false, problem: { reason: 'NotYet', message, field: 'spec.workload' } }
  }
  const { desired } = subsets
  const names = [desired, query.recordedStable?.name, query.recordedCanary?.name, subsets.initialStable].filter(
    (n) => n !== undefined,
  )
  const found = findVersions(reader, { namespace: query.namespace, traffic: query.traffic, names })
  if (!found.ok) return found
  const version = found.versions.find((v) => v.name === desired)
  const selected = selector(reader)
  const all = found.versions.flatMap((v) => observeVersion(v, selected(v)) ?? [])
  const here = all.find((revision) => revision.name === desired)
  const recorded = {
    stable: all.find((revision) => revision.name === query.recordedStable?.name),
    canary: all.find((revision) => revision.name === query.recordedCanary?.name),
  }
  if (!version || !here) {
    const problem = version ? workloadMissing(version) : subsetMissing(desired, found.declaredIn, found.versions)
    return { ok: false, problem, seen: { desired, ...recorded } }
  }
  return { ok: true, desired: here, ...recorded, all }
}

interface Selected {
  deployments: KubeObject[]
  pods: KubeObject[]
}

/** What a version's Service selects, looked for once for all subsets of one Service: namespaces may hold thousands of pods. */
function selector(reader: ObjectReader): (version: Version) => Selected {
  const known = new Map<Version['selector'], Selected>()
  return ({ namespace, selector }) => {
    const before = known.get(selector)
    if (before) return before
    const wanted = Object.entries(selector)
    const selected = {
      deployments: reader
        .list(resources.deployments, namespace)
        .filter((d) => matches(wanted, fieldAt(d, 'spec', 'template', 'metadata', 'labels')))
        .filter((d) => d.metadata.deletionTimestamp === undefined),
      pods: reader.list(resources.pods, namespace).filter((pod) => matches(wanted, pod.metadata.labels)),
    }
    known.set(selector, selected)
    return selected
  }
}

/** One version's revision and pods; undefined when no Deployment is behind it. */
function observeVersion(version: Version, selected: Selected): RevisionObservation | undefined {
  const wanted = Object.entries(version.labels)
  const deployments = selected.deployments.filter((d) =>
    matches(wanted, fieldAt(d, 'spec', 'template', 'metadata', 'labels')),
  )
  if (deployments.length === 0) return undefined
  const pods = selected.pods.filter((pod) => matches(wanted, pod.metadata.labels))
  const revision = revisionOf(
    version.name,
    deployments.map((d) => ({
      name: d.metadata.name,
      uid: d.metadata.uid ?? '',
      generation: d.metadata.generation ?? 0,
      template: fieldAt(d, 'spec', 'template'),
    })),
  )
  return {
    ...revision,
    replicas: deployments.reduce((sum, deployment) => sum + replicasOf(deployment), 0),
    ready: pods.filter(isReady).length,
    notReady: whyNotReady(deployments, pods),
    rolling: whyRolling(deployments),
  }
}

function matches(wanted: readonly [string, string][], labels: unknown): boolean {
  return wanted.every(([key, value]) => fieldAt(labels, key) === value)
}

function subsetMissing(name: string, declaredIn: string, versions: readonly Version[]): Problem {
  const there = versions.length === 0 ? 'it has none' : `it has ${versions.map((v) => `"${v.name}"`).join(', ')}`
  const message = `${declaredIn} has no subset "${name}" (${there})`
  return { reason: 'SubsetMissing', message, field: 'spec.workload.subsets.desired' }
}

function workloadMissing(version: Version): Problem {
  const labels = Object.entries({ ...version.selector, ...version.labels }).map(([key, value]) => `${key}=${value}`)
  const clash = Object.keys(version.labels).find(
    (key) => (version.selector[key] ?? version.labels[key]) !== version.labels[key],
  )
  if (clash !== undefined) {
    const message = `the Service selects ${clash}=${version.selector[clash]}, but subset "${version.name}" wants ${clash}=${version.labels[clash]}: no pod can be both`
    return { reason: 'WorkloadMissing', message }
  }
  const message = `no Deployment in namespace ${version.namespace} has pods for "${version.name}" (labels ${labels.join(', ')})`
  return { reason: 'WorkloadMissing', message }
}
