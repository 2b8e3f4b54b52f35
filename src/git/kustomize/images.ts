import { at, isLeaf, type Leaf, type Place, type Traced, type TracedMap, textOf } from '../traced.ts'
import type { Kind } from './build.ts'
import { isShort, isTame } from './expression.ts'
import { podSpecOf } from './kinds.ts'

export interface ImageParts {
  name: string
  tag: string
  digest: string
}

/** `registry:5000/app:1.0@sha256:…` in its parts, as kustomize divides it. */
export function splitImage(image: string): ImageParts {
  const slash = Math.max(image.indexOf('/'), 0)
  const rest = image.slice(slash)
  const [digestAt, tagAt] = [rest.indexOf('@'), rest.indexOf(':')]
  const tagged = tagAt >= 0 && (digestAt < 0 || tagAt < digestAt)
  const end = tagged ? tagAt : digestAt >= 0 ? digestAt : rest.length
  return {
    name: image.slice(0, slash + end),
    tag: tagged ? rest.slice(tagAt + 1, digestAt >= 0 ? digestAt : undefined) : '',
    digest: digestAt >= 0 ? rest.slice(digestAt + 1) : '',
  }
}

export function joinImage({ name, tag, digest }: ImageParts): string {
  return `${name}${tag === '' ? '' : `:${tag}`}${digest === '' ? '' : `@${digest}`}`
}

/** Gives every image of containers, wherever an object has some, that an entry of `images` names what that entry says. */
export function setImages(object: TracedMap, kind: Kind, entries: Traced[], place: Place): void {
  if (kind.kind === 'CustomResourceDefinition') return
  const all = [...containersIn(object)]
  const volumes = itemsOf(at(object, [...(podSpecOf(kind) ?? []), 'volumes']))
  entries.forEach((entry, i) => {
    if (!(entry instanceof Map)) return
    const here = { ...place, path: [...place.path, i] }
    for (const container of all) setImage(container, 'image', entry, here)
    for (const volume of volumes) {
      const source = volume.get('image')
      if (source instanceof Map) setImage(source, 'reference', entry, here)
    }
  })
}

function* containersIn(node: Traced): Generator<TracedMap> {
  if (Array.isArray(node)) for (const item of node) yield* containersIn(item)
  if (!(node instanceof Map)) return
  for (const [key, value] of node) {
    yield* containersIn(value)
    if (key === 'containers' || key === 'initContainers') yield* itemsOf(value)
  }
}

function setImage(holder: TracedMap, field: string, entry: TracedMap, place: Place): void {
  const before = holder.get(field)
  if (!isLeaf(before) || typeof before.value !== 'string') return
  const pattern = matcher(textOf(entry.get('name')) ?? '')
  if (!isShort(before.value) || !pattern?.test(before.value)) return
  const value = joinImage(changed(splitImage(before.value), entry))
  holder.set(field, { value, image: { entry: place, before } } satisfies Leaf)
}

/** The image that an entry makes of another. */
export function changed(image: ImageParts, entry: TracedMap): ImageParts {
  const say = (key: string) => textOf(entry.get(key)) ?? ''
  const name = say('newName') || image.name
  const [tag, digest, suffix] = [say('newTag'), say('digest'), say('tagSuffix')]
  if (tag !== '' || digest !== '') return { name, tag, digest }
  return suffix === '' ? { ...image, name } : { name, tag: image.tag + suffix, digest: '' }
}

/** Kustomize reads the name as an expression. */
function matcher(name: string): RegExp | undefined {
  if (!isTame(name)) return undefined
  try {
    return new RegExp(`^${name}(:[a-zA-Z0-9_.{}-]*)?(@[a-zA-Z0-9]+([.+_-][a-zA-Z0-9]+)*:[a-zA-Z0-9_.{}-]*)?$`)
  } catch {
    return undefined
  }
}

function itemsOf(list: Traced | undefined): TracedMap[] {
  return Array.isArray(list) ? list.filter((item) => item instanceof Map) : []
}
