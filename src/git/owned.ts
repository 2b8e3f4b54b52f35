import type { CommittedValues } from '../api/committed.ts'
import type { RolloutSpec } from '../api/rollout.ts'
import { weightEdits, weightsIn } from '../traffic/manifest.ts'
import type { Pair, Traffic } from '../traffic/router.ts'
import { editManifest, type FilesEdit } from './edit-rendered.ts'
import { type Located, locateManifest, type NamespaceRule } from './locate.ts'
import { isObject, type Manifest } from './manifest.ts'
import type { WrittenWeights } from './message.ts'
import type { SourceRef } from './source-ref.ts'
import type { Tree } from './tree.ts'
import { desiredInValues, weightsInValues } from './values.ts'

/** A Rollout as the recorder knows it. */
export interface RolloutRef {
  namespace: string
  name: string
  spec: RolloutSpec
  /** A person's commit up to which weights in Git are accepted as they are (status.git.accepted). */
  accepted?: string
  /** Where Sluice proposes: what arrives in Git by a merge is ours, whatever became of its message. */
  proposed?: ProposedWeights
}

/** Weights that Sluice has proposed. */
export interface ProposedWeights {
  /** Those of pull requests that are still open, or were merged this moment. */
  weights: WrittenWeights[]
  /** The commit with which one was merged last (status.git.lastCommit). */
  merged?: string
}

/** Points of both sides in every owned route. */
export type PairWeights = { stable: number; canary: number }[]

export function namespaceRule(source: SourceRef): NamespaceRule {
  return { fallback: source.namespace, anyNamespace: source.apply === 'None' }
}

/** Where the repository keeps what is rendered from values; what it says there outranks every manifest. */
export function valuesOf({ spec }: RolloutRef): CommittedValues | undefined {
  return spec.source?.values
}

/** The edits that bring a pair in a route's manifest to a weight. */
export function weightEditsFor(
  manifest: Manifest,
  rollout: RolloutRef,
  target: Pair & { weight: number },
): ReturnType<typeof weightEdits> {
  return weightEdits(manifest.object, trafficOf(rollout), { namespace: rollout.namespace }, target, target.weight)
}

/** In values there is one pair of weights, whatever routes are rendered from it. */
function trafficOf(rollout: RolloutRef): Traffic {
  const { traffic } = rollout.spec
  if (!traffic.istio || !valuesOf(rollout)?.weights) return traffic
  const { name } = traffic.istio.virtualService
  return { ...traffic, istio: { ...traffic.istio, virtualService: { name } } }
}

/** The manifest whose weights the Rollout owns. */
export async function routeManifest(tree: Tree, source: SourceRef, rollout: RolloutRef): Promise<Located> {
  const weights = valuesOf(rollout)?.weights
  if (weights) return await weightsInValues(tree.read, source.path, weights, rollout.spec)
  const { istio } = rollout.spec.traffic
  if (!istio) return { state: 'missing' }
  const ref = {
    group: 'networking.istio.io',
    kind: 'VirtualService',
    namespace: rollout.namespace,
    name: istio.virtualService.name,
  }
  return locateManifest(tree, ref, namespaceRule(source))
}

/** The manifest that declares the Rollout. */
export async function rolloutManifest(tree: Tree, source: SourceRef, rollout: RolloutRef): Promise<Located> {
  const desired = valuesOf(rollout)?.desired
  if (desired) return await desiredInValues(tree.read, source.path, desired)
  const ref = { group: 'sluice.dev', kind: 'Rollout', namespace: rollout.namespace, name: rollout.name }
  return locateManifest(tree, ref, namespaceRule(source))
}

/** What a route manifest says about a pair; undefined when the pair is not in it. */
export function pairWeights(manifest: Manifest, rollout: RolloutRef, pair: Pair): PairWeights | undefined {
  const found = weightsIn(manifest.object, trafficOf(rollout), { namespace: rollout.namespace }, pair)
  return found.ok ? found.routes : undefined
}

/** Whether two manifests split the pair's traffic in the same way, whatever their points. */
export function sameSplit(a: PairWeights, b: PairWeights): boolean {
  return (
    a.length === b.length &&
    a.every((w, i) => w.stable * b[i]!.canary === b[i]!.stable * w.canary && (sum(w) === 0) === (sum(b[i]!) === 0))
  )
}

/** The canary's share in percent; the greatest where routes differ. */
export function canaryPercent(weights: PairWeights): number {
  return Math.max(0, ...weights.map((w) => (sum(w) === 0 ? 0 : (100 * w.canary) / sum(w))))
}

/** The files with which the route has the pair at `weight`. */
export async function editWeights(
  tree: Tree,
  manifest: Manifest,
  rollout: RolloutRef,
  target: { stable: string; canary: string; weight: number },
): Promise<FilesEdit> {
  const edits = weightEditsFor(manifest, rollout, target)
  if (!edits.ok) return { ok: false, problem: { ...edits.problem, file: manifest.file, line: manifest.line } }
  return await editManifest(tree, manifest, edits.edits)
}

/** The subset that a Rollout manifest wants. */
export function desiredOf(manifest: Manifest): string | undefined {
  let at: unknown = manifest.object
  for (const field of ['spec', 'workload', 'subsets', 'desired']) at = isObject(at) ? at[field] : undefined
  return at === undefined || at === null ? undefined : String(at)
}

/** The files with which a Rollout wants another subset. */
export async function editDesired(tree: Tree, manifest: Manifest, to: string): Promise<FilesEdit> {
  return await editManifest(tree, manifest, [{ path: ['spec', 'workload', 'subsets', 'desired'], value: to }])
}

function sum(weights: { stable: number; canary: number }): number {
  return weights.stable + weights.canary
}
