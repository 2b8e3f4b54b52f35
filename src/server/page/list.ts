import { fieldAt, textAt } from '../../kube/field.ts'
import type { KubeObject } from '../../kube/object.ts'
import { attention, type Tone, toneOf } from './tone.ts'

/** One Rollout in the list. */
export interface Row {
  namespace: string
  name: string
  phase: string
  tone: Tone
  step: number
  steps: number
  /** Percent of the traffic on the canary; undefined where none is tried. */
  weight?: number
  stable?: string
  canary?: string
  message: string
  /** When it was created. */
  createdAt?: string
}

/** Which rows somebody wants to see. */
export interface ListQuery {
  /** Words that namespace, name, revision or message must have, all of them. */
  text: string
  phase: string
  namespace: string
  /** 1 is the first. */
  page: number
}

export interface ListView {
  query: ListQuery
  /** Of this page only. */
  rows: Row[]
  /** How many there are, how many match, and on how many pages. */
  all: number
  found: number
  pages: number
  /** How many of each phase match text and namespace, in the order of attention. */
  phases: { phase: string; tone: Tone; count: number }[]
}

export const PAGE_ROWS = 50

/** Reads a query from a URL; what makes no sense is as if it were not there. */
export function listQuery(parameters: URLSearchParams): ListQuery {
  const page = Number(parameters.get('page'))
  return {
    text: (parameters.get('q') ?? '').slice(0, 200),
    phase: (parameters.get('phase') ?? '').slice(0, 40),
    namespace: (parameters.get('namespace') ?? '').slice(0, 63),
    page: Number.isInteger(page) && page > 0 ? Math.min(page, 10_000) : 1,
  }
}

/** The rows that match, those that want attention first; ten thousand Rollouts are read in a few milliseconds. Pure. */
export function listModel(objects: readonly KubeObject[], query: ListQuery): ListView {
  const words = query.text
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== '')
  const matching: { object: KubeObject; phase: string; key: string }[] = []
  const counts = new Map<string, number>()
  for (const object of objects) {
    const { namespace = '', name } = object.metadata
    if (query.namespace !== '' && namespace !== query.namespace) continue
    if (words.length > 0) {
      const text = searchable(object, namespace, name)
      if (!words.every((word) => text.includes(word))) continue
    }
    const phase = textAt(object.status, 'phase') ?? 'Unseen'
    counts.set(phase, (counts.get(phase) ?? 0) + 1)
    if (query.phase === '' || query.phase === phase) matching.push({ object, phase, key: `${namespace}/${name}` })
  }
  matching.sort((a, b) => rank(a.phase) - rank(b.phase) || (a.key < b.key ? -1 : 1))
  const pages = Math.max(1, Math.ceil(matching.length / PAGE_ROWS))
  const page = Math.min(query.page, pages)
  return {
    query: { ...query, page },
    rows: matching.slice((page - 1) * PAGE_ROWS, page * PAGE_ROWS).map(({ object }) => rowOf(object)),
    all: objects.length,
    found: matching.length,
    pages,
    phases: [...counts]
      .map(([phase, count]) => ({ phase, tone: toneOf(phase), count }))
      .sort((a, b) => rank(a.phase) - rank(b.phase)),
  }
}

function rank(phase: string): number {
  const place = attention.indexOf(phase)
  return place === -1 ? attention.length : place
}

function searchable({ status }: KubeObject, namespace: string, name: string): string {
  const texts = [
    `${namespace}/${name}`,
    textAt(status, 'message'),
    textAt(status, 'stable', 'revision'),
    textAt(status, 'canary', 'revision'),
    textAt(status, 'phase'),
  ]
  return texts.join(' ').toLowerCase()
}

function rowOf({ metadata, status, spec }: KubeObject): Row {
  const [step = 0, steps = 0] = (textAt(status, 'stepSummary') ?? '').split('/').map(Number)
  const phase = textAt(status, 'phase')
  const weight = fieldAt(status, 'step', 'weight')
  const declared = fieldAt(spec, 'steps')
  const canary = textAt(status, 'canary', 'revision')
  return {
    namespace: metadata.namespace ?? '',
    name: metadata.name,
    phase: phase ?? 'Unseen',
    tone: toneOf(phase),
    step: canary === undefined || Number.isNaN(step) ? 0 : step,
    steps: steps || (Array.isArray(declared) ? declared.length : 3),
    ...(typeof weight === 'number' && canary !== undefined ? { weight } : {}),
    stable: textAt(status, 'stable', 'revision'),
    canary,
    message: textAt(status, 'message') ?? 'No controller has looked at it yet.',
    createdAt: metadata.creationTimestamp,
  }
}
