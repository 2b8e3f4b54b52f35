import type { CommittedValues } from '../api/committed.ts'
import type { PendingCommit } from '../api/status.ts'
import { fieldAt } from '../kube/field.ts'
import type { StateFile } from '../plan/effects.ts'
import type { Branch } from './branch.ts'
import type { Desired } from './desired.ts'
import type { ScalarEdit } from './edit.ts'
import { editManifest } from './edit-rendered.ts'
import { splitImage } from './kustomize/images.ts'
import { placeOnRecord } from './last-desired.ts'
import type { Manifest } from './manifest.ts'
import type { Job } from './operation.ts'
import { type Edited, placed } from './parts.ts'
import { readAt } from './rendered-versions.ts'
import type { SourceRef } from './source-ref.ts'
import type { StoredState } from './statefile.ts'
import type { Tree } from './tree.ts'
import { imagesInValues } from './values.ts'
import { versionsOf } from './versions.ts'

type Images = NonNullable<CommittedValues['images']>
type Wanted = NonNullable<PendingCommit['template']>

/**
 * The version that values want, where a tool renders the Deployment from them: the scalar of the first image, which by convention is that
 * of the pod's first container. The rest of the template cannot be told from here.
 */
export function desiredImages(source: SourceRef, images: Images): Desired {
  return {
    locate: (tree) => imagesInValues(tree.read, source.path, images),
    read: leading,
    of: (record) => scalarOf(images[0]!, record) ?? `unknown ${record.hash}`,
  }
}

/** A version on record; in Deployment mode its name is the tag, where there is one. */
type Recorded = { revision?: string; name: string; image?: string }

function leading({ object }: Manifest): string | undefined {
  const value = fieldAt(object, 'spec', 'images', 0)
  return value === undefined || value === null ? undefined : String(value)
}

/** What the scalar of an image says of it. */
function scalarOf({ form }: Images[number], record: Recorded | undefined): string | undefined {
  if (record?.image === undefined) return form === 'Tag' ? record?.name : undefined
  const { image } = record
  const { tag, digest } = splitImage(image)
  const part = form === 'Image' ? image : form === 'Tag' ? tag : digest
  return part === '' ? undefined : part
}

/**
 * The images in values, put back as they were when the first of them was the wanted one; those that somebody else has changed meanwhile
 * are left alone. That the template is then stable's is not checked: a tool renders it. Throws when the remote, which alone may still
 * have it, does not answer.
 */
export async function imagesPart(
  job: Job,
  template: Wanted,
  images: Images,
  at: { tree: Tree; branch: Branch; stored: StoredState | undefined },
): Promise<Edited> {
  const { source, state } = job
  const { tree, branch, stored } = at
  const located = await imagesInValues(tree.read, source.path, images)
  if (located.state !== 'found')
    return {
      note: `the images were not put back: ${located.state === 'refused' ? placed(located.problem) : 'no values'}`,
    }
  const { manifest } = located
  const [first] = images
  const to = scalarOf(first!, recordOf(state, template.to.revision))
  const from = scalarOf(first!, recordOf(state, template.from.revision))
  const now = leading(manifest)
  const place = `${manifest.file}:${manifest.line}`
  if (to === undefined)
    return {
      note: `the images were not put back: that of ${template.to.revision} has no ${first!.form.toLowerCase()} that is known`,
    }
  if (now === to) return {}
  if (from === undefined || now !== from) {
    const why = `${now ?? 'nothing'} at ${place} is not, or no more, the image of ${template.from.revision}`
    return { note: `${why}, so it was left alone` }
  }
  const values = (await lastGood(job, first!, to, manifest, branch, stored)) ?? (images.length === 1 ? [to] : undefined)
  if (!values) return { note: `the images were not put back: no commit that can still be read has them with ${to}` }
  const edits = values.map((value, i): ScalarEdit => ({ path: ['spec', 'images', i], value }))
  const edit = await editManifest(tree, manifest, edits)
  if (!edit.ok) return { note: `the images were not put back: ${placed(edit.problem)}` }
  return { changes: edit.changes, note: `the images were put back; what is rendered with them could not be compared` }
}

function recordOf(state: StateFile, revision: string): Recorded | undefined {
  const records: Recorded[] = [...(state.stable ? [state.stable] : []), ...state.knownBad.toReversed()]
  return records.find((record) => record.revision === revision)
}

/** All scalars as they were at the newest commit with the wanted first one. */
async function lastGood(
  { source }: Job,
  first: Images[number],
  to: string,
  manifest: Manifest,
  branch: Branch,
  stored: StoredState | undefined,
): Promise<(string | number)[] | undefined> {
  const { repository, tip } = branch
  if (tip === undefined) return undefined
  for await (const version of versionsOf({ branch, path: source.path, manifest, tip }))
    if (leading(version.manifest) === to) return scalarsOf(version.manifest)
  const place = placeOnRecord(stored, (record) => scalarOf(first, record) === to)
  if (!place) return undefined
  const fetched = await repository.fetchCommit(place.commit, source.credentials)
  if (fetched === 'unreachable')
    throw new Error(`${repository.url} does not answer, and the commit ${place.commit} is needed`)
  const then = fetched === 'here' ? await manifest.rendered?.again(readAt(branch, place.commit)) : undefined
  return then && leading(then) === to ? scalarsOf(then) : undefined
}

function scalarsOf({ object }: Manifest): (string | number)[] {
  const values = fieldAt(object, 'spec', 'images')
  return Array.isArray(values) ? values.map((value) => (typeof value === 'number' ? value : String(value ?? ''))) : []
}
