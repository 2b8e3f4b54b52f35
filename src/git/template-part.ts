import type { PendingCommit } from '../api/status.ts'
import type { Problem } from '../errors.ts'
import { fieldAt, listAt, textAt } from '../kube/field.ts'
import type { Branch } from './branch.ts'
import { deploymentManifest, templateHash } from './desired.ts'
import { type FilesEdit, inFile } from './edit-rendered.ts'
import { graft, type Source } from './graft.ts'
import { placeOnRecord } from './last-desired.ts'
import type { Manifest } from './manifest.ts'
import type { Job } from './operation.ts'
import { valuesOf } from './owned.ts'
import { type Edited, placed } from './parts.ts'
import type { Read } from './rendered.ts'
import { readAt } from './rendered-versions.ts'
import { restoreTemplate } from './restore.ts'
import type { StoredState } from './statefile.ts'
import type { Tree } from './tree.ts'
import { imagesPart } from './value-images.ts'
import { sameObject, versionsOf } from './versions.ts'

type Wanted = NonNullable<PendingCommit['template']>

/**
 * The pod template in the Deployment's manifest, put back as it stood when it was the wanted one; a template that somebody else has changed
 * meanwhile is left alone. Throws when the remote, which alone may still have it, does not answer.
 */
export async function templatePart(
  job: Job,
  tree: Tree,
  branch: Branch,
  stored: StoredState | undefined,
): Promise<Edited> {
  const { source, rollout, entry } = job
  const { template } = entry
  if (!template) return {}
  const values = valuesOf(rollout)?.images
  if (values) return await imagesPart(job, template, values, { tree, branch, stored })
  const deployment = { namespace: rollout.namespace, name: template.deployment }
  const located = await deploymentManifest(tree, source, deployment)
  if (located.state === 'refused') return { note: notPutBack(placed(located.problem)) }
  if (located.state === 'missing') return { note: await whyMissing(tree, located) }
  const { manifest } = located
  const now = templateHash(manifest)
  if (now === template.to.hash) return {}
  if (now !== template.from.hash) {
    return {
      note: `the pod template in ${manifest.file} is not, or no more, that of ${template.from.revision}, so it was left alone`,
    }
  }
  const good = await lastGood(job, template, manifest, branch, stored)
  if (!good) {
    const why = `no commit that can still be read has it as it was in ${template.to.revision}`
    return { note: notPutBack(`${manifest.file}: ${why}`) }
  }
  const edit = await putBack(tree, manifest, good)
  const images = changedImages(manifest, good.manifest)
  return edit.ok ? { changes: edit.changes, images } : { note: notPutBack(placed(edit.problem)), images }
}

/** Images of one template that the other does not have. */
function changedImages(bad: Manifest, good: Manifest): string[] {
  const before = new Set(imagesOf(good))
  return imagesOf(bad).filter((image) => !before.has(image))
}

function imagesOf({ object }: Manifest): string[] {
  const pod = fieldAt(object, 'spec', 'template', 'spec')
  const containers = [...listAt(pod, 'containers'), ...listAt(pod, 'initContainers')]
  return [...new Set(containers.flatMap((container) => textAt(container, 'image') ?? []))].sort()
}

interface Good extends Source {
  /** Other files at that commit; only where the template is made of several. */
  read?: Read
}

async function putBack(tree: Tree, manifest: Manifest, good: Good): Promise<FilesEdit> {
  if (manifest.rendered && good.read) return await restoreTemplate(tree, manifest, good.manifest, good.read)
  return await inFile(tree, manifest, (content) => graft({ content, manifest }, good, ['spec', 'template']))
}

/** The newest version of the manifest with the wanted template: in the clone, or where the state file says that it was. */
async function lastGood(
  { source }: Job,
  { to }: Wanted,
  manifest: Manifest,
  branch: Branch,
  stored: StoredState | undefined,
): Promise<Good | undefined> {
  const { repository, tip } = branch
  if (tip === undefined) return undefined
  for await (const version of versionsOf({ branch, path: source.path, manifest, tip })) {
    if (templateHash(version.manifest) === to.hash) return version
  }
  const place = placeOnRecord(stored, ({ hash }) => hash === to.hash)
  if (!place) return undefined
  const fetched = await repository.fetchCommit(place.commit, source.credentials)
  if (fetched === 'unreachable')
    throw new Error(`${repository.url} does not answer, and the commit ${place.commit} is needed`)
  if (fetched === 'gone') return undefined
  if (manifest.rendered) {
    const read = readAt(branch, place.commit)
    const then = await manifest.rendered.again(read)
    return then && templateHash(then) === to.hash ? { content: Buffer.alloc(0), manifest: then, read } : undefined
  }
  const [file] = await repository.versions(place.file, [place.commit])
  const found = file && sameObject(branch.manifestsOf(place.file, file.sha, file.content).manifests, manifest)
  return found && templateHash(found) === to.hash ? { content: file.content, manifest: found } : undefined
}

async function whyMissing(tree: Tree, { hint: first }: { hint?: Problem }): Promise<string> {
  const unreadable = (await tree.unreadable('Deployment'))[0] ?? first
  const hint = unreadable ? ` as a manifest that can be read (${placed(unreadable)})` : ''
  return `the repository does not hold the Deployment${hint}, so its template was not put back`
}

function notPutBack(why: string): string {
  return `the pod template was not put back: ${why}`
}
