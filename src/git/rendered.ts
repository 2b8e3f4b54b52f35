import { createHash } from 'node:crypto'
import type { Problem } from '../errors.ts'
import type { KubeObject } from '../kube/object.ts'
import type { Manifest } from './manifest.ts'
import { leavesOf, plain, type Traced } from './traced.ts'

/** Reads a file of the repository at one commit; undefined where there is none. */
export type Read = (path: string) => Promise<Buffer | undefined>

/** An object that several files make together, or that some tool makes of values: what it is made of, and how to make it again. */
export interface Rendered {
  /** The object, every scalar with the place where it is written. */
  object: Traced
  /** Every file that was read for it. */
  files: ReadonlySet<string>
  /** Folders of the kustomizations that made it; empty where none did. */
  folders: ReadonlySet<string>
  /** Why what it says may not be all: nothing of it is edited then. */
  obstacle?: Problem
  /** The same object from other contents; undefined where it is not there. */
  again(read: Read): Promise<Manifest | undefined>
}

/** The manifest of an object that was rendered; its file and line are those of the declaration it began with. */
export function renderedManifest(base: Manifest, rendered: Rendered): Manifest {
  const object = plain(rendered.object)
  return isNamed(object) ? { ...base, object, rendered } : { ...base, rendered }
}

function isNamed(value: unknown): value is KubeObject {
  return typeof value === 'object' && value !== null && 'metadata' in value
}

/** The content of an object as a word: the version of its file, or where several make it, a digest of what they make. */
export function versionOf(tree: { version(path: string): string | undefined }, manifest: Manifest): string | undefined {
  if (!manifest.rendered) return tree.version(manifest.file)
  const { object, obstacle } = manifest.rendered
  const places = [...leavesOf(object)].map((leaf) => [leaf.value, leaf.from?.file])
  return createHash('sha256')
    .update(JSON.stringify([places, obstacle]))
    .digest('hex')
}
