import { git } from './git-section.ts'
import { lost } from './lost-section.ts'
import { html, type Markup, moment, nothing, percent } from './markup.ts'
import { absent, command, pill, section, trafficBar } from './parts.ts'
import { past } from './past-section.ts'
import { question } from './question-section.ts'
import { evidence } from './sli-section.ts'
import type { Holding, StepView } from './steps.ts'
import type { RolloutView } from './view.ts'
import { weights } from './weights-section.ts'

/** The page about one Rollout, section by section: each has an id of its own and can be replaced alone. */
export function rolloutSections(view: RolloutView): Map<string, Markup> {
  return new Map([
    ['head', head(view)],
    ['ask', question(view)],
    ['way', way(view)],
    ['do', commands(view)],
    ['weights', weights(view)],
    ['slis', evidence(view)],
    ['git', git(view)],
    ['past', past(view)],
    ['lost', lost(view.undelivered, false)],
  ])
}

function head(view: RolloutView): Markup {
  const { namespace, name, phase, tone, message, notes, weight, entering, stable, canary } = view
  return html`<section id="head" class="head ${tone}" aria-label="Now">
<h1><span class="ns">${namespace}/</span>${name} ${pill(phase, tone)}</h1>
<p class="message">${message}</p>
${notes.map((note) => html`<p class="note">${note}</p>`)}
${
  stable || canary
    ? html`${trafficBar(weight)}
<dl class="split">
<div class="stable"><dt>Stable</dt><dd><b>${percent(100 - weight)}</b> ${stable ? html`<code>${stable.revision}</code> ${image(stable.image)}` : 'none yet'}</dd></div>
${
  canary
    ? html`<div class="canary"><dt>Canary</dt><dd><b>${percent(weight)}</b> <code>${canary.revision}</code> ${image(canary.image)}
<span class="facts">${entering === undefined ? nothing : html`moving to ${percent(entering)} · `}${canary.startedAt ? html`started ${moment(canary.startedAt, 'since')}` : nothing}${canary.author ? html` · by ${canary.author}` : nothing}${canary.attempt && canary.attempt > 1 ? html` · rollout no. ${canary.attempt}` : nothing}</span></dd></div>`
    : nothing
}
</dl>`
    : nothing
}
</section>`
}

function image(name: string | undefined): Markup {
  return name === undefined ? nothing : html`<span class="image">${name}</span>`
}

function way({ steps, gates, canary }: RolloutView): Markup {
  if (steps.length === 0) return absent('way')
  const track = html`<ol class="track ${canary ? '' : 'rest'}">${steps.map(stop)}</ol>`
  const list =
    gates.length === 0
      ? nothing
      : html`<h3>Before traffic moves on</h3><ul class="gates">${gates.map(
          ({ kind, open, text, opensAt }) =>
            html`<li class="${open ? 'open' : 'shut'}"><span class="sign" aria-hidden="true">${open ? '✓' : '○'}</span><span class="gate-kind">${gateWords[kind]}</span><span class="gate-text">${text}${opensAt === undefined ? nothing : html` <b>${moment(opensAt, 'until')}</b>`}<span class="hidden">${open ? ' (open)' : ' (not yet)'}</span></span></li>`,
        )}</ul>`
  return section('way', 'Steps', html`${track}${list}`)
}

const gateWords = {
  Hold: 'Hold',
  Requests: 'Requests',
  Window: 'Window',
  Dependency: 'Depends on',
  Approval: 'Approval',
} as const

const stateWords = { behind: 'behind', here: 'here now', entering: 'being entered', ahead: 'ahead' } as const

function stop({ number, weight, hold, state, approval, holding, approvedBy }: StepView): Markup {
  const running = holding?.endsAt
  const facts = [
    ...(state === 'here' ? [] : [`hold ${hold}`]),
    ...(approval && state !== 'here' ? ['after approval'] : []),
  ]
  return html`<li class="${state}"${state === 'here' ? html` aria-current="step"` : nothing}>
<span class="knot" aria-hidden="true">${state === 'behind' ? '✓' : number}</span>
<span class="stop"><b>${percent(weight)}</b>${approval ? html`<svg class="person" role="img" aria-label="needs an approval" width="14" height="14" viewBox="0 0 14 14"><circle cx="7" cy="4" r="3"/><path d="M1 14c0-4 3-6 6-6s6 2 6 6z"/></svg>` : nothing}<span class="hidden">, ${stateWords[state]}</span>
<small>${facts.join(', ')}${holding ? held(holding, hold) : nothing}</small>${approvedBy.length > 0 ? html`<small>approved by ${approvedBy.join(', ')}</small>` : nothing}
${holding ? html`<progress max="${holding.totalMs}" value="${holding.totalMs - holding.leftMs}" aria-label="Hold of ${hold}"${running === undefined ? nothing : html` data-ends="${running}"`}></progress>` : nothing}</span></li>`
}

function held({ leftMs, endsAt, waived }: Holding, hold: string): Markup {
  if (waived !== undefined) return html`hold waived`
  if (leftMs <= 0) return html`held ${hold}`
  return endsAt === undefined ? html`the hold’s clock stands` : html`${moment(endsAt, 'until')} of ${hold}`
}

function commands({ commands: all }: RolloutView): Markup {
  const list = (wanted: string) =>
    html`<ul class="commands">${all.filter(({ kind }) => kind === wanted).map(({ line, does, kind }) => command(line, does, kind))}</ul>`
  if (!all.some(({ kind }) => kind === 'act')) return section('do', 'To type', list('look'))
  return section(
    'do',
    'To type',
    html`${list('act')}<details><summary>Look from a terminal</summary>${list('look')}</details>`,
  )
}
