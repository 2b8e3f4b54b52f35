import type { PendingCommit } from '../api/status.ts'
import { formatTrailers, oneLine } from './trailers.ts'

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

/** The message of an operation's commit: one subject line, the whole of it below where it is long, and one block of Git trailers. */
export function commitMessage(
  rollout: { namespace: string; name: string },
  entry: Pick<PendingCommit, 'op' | 'kind' | 'subject' | 'trailers' | 'weights'>,
  after?: string,
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
  const told = oneLine(entry.subject) || `${rollout.name}: ${rollout.namespace}`
  const subject = told.length > SUBJECT ? `${told.slice(0, SUBJECT - 1)}…\n\n${told}` : told
  return `${subject}\n\n${trailers}\n`
}

function formatWeights({ stable, canary, weight }: WrittenWeights): string {
  return `${stable}=${Math.round((100 - weight) * 100) / 100} ${canary}=${weight}`
}

/** Reads a `Weights` trailer: `v1=90 v2=10`, the canary last. */
export function parseWeights(value: string): WrittenWeights | undefined {
  const match = /^(\S+)=[0-9.]+ (\S+)=([0-9.]+)$/.exec(value)
  return match ? { stable: match[1]!, canary: match[2]!, weight: Number(match[3]) } : undefined
}
