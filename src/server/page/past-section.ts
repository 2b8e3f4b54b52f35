import { html, type Markup, moment, nothing } from './markup.ts'
import { absent, section } from './parts.ts'
import type { RolloutView } from './view.ts'

const resultWords: Readonly<Record<string, string>> = {
  Promoted: 'Promoted',
  RolledBack: 'Rolled back',
  Aborted: 'Aborted',
  Superseded: 'Superseded',
  Reverted: 'Reverted',
}

/** What came of earlier rollouts, what is not tried again, and what somebody asked for last. */
export function past({ history, knownBad, request }: RolloutView): Markup {
  if (history.length === 0 && knownBad.length === 0 && !request) return absent('past')
  return section(
    'past',
    'Before',
    html`${
      history.length > 0
        ? html`<ol class="outcomes">${history.map(
            ({ result, revision, message, at }) =>
              html`<li><span class="pill ${result === 'Promoted' ? 'calm' : result === 'RolledBack' ? 'bad' : 'faint'}">${resultWords[result] ?? result}</span><span><code>${revision}</code><small>${message}</small></span>${moment(at, 'since')}</li>`,
          )}</ol>`
        : nothing
    }${
      knownBad.length > 0
        ? html`<h3>Known bad: not tried again</h3><ul class="outcomes bad">${knownBad.map(
            ({ revision, text, at }) =>
              html`<li><span><code>${revision}</code><small>${text}</small></span>${moment(at, 'since')}</li>`,
          )}</ul>`
        : nothing
    }${
      request
        ? html`<h3>Asked for last</h3><p>${request.verb}${request.by ? ` by ${request.by}` : ''}: ${request.message} <span class="facts">${moment(request.at, 'since')}</span></p>`
        : nothing
    }`,
  )
}
