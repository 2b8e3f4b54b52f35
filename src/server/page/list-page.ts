import type { DeadLetter } from '../../notify/dead-letters.ts'
import type { ListQuery, ListView, Row } from './list.ts'
import { lost } from './lost-section.ts'
import { html, type Markup, moment, nothing, percent } from './markup.ts'
import { pill } from './parts.ts'

/** The list of Rollouts, section by section. The field to search in is outside: nothing takes it away from who types. */
export function listSections(view: ListView, undelivered: readonly DeadLetter[]): Map<string, Markup> {
  return new Map([
    ['phases', phases(view)],
    ['list', list(view)],
    ['lost', lost(undelivered, true)],
  ])
}

/** What stands above the sections and stays. */
export function listHead(query: ListQuery): Markup {
  return html`<h1 class="list-title">Rollouts</h1><div class="filter" role="search"><label class="hidden" for="q">Filter by name, revision or message</label><input id="q" type="search" value="${query.text}" placeholder="Filter by name, revision or message" autocomplete="off" spellcheck="false" data-filter="q" hidden></div>`
}

function phases({ phases: all, query }: ListView): Markup {
  const total = all.reduce((sum, { count }) => sum + count, 0)
  const chip = (phase: string, tone: string, count: number, label: string) =>
    html`<a class="chip ${tone}" href="${href({ ...query, phase, page: 1 })}"${query.phase === phase ? html` aria-current="true"` : nothing}>${label} <b>${count}</b></a>`
  return html`<section id="phases" class="chips" aria-label="Phases">${chip('', 'all', total, 'All')}${all.map(({ phase, tone, count }) => chip(phase, tone, count, spaced(phase)))}${
    query.namespace === ''
      ? nothing
      : html`<a class="chip all" href="${href({ ...query, namespace: '', page: 1 })}" aria-label="Show all namespaces">in ${query.namespace} ✕</a>`
  }</section>`
}

function list({ rows, all, found, pages, query }: ListView): Markup {
  if (rows.length === 0) {
    const text =
      all === 0
        ? 'There is no Rollout yet. Declare one, and it appears here by itself.'
        : 'No Rollout matches. Look for less, or for all of them.'
    return html`<section id="list" class="card empty" aria-label="Rollouts"><p>${text}</p></section>`
  }
  return html`<section id="list" class="card list" aria-label="Rollouts"><table class="rollouts"><thead><tr><th scope="col">Rollout</th><th scope="col">Phase</th><th scope="col">Steps</th><th scope="col">Canary</th><th scope="col">What is going on</th><th scope="col">Age</th></tr></thead><tbody>${rows.map(
    (row) => line(row, query),
  )}</tbody></table>${pages > 1 ? pager(query, pages, found) : nothing}</section>`
}

function line(row: Row, query: ListQuery): Markup {
  const { namespace, name, phase, tone, weight, message, createdAt, canary, stable } = row
  return html`<tr class="${tone}${canary === undefined ? ' resting' : ''}"><th scope="row"><a href="/rollouts/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}">${name}</a><a class="ns" href="${href({ ...query, namespace, page: 1 })}">${namespace}</a></th><td class="phase">${pill(phase, tone)}</td><td class="steps">${stepBar(row)}</td><td class="weight">${weight === undefined ? html`<span class="facts">–</span>` : html`<b>${percent(weight)}</b>`}</td><td class="says">${message}<small>${canary ?? stable ?? ''}</small></td><td class="age">${moment(createdAt, 'age')}</td></tr>`
}

/** One piece for each step; those that are reached are filled. */
function stepBar({ step, steps, tone, canary }: Row): Markup {
  if (canary === undefined) return html`<span class="facts" aria-label="none is tried">–</span>`
  const pieces = Math.max(1, Math.min(20, steps))
  const wide = 100 / pieces
  return html`<svg class="stepbar ${tone}" role="img" aria-label="step ${step} of ${steps}" width="72" height="10">${Array.from(
    { length: pieces },
    (_, i) =>
      html`<rect class="${i < step ? 'on' : 'off'}" x="${round(i * wide)}%" width="${round(wide - 4)}%" height="8" y="1" rx="2"/>`,
  )}</svg>`
}

function pager(query: ListQuery, pages: number, found: number): Markup {
  const { page } = query
  const to = (number: number, label: string) =>
    number < 1 || number > pages
      ? html`<span class="facts">${label}</span>`
      : html`<a href="${href({ ...query, page: number })}">${label}</a>`
  return html`<nav class="pager" aria-label="Pages">${to(page - 1, '← before')}<span>page ${page} of ${pages}, ${found.toLocaleString('en-US')} rollouts</span>${to(page + 1, 'next →')}</nav>`
}

/** The address of a list. */
export function href({ text, phase, namespace, page }: ListQuery): string {
  const parameters = new URLSearchParams({
    ...(text === '' ? {} : { q: text }),
    ...(namespace === '' ? {} : { namespace }),
    ...(phase === '' ? {} : { phase }),
    ...(page > 1 ? { page: String(page) } : {}),
  })
  return parameters.size === 0 ? '/' : `/?${parameters}`
}

function spaced(phase: string): string {
  return phase.replace(/([a-z])([A-Z])/g, (_, a: string, b: string) => `${a} ${b.toLowerCase()}`)
}

function round(value: number): number {
  return Math.round(value * 100) / 100
}
