import type { DeadLetter } from '../../notify/dead-letters.ts'
import { html, type Markup, moment, nothing } from './markup.ts'
import { absent, section } from './parts.ts'

const MOST = 10

/** Messages to people that were given up, newest first; `named`: with the Rollout they were about. */
export function lost(letters: readonly DeadLetter[], named: boolean): Markup {
  if (letters.length === 0) return absent('lost')
  return section(
    'lost',
    'Messages that nobody got',
    html`<ul class="outcomes bad">${letters
      .slice(0, MOST)
      .map(
        ({ at, rollout, message, place, why }) =>
          html`<li><span>${named ? html`<b>${rollout}</b> ` : nothing}${message}<small>${place}: ${why}</small></span>${moment(at, 'since')}</li>`,
      )}</ul>${letters.length > MOST ? html`<p class="facts">and ${letters.length - MOST} before</p>` : nothing}`,
    'wide',
  )
}
