import { SluiceError } from '../../errors.ts'
import { fieldAt, textAt } from '../../kube/field.ts'
import { asKubeError } from '../../kube/kube-error.ts'
import { resources } from '../../kube/resources.ts'
import { type Cluster, type ClusterFlags, type RolloutName, withCluster } from '../cluster.ts'
import { explain } from '../explain.ts'
import type { Rollout } from '../rollouts.ts'
import type { Terminal } from '../terminal.ts'
import { workTreeAt } from './git.ts'

/** Which repository is read, and what the cluster says about it. */
export interface Place {
  from: string
  branch?: string
  /** `namespace/name`, when one was named. */
  rollout?: string
  /** Address of whoever writes there, when the cluster tells. */
  writer?: string
  /** The newest commit that the cluster knows of, by Rollout. */
  lastCommits: { rollout: string; commit: string }[]
  /** After git's words when it cannot be read. */
  hint: string
}

export interface PlaceFlags extends ClusterFlags {
  repo?: string
  branch?: string
}

/** The repository of --repo, else that of the Rollout's source in the cluster, else, without a cluster, the one this folder is in. */
export async function placeOf(named: RolloutName | undefined, flags: PlaceFlags, terminal: Terminal): Promise<Place> {
  const { repo, branch, namespace } = flags
  const rollout = named && keyOf(named, named.namespace ?? namespace)
  const given = { ...(branch === undefined ? {} : { branch }), ...(rollout ? { rollout } : {}) }
  if (repo !== undefined) return { from: repo, ...given, lastCommits: [], hint: '' }
  try {
    return await withCluster(flags, terminal, (cluster) => placeInCluster(cluster, named, flags))
  } catch (error) {
    const tree = await workTreeAt('.', terminal)
    if (!isAbsent(error, flags) || tree === undefined) throw error
    terminal.err(`No cluster (${explain(error).replace(/[.]$/, '')}): reads the repository ${tree}.\n`)
    return { from: tree, ...given, lastCommits: [], hint: '' }
  }
}

/** A name without a namespace is looked for in all of them. */
function keyOf({ name }: RolloutName, namespace: string | undefined): string {
  return `${namespace ?? ''}/${name}`
}

/** There is no cluster to ask; one that was named has to be there. */
function isAbsent(error: unknown, { kubeconfig, context }: ClusterFlags): boolean {
  if (kubeconfig !== undefined || context !== undefined) return false
  if (error instanceof SluiceError)
    return ['ApiUnreachable', 'CrdsMissing', 'NotAKubeconfig'].includes(error.problem.reason)
  return error instanceof Error && error.name === 'KubeconfigError'
}

async function placeInCluster(cluster: Cluster, named: RolloutName | undefined, flags: PlaceFlags): Promise<Place> {
  const { findRollout, listRollouts } = await import('../rollouts.ts')
  const rollouts = named ? [await findRollout(cluster, named)] : await listRollouts(cluster, cluster.namespace)
  const keys = [...new Set(rollouts.flatMap((rollout) => sourceOf(rollout) ?? []))]
  const [key] = keys
  if (key === undefined || keys.length > 1) {
    const whose = named
      ? `Rollout ${rollouts[0]?.namespace}/${rollouts[0]?.name}`
      : `the namespace ${cluster.namespace}`
    const why =
      keys.length > 1 ? `commits to several RolloutSources (${keys.join(', ')})` : 'commits to no RolloutSource'
    throw new SluiceError({ reason: 'HistoryUnreadable', message: `${whose} ${why}` })
  }
  const [namespace = '', name = ''] = key.split('/')
  const source = await cluster.client.get(resources.rolloutSources, { namespace, name }).catch((error: unknown) => {
    if (!asKubeError(error)?.isNotFound) throw error
    return undefined
  })
  const url = textAt(source, 'spec', 'url')
  if (url === undefined) {
    throw new SluiceError({ reason: 'HistoryUnreadable', message: `there is no RolloutSource ${key}` })
  }
  const writer = textAt(source, 'spec', 'write', 'author', 'email')
  const own = fieldAt(source, 'spec', 'secretRef') !== undefined
  const [rollout] = rollouts
  return {
    from: url,
    branch: flags.branch ?? textAt(source, 'spec', 'branch') ?? 'main',
    ...(named && rollout ? { rollout: `${rollout.namespace}/${rollout.name}` } : {}),
    // An author that is worded anew for every commit is no one address.
    ...(writer === undefined || writer.includes('${') ? {} : { writer }),
    lastCommits: rollouts.flatMap(({ namespace, name, status: { git } }) =>
      git?.lastCommit === undefined || flags.branch !== undefined
        ? []
        : [{ rollout: `${namespace}/${name}`, commit: git.lastCommit }],
    ),
    hint: own ? `; it was tried as you, for the credentials of RolloutSource ${key} stay in the cluster` : '',
  }
}

/** `namespace/name` of the RolloutSource that a Rollout names. */
function sourceOf({ namespace, object }: Rollout): string | undefined {
  const name = textAt(object, 'spec', 'source', 'name')
  return name === undefined ? undefined : `${textAt(object, 'spec', 'source', 'namespace') ?? namespace}/${name}`
}
