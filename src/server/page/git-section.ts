import type { Operation } from '../../git/history.ts'
import { html, type Markup, moment, nothing } from './markup.ts'
import { absent, section } from './parts.ts'
import type { RolloutView } from './view.ts'

const MOST = 15

/** What is in Git, what is on its way there, and what stands in the way. */
export function git({ git: state, operations }: RolloutView): Markup {
  if (!state && !operations?.length) return absent('git')
  const pending = state?.pending ?? []
  const told = new Set(pending.map(({ reason }) => reason))
  return section(
    'git',
    'Git',
    html`${
      pending.length === 0
        ? html`<p class="facts">Everything is committed${state?.lastCommitAt ? html`, last ${moment(state.lastCommitAt, 'since')}` : nothing}.</p>`
        : html`<p class="note">${pending.length === 1 ? 'One commit is' : `${pending.length} commits are`} not in Git yet.</p><ul class="log">${pending.map(
            ({ subject, reason, at }) =>
              html`<li class="pending"><span class="sha" aria-hidden="true">·······</span><span>${subject}${reason ? html`<small>because ${reason}</small>` : nothing}</span>${moment(at, 'since')}</li>`,
          )}</ul>`
    }${state?.message && !told.has(state.message) ? html`<p class="note">${state.message}</p>` : nothing}${
      operations && operations.length > 0
        ? html`<ol class="log">${operations.toReversed().slice(0, MOST).map(commit)}</ol>${operations.length > MOST ? html`<p class="facts">and ${operations.length - MOST} before: <code>sluice history</code></p>` : nothing}`
        : nothing
    }`,
  )
}

function commit({ commit: sha, subject, committedAt, approvedBy, requestedBy }: Operation): Markup {
  const people = [
    ...(approvedBy.length > 0 ? [`approved by ${approvedBy.join(', ')}`] : []),
    ...(requestedBy.length > 0 ? [`asked for by ${requestedBy.join(', ')}`] : []),
  ]
  return html`<li><code class="sha">${sha.slice(0, 7)}</code><span>${subject}${people.length > 0 ? html`<small>${people.join('; ')}</small>` : nothing}</span>${moment(committedAt, 'since')}</li>`
}
