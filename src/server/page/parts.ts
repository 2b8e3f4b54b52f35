import { html, type Markup, percent } from './markup.ts'
import type { Tone } from './tone.ts'

const words: Readonly<Record<string, string>> = {
  AwaitingApproval: 'Awaiting approval',
  RollingBack: 'Rolling back',
  RolledBack: 'Rolled back',
}

export function pill(phase: string, tone: Tone): Markup {
  return html`<span class="pill ${tone}">${words[phase] ?? phase}</span>`
}

/** A section that the script can replace by its id. */
export function section(id: string, title: string, body: Markup, classes = ''): Markup {
  return html`<section id="${id}" class="card ${classes}" aria-labelledby="${id}-h"><h2 id="${id}-h">${title}</h2>${body}</section>`
}

/** Holds the place of a section that has nothing to say. */
export function absent(id: string): Markup {
  return html`<section id="${id}" hidden></section>`
}

/** How the traffic is split. */
export function trafficBar(weight: number): Markup {
  const split = weight > 0 ? `${percent(weight)} canary, ${percent(100 - weight)} stable` : 'all traffic on stable'
  return html`<svg class="traffic" role="img" aria-label="${split}" width="100%" height="14"><rect class="stable" width="100%" height="14"/><rect class="canary" x="${100 - weight}%" width="${weight}%" height="14"/></svg>`
}

/** A part of a whole as a bar. `tone` names its colour. */
export function meter(value: number, label: string, text: string, tone: string): Markup {
  const width = Math.max(0, Math.min(100, value * 100))
  return html`<svg class="meter" role="meter" aria-label="${label}" aria-valuemin="0" aria-valuemax="100" aria-valuenow="${Math.round(width)}" aria-valuetext="${text}" width="100%" height="8"><rect class="back" width="100%" height="8" rx="4"/><rect class="${tone}" width="${Math.round(width * 10) / 10}%" height="8" rx="4"/></svg>`
}

/** A command to type, with a button that copies it. */
export function command(line: string, does: string, kind: string): Markup {
  return html`<li class="command ${kind}"><code>${line}</code><button type="button" class="copy" data-copy="${line}" aria-label="Copy: ${line}">Copy</button><span class="does">${does}</span></li>`
}
