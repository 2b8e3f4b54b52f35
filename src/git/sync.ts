import type { RolloutSourceSpec } from '../api/rolloutsource.ts'
import type { KubeClient } from '../kube/client.ts'
import { fieldAt } from '../kube/field.ts'
import { asKubeError } from '../kube/kube-error.ts'
import type { Resource } from '../kube/object.ts'
import { type ApplyContext, applyDeclared, impersonated, keyFor, type RouteOwners, whyNot } from './apply.ts'
import type { Branch } from './branch.ts'
import { type Declared, readDeclarations, type SourceError } from './declared.ts'
import { formatItem, type InventoryItem, identityOf, itemOf, parseItem, planInventory } from './inventory.ts'
import { isObject } from './manifest.ts'
import type { SourceRef } from './source-ref.ts'

export interface SyncOptions {
  client: KubeClient
  branch: Branch
  tip: string
  source: SourceRef
  spec: RolloutSourceSpec
  /** What status remembers as applied. */
  inventory: string[]
  owners: RouteOwners
  /** Asked before every write; a deposed leader writes nothing more. */
  mayWrite: () => boolean
}

export interface SyncResult {
  applied: number
  unchanged: number
  pruned: number
  failed: number
  errors: SourceError[]
  inventory: string[]
  /** Something may work by itself when it is tried again soon. */
  retry: boolean
  /** What there is instead of a folder with files, when there is none. */
  missing: string | undefined
}

const pruneAnnotation = 'sluice.dev/prune'

/** Makes the cluster what the folder says, object by object; one that fails stops no other. */
export async function synchronise(options: SyncOptions): Promise<SyncResult> {
  const { branch, tip, source, spec, client, mayWrite } = options
  const tree = await branch.tree(tip, source.path, { reach: true })
  const missing = tree.absent
  const result: SyncResult = {
    applied: 0,
    unchanged: 0,
    pruned: 0,
    failed: 0,
    errors: [],
    inventory: [],
    retry: false,
    missing,
  }
  if (missing !== undefined) return { ...result, inventory: options.inventory }

  const { objects, errors } = await readDeclarations(tree, branch.repository, source.path, spec.apply)
  result.errors.push(...errors)
  const context: ApplyContext = {
    client,
    source,
    serviceAccountName: spec.serviceAccountName,
    owners: withDeclaredOwners(objects, source, options.owners),
  }
  const applied: InventoryItem[] = []
  const declaredItems: InventoryItem[] = []
  const seen = new Map<string, Declared>()
  let complete = errors.length === 0
  for (const declared of objects) {
    if (!mayWrite()) return { ...result, inventory: options.inventory, retry: true }
    const outcome = await applyOnce(context, declared, seen)
    if (outcome.state !== 'failed' || (outcome.resource && outcome.key)) {
      const item = itemOf(outcome.resource!, outcome.key!)
      declaredItems.push(item)
      if (outcome.state !== 'failed') applied.push(item)
    } else {
      complete = false
    }
    if (outcome.state === 'changed') result.applied += 1
    if (outcome.state === 'unchanged') result.unchanged += 1
    if (outcome.state !== 'failed') continue
    result.failed += 1
    result.retry ||= outcome.transient
    result.errors.push({
      file: declared.file,
      line: declared.line,
      object: describe(declared),
      message: outcome.message,
    })
  }

  const before = options.inventory.map(parseItem).filter((item) => item !== undefined)
  const plan = planInventory(before, declaredItems, { mode: spec.apply, prune: spec.prune, complete })
  const kept = [...plan.keep]
  for (const item of plan.prune) {
    if (!mayWrite()) return { ...result, inventory: options.inventory, retry: true }
    const outcome = await prune(item, context)
    if (outcome === 'pruned') result.pruned += 1
    if (outcome === 'spared' || outcome === 'pruned') continue
    kept.push(item)
    result.failed += 1
    result.retry = true
    result.errors.push({ file: '', object: formatItem(item), message: `cannot be deleted: ${outcome.message}` })
  }
  const failedBefore = declaredItems.filter((item) => before.some((b) => identityOf(b) === identityOf(item)))
  const all = new Map([...kept, ...failedBefore, ...applied].map((item) => [identityOf(item), formatItem(item)]))
  return { ...result, inventory: [...all.values()].sort() }
}

async function applyOnce(context: ApplyContext, declared: Declared, seen: Map<string, Declared>) {
  const { object } = declared
  const key = [object.apiVersion, object.kind, object.metadata.namespace ?? '', object.metadata.name].join('/')
  const earlier = seen.get(key)
  if (earlier) {
    const message = `is declared in ${earlier.file}:${earlier.line} already`
    return { state: 'failed', message, transient: false, resource: undefined, key: undefined } as const
  }
  seen.set(key, declared)
  return await applyDeclared(context, declared)
}

async function prune(item: InventoryItem, context: ApplyContext): Promise<'pruned' | 'spared' | { message: string }> {
  const { client, source, serviceAccountName } = context
  const namespaced = item.namespace !== ''
  const resource: Resource = { ...item, kind: item.plural === 'namespaces' ? 'Namespace' : '', namespaced }
  const key = namespaced ? { namespace: item.namespace, name: item.name } : { name: item.name }
  if (whyNot(resource, key, source, serviceAccountName) !== undefined) return 'spared'
  try {
    const live = await client.get(resource, key)
    if (!live) return 'pruned'
    const wish = live.metadata.annotations?.[pruneAnnotation]
    const precious = item.plural === 'namespaces' || item.plural === 'customresourcedefinitions'
    if (wish === 'disabled' || (precious && wish !== 'enabled')) return 'spared'
    const preconditions = { uid: live.metadata.uid }
    await client.delete(resource, key, { preconditions, impersonate: impersonated(source, serviceAccountName) })
    return 'pruned'
  } catch (error) {
    const kube = asKubeError(error)
    if (!kube) throw error
    return { message: kube.message }
  }
}

/** Rollouts that stand in the same repository own their routes even before the cluster knows them. */
function withDeclaredOwners(objects: Declared[], source: SourceRef, owners: RouteOwners): RouteOwners {
  const rollouts = objects.filter(
    ({ object }) => object.kind === 'Rollout' && object.apiVersion.startsWith('sluice.dev/'),
  )
  return (namespace, name) => {
    const declared = rollouts
      .filter((r) => keyFor(rolloutResource, r, source).namespace === namespace)
      .map((r) => fieldAt(r.object, 'spec', 'traffic', 'istio', 'virtualService'))
      .filter((vs) => isObject(vs) && vs.name === name)
      .map((vs) => ({ routes: routesOf(vs) }))
    const known = owners(namespace, name)
    const all = known ? [...declared, known] : declared
    if (all.length === 0) return undefined
    return all.some(({ routes }) => routes === undefined) ? {} : { routes: all.flatMap(({ routes }) => routes ?? []) }
  }
}

const rolloutResource: Resource = {
  group: 'sluice.dev',
  version: 'v1alpha1',
  plural: 'rollouts',
  kind: 'Rollout',
  namespaced: true,
}

function routesOf(virtualService: unknown): string[] | undefined {
  const routes = isObject(virtualService) ? virtualService.routes : undefined
  return Array.isArray(routes) ? routes.filter((route) => typeof route === 'string') : undefined
}

function describe({ object }: Declared): string {
  const { name, namespace } = object.metadata
  return `${object.kind} ${namespace ? `${namespace}/` : ''}${name}`
}
