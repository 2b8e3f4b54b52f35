import type { QuestionView } from './gates.ts'
import { html, type Markup, moment, nothing, percent } from './markup.ts'
import { absent, command, meter } from './parts.ts'
import type { CommandView, RolloutView } from './view.ts'

/** The questions that are open: what is asked, of whom, until when, and what to type. */
export function question({ questions, commands }: RolloutView): Markup {
  if (questions.length === 0) return absent('ask')
  const answers = commands.filter(({ kind }) => kind === 'answer')
  return html`<section id="ask" class="card ask" aria-labelledby="ask-h"><h2 id="ask-h">${questions.length > 1 ? 'People are asked' : 'Somebody is asked'}</h2>${questions.map(
    (each, i) => one(each, answers.slice(2 * i, 2 * i + 2)),
  )}</section>`
}

function one(asked: QuestionView, answers: readonly CommandView[]): Markup {
  const { from, to, revision, place, by, required, requiredFrom, allowed, authors } = asked
  const said = by.length === 0 ? `nobody of ${required} yet` : `${by.length} of ${required}: ${by.join(', ')}`
  return html`<article class="question">
<p class="asked">May <code>${revision}</code> go from <b>${percent(from)}</b> to <b>${percent(to)}</b> of the traffic? <span class="facts">${place}</span></p>
<dl class="pairs">
<dt>May decide</dt><dd>${people(allowed)}</dd>
${requiredFrom.length > 0 ? html`<dt>Among them</dt><dd>somebody of each: ${people(requiredFrom)}</dd>` : nothing}
${authors.length > 0 ? html`<dt>Not alone</dt><dd>${people(authors)}</dd>` : nothing}
<dt>Said yes</dt><dd>${said}${meter(by.length / Math.max(1, required), 'Quorum', said, 'good')}</dd>
<dt>Open</dt><dd>${moment(asked.expiresAt, 'until')}, then it ${asked.onExpiry === 'Reject' ? 'is rejected' : 'is asked again'}</dd>
${asked.notBefore ? html`<dt>Not before</dt><dd>${moment(asked.notBefore, 'until')}</dd>` : nothing}
${asked.pullRequest ? html`<dt>Pull request</dt><dd><a href="${asked.pullRequest}" rel="noreferrer noopener">${asked.pullRequest}</a></dd>` : nothing}
${asked.compareUrl ? html`<dt>Difference</dt><dd><a href="${asked.compareUrl}" rel="noreferrer noopener">${asked.compareUrl}</a></dd>` : nothing}
${asked.commits.length > 0 ? html`<dt>Brings</dt><dd><ul class="plain">${asked.commits.map(({ sha, subject, author }) => html`<li><code>${sha.slice(0, 8)}</code> ${subject} <span class="facts">${author}</span></li>`)}</ul></dd>` : nothing}
</dl>
<ul class="commands">${answers.map(({ line, does, kind }) => command(line, does, kind))}</ul>
</article>`
}

function people(names: readonly string[]): Markup {
  return html`${names.map((name) => html`<span class="person-name">${name}</span> `)}`
}
