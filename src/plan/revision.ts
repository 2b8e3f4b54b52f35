import { createHash } from 'node:crypto'
import type { ConfigRecord, RevisionRecord } from '../api/status.ts'
import { CONFIG_ANNOTATION, essentialTemplate } from './template.ts'

/** Version of the way content is hashed. Raised when `essentialTemplate` or the hash changes, so that an upgrade starts nothing (I7). */
const REVISION_FORMAT = 2

/** A Deployment as far as its identity goes. */
export interface RevisionWorkload {
  name: string
  uid: string
  /** `metadata.generation` at which `template` was read. */
  generation: number
  /** `spec.template`, plain JSON. */
  template: unknown
}

/**
 * Names the content behind a subset: `<subset>-<hash>`, where the hash covers the pod templates of its workloads and nothing else
 * (neither their names, replicas and order, nor a commit; I7). Restart annotations and API defaults do not count: see `essentialTemplate`.
 */
export function revisionOf(subset: string, workloads: readonly RevisionWorkload[]): RevisionRecord {
  const sorted = [...workloads].sort((a, b) => compare(a.name, b.name))
  const hash = contentHash(sorted.map((w) => w.template))
  return {
    revision: `${subset}-${hash}`,
    name: subset,
    hash,
    format: REVISION_FORMAT,
    image: imageOf(sorted[0]?.template),
    workloads: sorted.map(({ name, uid, generation }) => ({ name, uid, generation })),
  }
}

/** What identifies one pod template. */
export interface TemplateContent {
  hash: string
  /** Version of the way the hash is computed. */
  format: number
  /** Image of the first container. */
  image: string | undefined
  /** Hash of the configuration that its pods are made with, where its annotation says so. */
  carried?: string
  /** Where configuration counts: which, and the hash without it. */
  config?: ConfigRecord
  template?: string
}

/** The content of one pod template, of a Deployment as of any of its ReplicaSets: both say the same. Configuration is not counted. */
export function templateContent(template: unknown): TemplateContent {
  const carried = textIn(template, 'metadata', 'annotations', CONFIG_ANNOTATION)
  const content = { hash: contentHash([template]), format: REVISION_FORMAT, image: imageOf(template) }
  return carried !== undefined && /^[0-9a-f]{10}$/.test(carried) ? { ...content, carried } : content
}

/** The content of a template together with that of the ConfigMaps and Secrets it refers to. */
export function withConfig(content: TemplateContent, config: ConfigRecord | undefined): TemplateContent {
  if (!config) return content
  const hash = sha256(`sluice-config-${content.format}\n${content.hash}\n${config.hash}`).slice(0, 10)
  return { ...content, hash, template: content.hash, config }
}

/** The content of a template together with the configuration that its annotation names, where it has one. */
export function asCarried(content: TemplateContent): TemplateContent {
  return content.carried === undefined ? content : withConfig(content, { hash: content.carried, objects: {} })
}

/** Hash of the pod template alone: what Git knows of a revision. */
export function templateOf(revision: { hash: string; template?: string | undefined }): string {
  return revision.template ?? revision.hash
}

/**
 * Names the content of a Deployment's pod template: `<tag>-<hash>`, where the tag is that of the first container's image, or the beginning
 * of its digest, or the Deployment's name where there is neither. Both parts together can be the value of a label.
 */
export function deploymentRevision(
  deployment: string,
  content: TemplateContent,
  workload: RevisionRecord['workloads'][number],
): RevisionRecord {
  const name = tagOf(content.image) ?? labelPart(deployment) ?? 'revision'
  const { hash, format, image, template, config } = content
  const configured = config && template !== undefined ? { template, config } : {}
  return { revision: `${name}-${hash}`, name, hash, format, image, workloads: [workload], ...configured }
}

/** The tag of an image, or twelve digits of its digest where it has only that. */
function tagOf(image: string | undefined): string | undefined {
  const [reference = '', digest] = image?.split('@') ?? []
  const tag = /:([^:/]+)$/.exec(reference)?.[1]
  return labelPart(tag ?? '') ?? labelPart(digest?.replace(/^.*:/, '').slice(0, 12) ?? '')
}

/** The longest beginning that leaves room for a dash and the hash in the value of a label; undefined when nothing is left. */
function labelPart(text: string): string | undefined {
  const safe = text.replaceAll(/[^A-Za-z0-9._-]/g, '-').replace(/^[^A-Za-z0-9]+/, '')
  return safe.slice(0, 63 - 11).replace(/[^A-Za-z0-9]+$/, '') || undefined
}

/**
 * Whether what is observed is what was recorded: the same name, and the same hash in the same format, or every workload the very same
 * object at the same generation (so that a new hash format, or a default that a newer API server shows, is no new revision). Where only
 * one of the two counts configuration (it has just begun, or ended, to be tracked) the templates decide.
 */
export function sameRevision(recorded: RevisionRecord, observed: RevisionRecord): boolean {
  if (recorded.name !== observed.name) return false
  if (recorded.format === observed.format && sameContent(recorded, observed)) return true
  if (recorded.config && observed.config && recorded.config.hash !== observed.config.hash) return false
  if (recorded.workloads.length === 0 || recorded.workloads.length !== observed.workloads.length) return false
  const generations = new Map(observed.workloads.map((w) => [w.uid, w.generation]))
  return recorded.workloads.every((w) => generations.get(w.uid) === w.generation)
}

/** What tells two contents apart: configuration too, where both know it. */
export interface ContentIdentity {
  hash: string
  template?: string | undefined
}

/** Whether two contents, hashed alike, are the same; where only one of them counts configuration the templates decide. */
export function sameContent(a: ContentIdentity, b: ContentIdentity): boolean {
  const both = (a.template === undefined) === (b.template === undefined)
  return both ? a.hash === b.hash : templateOf(a) === templateOf(b)
}

/** Hash of a set of pod templates: 10 lower-case hex digits, independent of the order of templates and of keys. */
export function contentHash(templates: readonly unknown[]): string {
  const parts = templates.map((template) => sha256(canonicalJson(essentialTemplate(template)))).sort(compare)
  return sha256(`sluice-revision-${REVISION_FORMAT}\n${parts.join('\n')}`).slice(0, 10)
}

/** JSON with the keys of every object in code-unit order and no space, so that equal content is equal text. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  const fields = Object.entries(value)
    .filter(([, v]) => v !== undefined)
    .sort(([a], [b]) => compare(a, b))
    .map(([key, v]) => `${JSON.stringify(key)}:${canonicalJson(v)}`)
  return `{${fields.join(',')}}`
}

function imageOf(template: unknown): string | undefined {
  return textIn(template, 'spec', 'containers', '0', 'image')
}

function textIn(value: unknown, ...path: string[]): string | undefined {
  let here = value
  for (const key of path) {
    here = typeof here === 'object' && here !== null && Object.hasOwn(here, key) ? Reflect.get(here, key) : undefined
  }
  return typeof here === 'string' ? here : undefined
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
