import { since } from '../age.ts'
import { paragraph, type SectionOf } from './section.ts'

/** What is in Git, what is not yet, and why. */
export const git: SectionOf = ({ rollout: { status }, now, colours, width }) => {
  const { git: state } = status
  if (!state) return undefined
  const pending = (state.pending ?? []).filter((commit) => !commit.void)
  const last = state.lastCommit ? `${state.lastCommit.slice(0, 8)}, ${since(state.lastCommitAt, now)} ago` : undefined
  const head =
    pending.length === 0
      ? `everything is committed${last ? `, last ${last}` : ''}`
      : `${pending.length} ${pending.length === 1 ? 'commit' : 'commits'} to make${last ? `; last made ${last}` : ''}`
  const told = new Set(pending.map(({ reason }) => reason))
  return {
    label: 'Git',
    lines: [
      ...paragraph(head, width, pending.length > 0 ? { paint: colours.wait } : {}),
      ...pending
        .slice(0, 5)
        .flatMap(({ subject, reason, at }) => [
          ...paragraph(`- ${subject} (${since(at, now)} ago)`, width, { indent: 2 }),
          ...(reason ? paragraph(`because ${reason}`, width - 2).map((line) => `  ${line}`) : []),
        ]),
      ...(pending.length > 5 ? [`- and ${pending.length - 5} more`] : []),
      ...(state.message && !told.has(state.message) ? paragraph(state.message, width, { paint: colours.wait }) : []),
    ],
  }
}
