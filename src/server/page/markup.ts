import { html } from 'hono/html'

/** HTML whose every interpolated text has been escaped. */
export type Markup = ReturnType<typeof html>

export { html }

/** Several pieces, one after the other. */
export function join(parts: readonly Markup[]): Markup {
  return html`${parts}`
}

export const nothing: Markup = html``

/**
 * A moment. Without a script it is the UTC time of day; the script turns it into local time, into how long ago it is, or counts down to
 * it. What the server writes does not depend on now, so that nothing is sent again only because time goes by.
 */
export function moment(at: number | string | undefined, show: 'clock' | 'since' | 'age' | 'until'): Markup {
  const time = typeof at === 'number' ? at : Date.parse(at ?? '')
  if (Number.isNaN(time)) return nothing
  const iso = new Date(time).toISOString()
  const text = `${iso.slice(0, 10)} ${iso.slice(11, 19)} UTC`
  return html`<time datetime="${iso}" data-show="${show}" title="${text}">${show === 'clock' ? `${iso.slice(11, 19)} UTC` : text}</time>`
}

/** `10 %`, `33.3 %`. */
export function percent(value: number): string {
  return `${Math.round(value * 10) / 10} %`
}

/** A share in percent with as many digits as it needs: `0.42 %`. */
export function share(bad: number, all: number): string {
  if (all <= 0) return '–'
  const value = (bad / all) * 100
  if (value === 0 || value >= 9.95) return `${Math.round(value)} %`
  return `${value < 0.095 ? value.toPrecision(1) : value.toFixed(value < 0.995 ? 2 : 1)} %`
}

/** `12,345`. */
export function count(events: number): string {
  return Math.round(events).toLocaleString('en-US')
}
