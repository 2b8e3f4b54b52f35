import { html, type Markup, nothing } from './markup.ts'

export interface Shell {
  title: string
  /** What the script asks /events for: path and query of this page. */
  place: string
  /** Where we are below the list. */
  crumb?: string
  body: Markup
  /** Epoch ms at the server. */
  now: number
  standby: boolean
}

/** The whole document around a page. Without a script it loads itself anew every ten seconds. */
export function document({ title, place, crumb, body, now, standby }: Shell): Markup {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>${title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="/assets/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/assets/page.css">
<script src="/assets/page.js" defer></script>
<noscript><meta http-equiv="refresh" content="10"></noscript>
</head>
<body data-place="${place}" data-now="${now}">
<a class="skip" href="#main">Skip to the content</a>
<header class="top"><a class="brand" href="/" aria-label="Sluice: all rollouts">${logo()}<span>Sluice</span></a>${
    crumb === undefined
      ? nothing
      : html`<nav aria-label="Place"><a href="/">Rollouts</a><span aria-hidden="true">/</span><b>${crumb}</b></nav>`
  }<span id="live" class="live" role="status" data-state="off">not live</span></header>
${standby ? html`<p class="banner">This replica stands by. It shows what the cluster says; the course of a rollout and the Git log are with the replica that leads.</p>` : nothing}
<main id="main" tabindex="-1">${body}</main>
<footer>Read only: everything is done with <code>sluice</code>, in Slack, or in Git. <span>Times are in <span id="zone">UTC</span>.</span></footer>
</body>
</html>`
}

function logo(): Markup {
  return html`<svg aria-hidden="true" width="26" height="26" viewBox="0 0 26 26"><path class="gate" d="M4 3v20M22 3v20M4 8h18"/><path class="water" d="M4 18c3-3 6-3 9 0s6 3 9 0v5H4z"/></svg>`
}
