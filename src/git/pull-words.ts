import { z } from 'zod'
import type { Commit } from './commit.ts'
import type { Proposal, PullRequest } from './forge/forge.ts'
import { opTrailer, rolloutTrailer } from './message.ts'
import type { StoredState } from './statefile.ts'
import { oneLine, parseTrailers } from './trailers.ts'

/** What a pull request of ours says about itself for machines; forges do not show it. */
export interface Marker {
  /** The operations that it carries, oldest first. */
  ops?: string[]
  /** The digest of the move that it asks for. */
  digest?: string
  /** We have closed it ourselves. */
  closed?: boolean
}

const marker = z.object({
  ops: z.array(z.string()).optional(),
  digest: z.string().optional(),
  closed: z.boolean().optional(),
})
const begin = '<!-- sluice: '
const end = ' -->'

/** Reads the last line of a body; nothing where somebody has taken it away. */
export function readMarker(body: string): Marker {
  const { line } = parted(body)
  if (line === undefined) return {}
  try {
    return marker.catch({}).parse(JSON.parse(line.slice(begin.length, -end.length)))
  } catch {
    return {}
  }
}

export function withMarker(body: string, value: Marker): string {
  const json = JSON.stringify(value).replaceAll('<', '\\u003c').replaceAll('>', '\\u003e')
  return `${parted(body).text}\n\n${begin}${json}${end}`
}

/** A body without its marker, and that line. In one pass: whoever may edit a body must not be able to keep the process busy. */
function parted(body: string): { text: string; line?: string } {
  const text = body.trimEnd()
  const at = text.lastIndexOf('\n') + 1
  const line = text.slice(at)
  return line.startsWith(begin) && line.endsWith(end) ? { text: text.slice(0, at).trimEnd(), line } : { text }
}

/** The body of a pull request that is over. */
export function closedBody(pull: PullRequest): string {
  return withMarker(pull.body, { ...readMarker(pull.body), closed: true })
}

/** Text of others inside a body: nothing in it is markup, a mention, an issue to be closed, or the end of a table's cell. */
export function quoted(text: string): string {
  return oneLine(text)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replace(/([\\`*_[\]|~#])/g, '\\$1')
    .replace(/@(?=\w)/g, '@\u200b')
    .replace(/#(?=\w)/g, '#\u200b')
    .replace(closing, '$1\u200b')
}

/** The words with which a forge closes an issue on a merge, before one that is not named by a `#`. */
const closing =
  /\b(clos(?:e[sd]?|ing)|fix(?:e[sd]|ing)?|resolv(?:e[sd]?|ing)|implement(?:s|ed|ing)?)(?=:?\s+(?:https?:|GH-))/gi

/** The same as code, in which only its own end and that of a table's cell mean anything. */
export function code(text: string): string {
  return `\`${oneLine(text).replaceAll('`', "'").replaceAll('|', '\\|')}\``
}

const shown: [trailer: string, label: string][] = [
  ['revision', 'Revision'],
  ['from', 'From'],
  ['step', 'Step'],
  ['verdict', 'Verdict'],
  ['evidence', 'Evidence'],
  ['approved-by', 'Approved by'],
  ['requested-by', 'Requested by'],
]

export interface Outcomes {
  rollout: { namespace: string; name: string }
  cluster: string
  /** The commits of the branch, oldest first. */
  commits: Commit[]
  /** The state file on the branch. */
  state?: StoredState | undefined
  labels: string[]
}

/** The words of a pull request that carries outcomes: made of what lies on its branch, so that they are the same whenever they are made. */
export function outcomeWords({ rollout, cluster, commits, state, labels }: Outcomes): Proposal {
  const subject = (commit: Commit) => oneLine(commit.message.split('\n')[0] ?? '')
  const ops = commits.flatMap((commit) => parseTrailers(commit.message).get(opTrailer.toLowerCase()) ?? [])
  const lines = [
    `${code(`${rollout.namespace}/${rollout.name}`)} in the cluster ${quoted(cluster)}. This records what Sluice has done already; traffic does not wait for it.`,
    '',
    'Merging makes Git say the same as the cluster. Closing leaves Git as it is, until the next outcome.',
  ]
  for (const commit of commits) {
    lines.push('', `### ${quoted(subject(commit))}`, '', '| | |', '|---|---|')
    const trailers = parseTrailers(commit.message)
    for (const [trailer, label] of shown)
      for (const value of trailers.get(trailer) ?? []) lines.push(`| ${label} | ${quoted(value)} |`)
    lines.push(`| ${rolloutTrailer} operation | ${code(trailers.get(opTrailer.toLowerCase())?.[0] ?? '')} |`)
  }
  if (state) lines.push('', '### State', '', ...stateLines(state).map((line) => `- ${line}`))
  const title = subject(commits.at(-1)!)
  return { title, body: withMarker(lines.join('\n'), { ops }), labels }
}

function stateLines({ stable, outcome, knownBad }: StoredState): string[] {
  return [
    ...(stable ? [`stable: ${code(stable.revision)}${stable.image ? ` (${quoted(stable.image)})` : ''}`] : []),
    ...(outcome ? [`outcome: ${quoted(outcome.result)} ${code(outcome.revision)}: ${quoted(outcome.message)}`] : []),
    ...knownBad.slice(-20).map((bad) => `known to be bad: ${code(bad.revision)} (${quoted(bad.reason)})`),
  ]
}
