import { fieldAt } from '../kube/field.ts'
import { contentHash } from '../plan/revision.ts'
import { type Located, locateManifest } from './locate.ts'
import type { Manifest } from './manifest.ts'
import { desiredOf, namespaceRule, type RolloutRef, rolloutManifest, valuesOf } from './owned.ts'
import type { SourceRef } from './source-ref.ts'
import type { Tree } from './tree.ts'
import { desiredImages } from './value-images.ts'

/** Where a repository says which version of a workload is wanted, and how to read it there. Equal texts are equal versions. */
export interface Desired {
  locate(tree: Tree): Promise<Located>
  /** The version that the manifest wants. */
  read(manifest: Manifest): string | undefined
  /** The same of a version on record. */
  of(record: { name: string; hash: string; image?: string }): string
}

/**
 * In Deployment mode the content of the Deployment's pod template, or where a tool renders it, the image in its values; else the subset
 * that the Rollout names.
 */
export function desiredIn(source: SourceRef, rollout: RolloutRef): Desired {
  const { deployment } = rollout.spec.workload
  if (!deployment)
    return { locate: (tree) => rolloutManifest(tree, source, rollout), read: desiredOf, of: ({ name }) => name }
  const images = valuesOf(rollout)?.images
  if (images) return desiredImages(source, images)
  return {
    locate: (tree) => deploymentManifest(tree, source, { namespace: rollout.namespace, name: deployment.name }),
    read: templateHash,
    of: ({ hash }) => hash,
  }
}

/** The Deployment as its manifest and the kustomizations around it make it. */
export async function deploymentManifest(
  tree: Tree,
  source: SourceRef,
  deployment: { namespace: string; name: string },
): Promise<Located> {
  return await locateManifest(tree, { group: 'apps', kind: 'Deployment', ...deployment }, namespaceRule(source))
}

/** Hash of the pod template in a Deployment's manifest, as revisions have it. */
export function templateHash({ object }: Manifest): string | undefined {
  const template = fieldAt(object, 'spec', 'template')
  return template === undefined ? undefined : contentHash([template])
}
