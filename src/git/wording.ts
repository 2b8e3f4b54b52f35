import type { RolloutSourceSpec } from '../api/rolloutsource.ts'
import type { PendingCommit } from '../api/status.ts'
import type { Problem } from '../errors.ts'
import { oneLine } from './trailers.ts'

type Write = RolloutSourceSpec['write']

/** What may be written as `${name}` into `write.author` and `write.message`. */
export const placeholderNames = [
  'subject',
  'kind',
  'namespace',
  'name',
  'cluster',
  'revision',
  'step',
  'weight',
  'verdict',
  'approvedBy',
] as const

type Placeholder = (typeof placeholderNames)[number]
export type WordingValues = Record<Placeholder, string>

/** How the commit of an operation is to be worded: its first line, what follows it, and who is named as its author. */
export interface Wording {
  subject: string
  /** Paragraphs between the first line and the trailers; '' for none. */
  body: string
  author: { name: string; email: string }
}

const skipMark = '[skip ci]'

/** The values of an operation; those it does not have are empty. */
export function wordingValues(
  rollout: { namespace: string; name: string },
  entry: Pick<PendingCommit, 'kind' | 'subject' | 'trailers' | 'weights'>,
  cluster: string,
): WordingValues {
  const { trailers, weights } = entry
  return {
    subject: oneLine(entry.subject) || `${rollout.name}: ${rollout.namespace}`,
    kind: entry.kind,
    namespace: rollout.namespace,
    name: rollout.name,
    cluster,
    revision: trailers.Revision ?? '',
    step: trailers.Step ?? '',
    weight: weights ? String(weights.weight) : '',
    verdict: trailers.Verdict ?? '',
    approvedBy: trailers['Approved-by'] ?? '',
  }
}

/**
 * Words a commit as its source wants it. Values are put in once, each as one line, so that nothing in a value is a placeholder or begins
 * a paragraph.
 */
export function worded({ author, message }: Pick<Write, 'author' | 'message'>, values: WordingValues): Wording {
  const fill = (template: string) => template.replace(placeholder, (_, name: string) => filled(values, name))
  const subject = oneLine(fill(message?.subject ?? '')) || oneLine(values.subject)
  const marked = message?.skipCI && !subject.includes(skipMark) ? `${subject} ${skipMark}` : subject
  return {
    subject: marked,
    body: fill(message?.body ?? ''),
    author: { name: oneLine(fill(author.name)), email: oneLine(fill(author.email)).replace(/\s+/g, '') },
  }
}

/** The first placeholder in the wording that is none, by field; while there is one, commits wait. */
export function wordingProblem({ author, message }: Pick<Write, 'author' | 'message'>): Problem | undefined {
  const fields = {
    'spec.write.author.name': author.name,
    'spec.write.author.email': author.email,
    'spec.write.message.subject': message?.subject,
    'spec.write.message.body': message?.body,
  }
  for (const [field, template] of Object.entries(fields)) {
    for (const [text, name] of (template ?? '').matchAll(placeholder)) {
      if (isPlaceholder(name!)) continue
      const known = placeholderNames.map((each) => `\${${each}}`).join(', ')
      return { reason: 'InvalidSpec', message: `${field} has ${text}, but there are only ${known}`, field }
    }
  }
  return undefined
}

const placeholder = /\$\{([^{}]*)\}/g

function isPlaceholder(name: string): name is Placeholder {
  return placeholderNames.some((known) => known === name)
}

function filled(values: WordingValues, name: string): string {
  return isPlaceholder(name) ? oneLine(values[name]) : ''
}
