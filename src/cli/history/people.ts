import type { Commit } from '../../git/commit.ts'
import type { Operation } from '../../git/history.ts'
import { isManifestFile, type Manifest, readManifests } from '../../git/manifest.ts'
import type { WrittenWeights } from '../../git/message.ts'
import { parseTree } from '../../git/plumbing.ts'
import { isStateFile } from '../../git/statefile.ts'
import { oneLine } from '../../git/trailers.ts'
import { fieldAt, listAt, textAt } from '../../kube/field.ts'
import { blobs } from './blobs.ts'
import type { Clone } from './git.ts'
import type { FileChange } from './read.ts'

/** What a person changed that Sluice would otherwise have written. */
export interface PersonsChange {
  rollout: string
  commit: string
  /** Epoch ms. */
  at: number
  author: string
  subject: string
  file: string
  what: 'weight' | 'desired' | 'image'
  from: string | undefined
  to: string | undefined
}

/** What a file may hold of a Rollout. */
export interface Owner {
  rollout: string
  /** Names of its objects, where the Rollout's manifest tells them. */
  virtualService?: string
  deployment?: string
}

/** By path. */
export type Owned = Map<string, Owner[]>

/**
 * The files whose values operations write: those that commits of operations changed, and those that declare the Rollout, its Deployment
 * and its VirtualService at the tip.
 */
export async function ownedFiles(
  clone: Clone,
  recorded: ReadonlyMap<string, readonly Operation[]>,
  own: ReadonlyMap<string, readonly FileChange[]>,
  only: string | undefined,
): Promise<Owned> {
  const owners = new Map<string, Owner & { files: Set<string> }>()
  for (const [commit, operations] of recorded) {
    for (const { rollout } of operations) {
      if (only !== undefined && rollout !== only) continue
      const owner = owners.get(rollout) ?? { rollout, files: new Set<string>() }
      owners.set(rollout, owner)
      for (const { path } of own.get(commit) ?? [])
        if (isManifestFile(path) && !isStateFile(path)) owner.files.add(path)
    }
  }
  const declared = await declaredAtTip(clone)
  for (const { file, object } of declared) {
    const name = `${object.metadata?.namespace ?? ''}/${object.metadata?.name ?? ''}`
    if (object.kind !== 'Rollout') continue
    const matching = [...owners.values()].filter(({ rollout }) => rollout === name || rollout.endsWith(name))
    for (const owner of matching) {
      owner.files.add(file)
      owner.virtualService = textAt(object, 'spec', 'traffic', 'istio', 'virtualService', 'name')
      owner.deployment = textAt(object, 'spec', 'workload', 'deployment', 'name')
    }
  }
  const owned: Owned = new Map()
  for (const owner of owners.values()) {
    for (const { file, object } of declared) {
      const { kind, metadata } = object
      const namespace = metadata?.namespace
      if (namespace !== undefined && !owner.rollout.startsWith(`${namespace}/`)) continue
      const isRoute = kind === 'VirtualService' && metadata?.name === owner.virtualService
      if (isRoute || (kind === 'Deployment' && metadata?.name === owner.deployment)) owner.files.add(file)
    }
    for (const file of owner.files) owned.set(file, [...(owned.get(file) ?? []), owner])
  }
  return owned
}

/** Objects of the tip's files that may declare a Rollout, a route or a Deployment. */
async function declaredAtTip(clone: Clone): Promise<Manifest[]> {
  const listed = await clone.git(['ls-tree', '-r', '-z', clone.tip])
  const entries = parseTree(listed.toString('utf8')).filter(({ path }) => isManifestFile(path) && !isStateFile(path))
  const contents = await blobs(clone, new Set(entries.map(({ sha }) => sha)))
  return entries.flatMap(({ path, sha }) => {
    const content = contents.get(sha)
    return content && kinds.test(content.toString('utf8')) ? readManifests(path, content).manifests : []
  })
}

const kinds = /kind["']?: *["']?(Rollout|VirtualService|Deployment|List)\b/

/** The two destinations between which a Rollout moves traffic at a commit; undefined before it is known. */
export type Pair = Pick<WrittenWeights, 'stable' | 'canary'> | undefined

/** The canary's percentage that a version of a file gives to a Rollout's pair; undefined when it says nothing of it. */
export function routeWeight(path: string, content: Buffer | undefined, owner: Owner, pair: Pair): number | undefined {
  if (!content || !pair || !isManifestFile(path)) return undefined
  for (const { object } of readManifests(path, content).manifests) {
    if (object.kind !== 'VirtualService') continue
    if (owner.virtualService !== undefined && object.metadata?.name !== owner.virtualService) continue
    const namespace = object.metadata?.namespace
    if (namespace !== undefined && !owner.rollout.startsWith(`${namespace}/`)) continue
    for (const route of listAt(object, 'spec', 'http')) {
      const points = listAt(route, 'route').map((entry) => ({
        name: textAt(entry, 'destination', 'subset') ?? textAt(entry, 'destination', 'host') ?? '',
        weight: Number(fieldAt(entry, 'weight') ?? 0),
      }))
      const [a, b] = [pair.stable, pair.canary].map((name) => points.find((point) => point.name === name)?.weight)
      if (a !== undefined && b !== undefined && a + b > 0) return Math.round((10_000 * b) / (a + b)) / 100
    }
  }
  return undefined
}

/** What a person's commit did to a file of a Rollout. */
export function personsChange(
  commit: Commit,
  file: FileChange,
  owners: readonly Owner[],
  contents: ReadonlyMap<string, Buffer>,
  pairs: ReadonlyMap<string, Pair>,
): PersonsChange[] {
  const before = contents.get(file.before ?? '')
  const after = contents.get(file.after ?? '')
  return owners.flatMap((owner): PersonsChange[] => {
    const told = {
      rollout: owner.rollout,
      commit: commit.sha,
      at: commit.authoredAt,
      author: oneLine(`${commit.author.name} <${commit.author.email}>`),
      subject: commit.message.split('\n')[0] ?? '',
      file: file.path,
    }
    const [was, is] = [before, after].map((content) => valuesOf(file.path, content, owner, pairs.get(owner.rollout)))
    if (!was || !is) return []
    // What a file begins with is no change of it.
    const changed = (['weight', 'desired', 'image'] as const).filter(
      (what) => was[what] !== undefined && was[what] !== is[what],
    )
    return changed.map((what) => ({ ...told, what, from: was[what], to: is[what] }))
  })
}

function valuesOf(path: string, content: Buffer | undefined, owner: Owner, pair: Pair) {
  const weight = routeWeight(path, content, owner, pair)
  let desired: string | undefined
  let image: string | undefined
  for (const { object } of content && isManifestFile(path) ? readManifests(path, content).manifests : []) {
    const namespace = object.metadata?.namespace
    if (namespace !== undefined && !owner.rollout.startsWith(`${namespace}/`)) continue
    if (object.kind === 'Rollout' && owner.rollout.endsWith(`/${object.metadata?.name}`))
      desired = textAt(object, 'spec', 'workload', 'subsets', 'desired')
    if (object.kind === 'Deployment' && object.metadata?.name === owner.deployment)
      image = listAt(object, 'spec', 'template', 'spec', 'containers')
        .map((container) => textAt(container, 'image') ?? '')
        .join(', ')
  }
  return { weight: weight === undefined ? undefined : `${weight}%`, desired, image }
}
