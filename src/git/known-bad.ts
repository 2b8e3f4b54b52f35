import { z } from 'zod'
import type { StateFile } from '../plan/effects.ts'
import { splitImage } from './kustomize/images.ts'
import type { Job } from './operation.ts'
import { parseStateFile, stateFilePath } from './statefile.ts'
import type { Tree } from './tree.ts'

/** One version that was rolled back and is not tried again, as image updaters can read it. */
export interface KnownBadEntry {
  /** `namespace/name` */
  rollout: string
  revision: string
  /** In subsets mode: the subset that it was. */
  subset?: string
  /** The image of the first container, and its parts. */
  image?: string
  repository?: string
  tag?: string
  digest?: string
  /** Every image that the bad version changed, where it was found in the repository. */
  images?: string[]
  reason: string
  /** RFC 3339 */
  since: string
}

const entry = z.object({
  rollout: z.string(),
  revision: z.string(),
  subset: z.string().optional(),
  image: z.string().optional(),
  repository: z.string().optional(),
  tag: z.string().optional(),
  digest: z.string().optional(),
  images: z.array(z.string()).optional(),
  reason: z.string(),
  since: z.string(),
})
const list = z.object({ knownBad: z.array(entry) })

/** `<path>/.sluice/known-bad.json`, one for all Rollouts of a source. */
export function knownBadPath(sourcePath: string): string {
  return `${sourcePath === '' ? '' : `${sourcePath}/`}.sluice/known-bad.json`
}

/**
 * The list as it is with this Rollout's versions as they are now: `state` says which are known to be bad, and none is once the Rollout is
 * deleted. Entries of Rollouts whose state files are gone go too; a list that cannot be read is made anew of all state files. Undefined
 * when there is nothing to write. `changed`: the images that the version rolled back right now had changed.
 */
export async function knownBadPart(
  { source, rollout, entry: operation }: Job,
  state: Pick<StateFile, 'knownBad'>,
  tree: Tree,
  changed: string[] | undefined,
): Promise<{ file: string; content: Buffer } | undefined> {
  const file = knownBadPath(source.path)
  const before = await tree.read(file)
  const known = before && parse(before)
  const others = known ?? (await fromStateFiles(tree, source.path))
  const key = `${rollout.namespace}/${rollout.name}`
  const bad = operation.kind === 'delete' ? [] : state.knownBad
  const own = bad.map((version): KnownBadEntry => {
    const earlier = others.find((e) => e.rollout === key && e.revision === version.revision)
    const isThis = operation.kind === 'rollback' && version.revision === operation.template?.from.revision
    const isSubset = rollout.spec.workload.deployment === undefined
    return entryOf(key, version, isSubset, (isThis ? changed : undefined) ?? earlier?.images)
  })
  const kept = others.filter((e) => e.rollout !== key && hasState(tree, source.path, e.rollout))
  const all = [...kept, ...own].sort(byPlace)
  if (!before && all.length === 0) return undefined
  const content = Buffer.from(formatKnownBad(all), 'utf8')
  return before?.equals(content) ? undefined : { file, content }
}

/**
 * Stable in order and layout. It is shaped like an object for local use only, as the state files are, for tools that take every JSON file
 * of a folder for a manifest.
 */
export function formatKnownBad(entries: KnownBadEntry[]): string {
  const document = {
    apiVersion: 'sluice.dev/v1alpha1',
    kind: 'KnownBad',
    metadata: { name: 'known-bad', annotations: { 'config.kubernetes.io/local-config': 'true' } },
    knownBad: entries.map(({ rollout, revision, subset, image, repository, tag, digest, images, reason, since }) => {
      return { rollout, revision, subset, image, repository, tag, digest, images, reason, since }
    }),
  }
  return `${JSON.stringify(document, undefined, 2)}\n`
}

function entryOf(
  rollout: string,
  { revision, name, image, reason, at }: StateFile['knownBad'][number],
  isSubset: boolean,
  images: string[] | undefined,
): KnownBadEntry {
  const parts = image === undefined ? undefined : splitImage(image)
  return {
    rollout,
    revision,
    subset: isSubset ? name : undefined,
    image,
    repository: parts?.name,
    tag: parts?.tag || undefined,
    digest: parts?.digest || undefined,
    images,
    reason,
    since: at,
  }
}

function parse(content: Buffer): KnownBadEntry[] | undefined {
  try {
    return list.safeParse(JSON.parse(content.toString('utf8'))).data?.knownBad
  } catch {
    return undefined
  }
}

async function fromStateFiles(tree: Tree, sourcePath: string): Promise<KnownBadEntry[]> {
  const folder = knownBadPath(sourcePath).replace(/known-bad\.json$/, '')
  const entries: KnownBadEntry[] = []
  for (const file of tree.entries.keys()) {
    const [, namespace, name] = file.startsWith(folder)
      ? (/^([^/]+)\/([^/]+)\.yaml$/.exec(file.slice(folder.length)) ?? [])
      : []
    const content = namespace === undefined ? undefined : await tree.read(file)
    const parsed = content && parseStateFile(file, content)
    if (!parsed?.ok) continue
    // Whether it was a subset is not said there: its own next operation says so.
    entries.push(...parsed.state.knownBad.map((bad) => entryOf(`${namespace}/${name}`, bad, false, undefined)))
  }
  return entries
}

function hasState(tree: Tree, sourcePath: string, rollout: string): boolean {
  const [namespace = '', name = ''] = rollout.split('/')
  return tree.version(stateFilePath(sourcePath, { namespace, name })) !== undefined
}

function byPlace(a: KnownBadEntry, b: KnownBadEntry): number {
  const [left, right] = [a, b].map(({ rollout, since, revision }) => JSON.stringify([rollout, since, revision]))
  return left! < right! ? -1 : left! > right! ? 1 : 0
}
