import { parseDocument, stringify } from 'yaml'
import { z } from 'zod'
import type { Problem } from '../errors.ts'
import type { StateFile } from '../plan/effects.ts'
import type { Memory } from '../plan/observation.ts'
import type { WrittenWeights } from './message.ts'

/** A state file as it stands in Git. */
export interface StoredState extends StateFile {
  cluster: string
  /** What the last commit about weights wrote. */
  weights?: WrittenWeights
  /** The operation whose commit wrote it. */
  op?: string
  /** The move that the pull request asks for in which this stands. */
  asked?: AskedMove
}

/** A move that people are asked for; `round` tells the pull requests apart that ask for the same. */
export interface AskedMove {
  digest: string
  step: number
  from: number
  to: number
  round: number
}

export type StateFileResult = { ok: true; state: StoredState } | { ok: false; problem: Problem }

const text = z.coerce.string()
const named = { revision: text, name: text, hash: text, commit: text.optional(), file: text.optional() }
const stored = z.object({
  cluster: text,
  stable: z.object({ ...named, image: text.optional() }).optional(),
  step: z.object({ index: z.number(), weight: z.number() }).optional(),
  weights: z.object({ stable: text, canary: text, weight: z.number() }).optional(),
  attempt: z.number().optional(),
  outcome: z.object({ revision: text, result: text, reason: text, message: text, at: text }).optional(),
  evidence: z.array(text).default([]),
  approvals: z.array(text).default([]),
  asked: z
    .object({ digest: text, step: z.number(), from: z.number(), to: z.number(), round: z.number() })
    .optional()
    .catch(undefined),
  // Written since the first version, and last but one: where it is not, the file was cut off.
  knownBad: z.array(z.object({ ...named, image: text.optional(), reason: text, at: text })),
  op: text.optional(),
})

const header = `# Written by Sluice, which remembers here what it decided. Do not edit; to forget everything, delete the file.
`

/** `<path>/.sluice/<namespace>/<name>.yaml` */
export function stateFilePath(sourcePath: string, rollout: { namespace: string; name: string }): string {
  return `${sourcePath === '' ? '' : `${sourcePath}/`}.sluice/${rollout.namespace}/${rollout.name}.yaml`
}

/** Whether a path is one of our own files, which are no manifests to apply. */
export function isStateFile(path: string): boolean {
  return /(^|\/)\.sluice\//.test(path)
}

/**
 * The file's text, its keys always in the same order. It is shaped as a Kubernetes object that is for local use only,
 * so that kustomize and Flux, which read every YAML file of a folder, skip it.
 */
export function formatStateFile(rollout: { namespace: string; name: string }, state: StoredState): string {
  const { cluster, stable, step, weights, attempt, outcome, evidence, approvals, asked, knownBad, op } = state
  const document = {
    apiVersion: 'sluice.dev/v1alpha1',
    kind: 'RolloutState',
    metadata: {
      name: rollout.name,
      namespace: rollout.namespace,
      annotations: { 'config.kubernetes.io/local-config': 'true' },
    },
    cluster,
    stable: stable && {
      revision: stable.revision,
      name: stable.name,
      hash: stable.hash,
      image: stable.image,
      commit: stable.commit,
      file: stable.file,
    },
    step: step && { index: step.index, weight: step.weight },
    weights: weights && { stable: weights.stable, canary: weights.canary, weight: weights.weight },
    attempt,
    outcome: outcome && {
      revision: outcome.revision,
      result: outcome.result,
      reason: outcome.reason,
      message: outcome.message,
      at: outcome.at,
    },
    evidence,
    approvals,
    asked: asked && { digest: asked.digest, step: asked.step, from: asked.from, to: asked.to, round: asked.round },
    knownBad: knownBad.map(({ revision, name, hash, image, reason, at, commit, file }) => {
      return { revision, name, hash, image, reason, at, commit, file }
    }),
    op,
  }
  return header + stringify(document, { lineWidth: 0 })
}

/** Reads a state file; fields nobody here knows are ignored, fields that must be there are named when they are not. */
export function parseStateFile(file: string, content: Buffer): StateFileResult {
  const invalid = (message: string, line?: number): StateFileResult => ({
    ok: false,
    problem: { reason: 'ManifestInvalid', message, file, line },
  })
  const document = parseDocument(content.toString('utf8').replace(/^\ufeff/, ''), { logLevel: 'silent' })
  const [error] = document.errors
  if (error) return invalid(`is no readable state file: ${error.message.split('\n')[0]}`, error.linePos?.[0].line)
  const parsed = stored.safeParse(document.toJS({ maxAliasCount: 10 }))
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    return invalid(
      `is no state file: ${issue?.path.join('.') || 'the file'}: ${issue?.message ?? 'unexpected content'}`,
    )
  }
  return { ok: true, state: parsed.data }
}

/** What the plan may remember of it. */
export function memoryOf(state: StoredState): Memory {
  const { cluster, stable, step, knownBad, attempt } = state
  return { cluster, stable, step, knownBad, attempt }
}
