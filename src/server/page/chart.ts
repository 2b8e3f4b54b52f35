import { html, type Markup, nothing } from './markup.ts'

/** A line over time; `[epoch ms, value]`, oldest first. */
export interface Line {
  /** What it is, for the legend and for those who cannot see it. */
  label: string
  /** Names its colour in the style sheet. */
  tone: 'canary' | 'stable' | 'evidence'
  points: readonly (readonly [number, number])[]
  /** A value stands until the next one. */
  stepped?: boolean
  /** The surface below is filled. */
  filled?: boolean
}

export interface Chart {
  id: string
  /** What it shows, in one sentence. */
  title: string
  lines: readonly Line[]
  /** Epoch ms. */
  from: number
  to: number
  /** The greatest value that is shown; the least is 0. */
  max: number
  /** Horizontal lines. `limit` is one not to be crossed. */
  rules: readonly { value: number; label: string; limit?: boolean }[]
  /** Numbered moments. */
  marks?: readonly { at: number; number: number; tone: string }[]
  height: number
}

/** Pixels above the greatest value: for its label, or for marks. */
const TOP = 16
const TOP_WITH_MARKS = 30
const BOTTOM = 20
const WIDE = 1000

/**
 * A chart as SVG that fits any width: lines are drawn in a box that is stretched, texts stand beside it in pixels. It needs no script,
 * and all its colours come from the style sheet.
 */
export function chart({ id, title, lines, from, to, max, rules, marks = [], height }: Chart): Markup {
  const span = Math.max(1, to - from)
  const top = marks.length > 0 ? TOP_WITH_MARKS : TOP
  const inner = height - top - BOTTOM
  const x = (at: number) => Math.max(0, Math.min(1, (at - from) / span))
  const y = (value: number) => top + inner * (1 - Math.max(0, Math.min(1, value / max)))
  const ruled = rules.filter(({ value }) => value <= max)
  return html`<svg class="chart" role="img" aria-labelledby="${id}-title" height="${height}" width="100%">
<title id="${id}-title">${title}</title>
${ruled.map(
  ({ value, limit }) =>
    html`<line class="${limit ? 'rule limit' : 'rule'}" x1="0" x2="100%" y1="${round(y(value))}" y2="${round(y(value))}"/>`,
)}
${marks.map(({ at, tone }) => html`<line class="mark ${tone}" x1="${at100(x(at))}" x2="${at100(x(at))}" y1="19" y2="${height - BOTTOM}"/>`)}
<svg x="0" y="0" width="100%" height="${height}" viewBox="0 0 ${WIDE} ${height}" preserveAspectRatio="none" overflow="visible">
${lines.map((line) =>
  drawn(
    line,
    (at) => round(x(at) * WIDE),
    (value) => round(y(value)),
    to,
    height - BOTTOM,
  ),
)}
</svg>
${ruled.map(
  ({ value, label, limit }) =>
    html`<text class="${limit ? 'tick limit' : 'tick'}" x="4" y="${round(y(value) - 4)}">${label}</text>`,
)}
${marks.map(
  ({ at, number, tone }) =>
    html`<g class="dot ${tone}"><circle cx="${at100(x(at))}" cy="10" r="9"/><text x="${at100(x(at))}" y="14">${number}</text></g>`,
)}
${[from, from + span / 2, to].map((at, i) => hour(at, i, height))}
</svg>`
}

function hour(at: number, place: number, height: number): Markup {
  const iso = new Date(at).toISOString()
  const anchor = ['start', 'middle', 'end'][place]
  return html`<text class="hour" x="${place * 50}%" y="${height - 5}" text-anchor="${anchor}" data-clock="${iso}">${iso.slice(11, 19)}</text>`
}

function drawn(
  { tone, points, stepped, filled }: Line,
  x: (at: number) => number,
  y: (value: number) => number,
  to: number,
  floor: number,
): Markup {
  const known = points.filter(([, value]) => !Number.isNaN(value))
  const [first] = known
  if (!first) return nothing
  let path = `M${x(first[0])} ${y(first[1])}`
  for (const [at, value] of known.slice(1)) path += stepped ? `H${x(at)}V${y(value)}` : `L${x(at)} ${y(value)}`
  if (stepped) path += `H${x(to)}`
  const end = stepped ? to : (known.at(-1)?.[0] ?? to)
  return html`${filled ? html`<path class="area ${tone}" d="${path}V${floor}H${x(first[0])}Z"/>` : nothing}<path class="line ${tone}" d="${path}"/>${
    known.length === 1 && !stepped ? html`<path class="line ${tone}" d="M${x(end) - 3} ${y(first[1])}h6"/>` : nothing
  }`
}

function at100(share: number): string {
  return `${round(share * 100)}%`
}

function round(value: number): number {
  return Math.round(value * 100) / 100
}
