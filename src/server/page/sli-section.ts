import type { SliPoint } from '../../controller/series.ts'
import { chart } from './chart.ts'
import type { Side, SliView } from './evidence.ts'
import { count, html, type Markup, moment, nothing, share } from './markup.ts'
import { absent, meter, section } from './parts.ts'
import type { RolloutView } from './view.ts'

const verdictTone = { Pass: 'calm', Breach: 'bad', Undecided: 'busy', NoData: 'ask', Error: 'ask' } as const
const verdictWords = {
  Pass: 'Pass',
  Breach: 'Breach',
  Undecided: 'Undecided',
  NoData: 'No data',
  Error: 'Error',
} as const

/** What is measured: good and bad events of both sides, and what the judge makes of them. */
export function evidence({ slis, about, canary }: RolloutView): Markup {
  if (slis.length === 0) return absent('slis')
  const body = html`${about && !canary ? html`<p class="facts">Of <code>${about}</code>, the last rollout.</p>` : nothing}<div class="slis">${slis.map(
    (sli, i) => one(sli, i),
  )}</div>`
  return section('slis', canary ? 'What the canary does' : 'What the canary did', body, 'wide')
}

function one(sli: SliView, place: number): Markup {
  const { name, verdict, observed, objective, message, since, canary, stable, step, evidence: against } = sli
  const waits = verdict === 'NoData' || verdict === 'Error'
  return html`<article class="sli"><header><h3>${name}</h3><span class="pill ${verdictTone[verdict]}">${verdictWords[verdict]}</span></header>
<p class="observed"><b>${observed ?? '–'}</b> <span class="facts">objective ${objective}${waits && since ? html` · for ${moment(since, 'since')}` : nothing}</span></p>
${message ? html`<p class="note">${message}</p>` : nothing}
${canary ? sides(canary, stable) : nothing}
${step ? stepEvents(step) : nothing}
${
  against
    ? html`<div class="confidence"><p class="label">${against.words}</p>${meter(against.share, `Evidence against ${name}`, `${against.confidence} sure; ${against.needed} is a breach`, against.share >= 0.5 ? 'bad' : 'busy')}<p class="facts">${against.meaning}</p></div>`
    : nothing
}
${badShare(sli, place)}${table(sli)}</article>`
}

function sides(canary: Side, stable: Side | undefined): Markup {
  const row = (label: string, tone: string, { good, bad }: Side) =>
    html`<tr><th scope="row" class="${tone}">${label}</th><td>${count(good)}</td><td class="${bad > 0 ? 'some' : ''}">${count(bad)}</td><td>${share(bad, good + bad)}</td></tr>`
  return html`<table class="sides"><thead><tr><th scope="col"><span class="hidden">Side</span></th><th scope="col">good</th><th scope="col">bad</th><th scope="col">bad of all</th></tr></thead><tbody>${row('Canary', 'canary', canary)}${stable ? row('Stable', 'stable', stable) : nothing}</tbody></table>`
}

function stepEvents({ events, needed }: NonNullable<SliView['step']>): Markup {
  if (events >= needed)
    return html`<p class="facts">${count(events)} requests in this step, ${count(needed)} are enough.</p>`
  const text = `${count(events)} of at least ${count(needed)} requests in this step`
  return html`<div class="enough"><p class="facts">${text}</p>${meter(events / needed, 'Requests in this step', text, 'calm')}</div>`
}

/** Bad events of each look as a share of its events; the evidence beside it. */
function badShare({ name, points, allowedBad, threshold }: SliView, place: number): Markup {
  if (points.length < 3) return nothing
  const [from, to] = [points[0]?.at ?? 0, points.at(-1)?.at ?? 0]
  const canary = shares(points, ({ good, bad }) => [good, bad])
  const stable = shares(points, ({ stableGood, stableBad }) => [stableGood, stableBad])
  const highest = Math.max(0, ...[...canary, ...stable].map(([, value]) => value))
  const limit = allowedBad ?? 0
  const max = niceAbove(Math.max(limit * 2.5, highest * 1.15, 0.1))
  const proof = points
    .filter(({ evidence }) => !Number.isNaN(evidence))
    .map((p) => [p.at, Math.max(0, p.evidence)] as const)
  const most = Math.max((threshold ?? 1) * 1.25, ...proof.map(([, value]) => value))
  return html`<figure><figcaption>Bad requests, percent <span class="key canary">canary</span> <span class="key stable">stable</span></figcaption>${chart(
    {
      id: `sli-${place}-bad`,
      title: `Share of bad requests of ${name} over time, canary and stable; ${limit} % is allowed`,
      lines: [
        { label: 'stable', tone: 'stable', points: stable },
        { label: 'canary', tone: 'canary', points: canary },
      ],
      from,
      to,
      max,
      rules: [
        { value: 0, label: '' },
        { value: limit, label: `${round(limit)} % allowed`, limit: true },
        { value: max, label: `${max} %` },
      ],
      height: 130,
    },
  )}</figure>${
    threshold === undefined || proof.length < 3 || proof.every(([, value]) => value < threshold / 50)
      ? nothing
      : html`<figure><figcaption>Evidence that the objective is broken</figcaption>${chart({
          id: `sli-${place}-evidence`,
          title: `Evidence against the canary of ${name} over time; at the dashed line traffic goes back`,
          lines: [{ label: 'evidence', tone: 'evidence', points: proof, filled: true }],
          from,
          to,
          max: most,
          rules: [
            { value: 0, label: '' },
            { value: threshold, label: 'traffic goes back', limit: true },
          ],
          height: 90,
        })}</figure>`
  }`
}

/** The share of bad events between each two looks, in percent. Looks without events are left out. */
function shares(points: readonly SliPoint[], of: (point: SliPoint) => [number, number]): [number, number][] {
  const out: [number, number][] = []
  let last: [number, number] | undefined
  for (const point of points) {
    const [good, bad] = of(point)
    if (Number.isNaN(good)) continue
    const [more, worse] = last ? [good - last[0], bad - last[1]] : [0, 0]
    last = [good, bad]
    if (more + worse > 0 && more >= 0 && worse >= 0) out.push([point.at, (worse / (more + worse)) * 100])
  }
  return out
}

function niceAbove(value: number): number {
  if (value >= 50) return 100
  const power = 10 ** Math.floor(Math.log10(value))
  return round(([1, 2, 5, 10].find((step) => step * power >= value) ?? 10) * power)
}

function round(value: number): number {
  return Number(value.toPrecision(3))
}

const MOST_ROWS = 24

function table({ points, name }: SliView): Markup {
  if (points.length < 2) return nothing
  const every = Math.ceil(points.length / MOST_ROWS)
  const shown = points.filter((_, i) => (points.length - 1 - i) % every === 0).toReversed()
  const number = (value: number) => (Number.isNaN(value) ? '–' : count(value))
  return html`<details class="numbers"><summary>Numbers<span class="hidden"> of ${name}</span></summary><div class="scroll"><table><thead><tr><th scope="col">at</th><th scope="col">canary good</th><th scope="col">bad</th><th scope="col">stable good</th><th scope="col">bad</th><th scope="col">evidence</th></tr></thead><tbody>${shown.map(
    (p) =>
      html`<tr><td>${moment(p.at, 'clock')}</td><td>${number(p.good)}</td><td>${number(p.bad)}</td><td>${number(p.stableGood)}</td><td>${number(p.stableBad)}</td><td>${Number.isNaN(p.evidence) ? '–' : Math.max(0, p.evidence).toFixed(2)}</td></tr>`,
  )}</tbody></table></div><p class="facts">Counted since the rollout began. Evidence is its base-10 logarithm.</p></details>`
}
