import type { PendingCommit } from '../api/status.ts'
import { formatTrailers, oneLine } from './trailers.ts'
import type { Wording } from './wording.ts'

/** Trailers by which Sluice knows its own commits again; nobody's text can set them. */
export const rolloutTrailer = 'Rollout'
export const opTrailer = 'Rollout-Op'
/** What kind of operation it was: `step`, `rollback`, … */
export const kindTrailer = 'Operation'
/** The operation of the same Rollout that the branch held before this one, or `none`: a chain in which a missing link shows. */
export const afterTrailer = 'Rollout-After'
export const weightsTrailer = 'Weights'

/** The pair of destinations and the canary's share that a commit wrote. */
export interface WrittenWeights {
  stable: string
  canary: string
  /** Percent. */
  weight: number
}

/** Longest subject line; a longer one is cut, and told in full below. */
const SUBJECT = 120

/**
 * The message of an operation's commit: one subject line, the whole of it below where it is long, what the source wants to have said, and
 * one block of Git trailers, which nothing before it can be taken for.
 */
export function commitMessage(
  rollout: { namespace: string; name: string },
  entry: Pick<PendingCommit, 'op' | 'kind' | 'subject' | 'trailers' | 'weights'>,
  after?: string,
  wording?: Pick<Wording, 'subject' | 'body'>,
): string {
  const own = [rolloutTrailer, opTrailer, kindTrailer, afterTrailer, weightsTrailer]
  const reserved = new Set(own.map((key) => key.toLowerCase()))
  const trailers = formatTrailers([
    [rolloutTrailer, `${rollout.namespace}/${rollout.name}`],
    [opTrailer, entry.op],
    [kindTrailer, entry.kind],
    [afterTrailer, after ?? ''],
    [weightsTrailer, entry.weights ? formatWeights(entry.weights) : ''],
    ...Object.entries(entry.trailers).filter(([key]) => !reserved.has(key.toLowerCase())),
  ])
  const told = oneLine(wording?.subject ?? '') || oneLine(entry.subject) || `${rollout.name}: ${rollout.namespace}`
  return `${[...subjectOf(told), ...paragraphs(wording?.body ?? ''), trailers].join('\n\n')}\n`
}

/** A long subject is cut, but for the mark at its end that pipelines look for. */
function subjectOf(told: string): string[] {
  if (told.length <= SUBJECT) return [told]
  const mark = / \[skip ci\]$/.exec(told)?.[0] ?? ''
  return [`${told.slice(0, SUBJECT - 1 - mark.length)}…${mark}`, told]
}

/** Text as paragraphs without control characters; the comment character of git, which an editor would drop, is kept as it is. */
function paragraphs(text: string): string[] {
  return text
    .split(/\r\n|[\n\r\u0085\u2028\u2029]/)
    .map((line) => line.replace(/[\u0000-\u0008\u000b-\u001f\u007f]+/g, ' ').trimEnd())
    .join('\n')
    .split(/\n\s*\n/)
    .map((paragraph) => paragraph.replace(/^\n+|\n+$/g, ''))
    .filter((paragraph) => paragraph.trim() !== '')
}

function formatWeights({ stable, canary, weight }: WrittenWeights): string {
  return `${stable}=${Math.round((100 - weight) * 100) / 100} ${canary}=${weight}`
}

/** Reads a `Weights` trailer: `v1=90 v2=10`, the canary last. */
export function parseWeights(value: string): WrittenWeights | undefined {
  const match = /^(\S+)=[0-9.]+ (\S+)=([0-9.]+)$/.exec(value)
  return match ? { stable: match[1]!, canary: match[2]!, weight: Number(match[3]) } : undefined
}
