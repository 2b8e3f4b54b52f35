/**
 * What the page does beyond what the server drew: it replaces sections that have changed, counts down, shows local time, copies
 * commands and filters the list. Plain JavaScript, sent as it is; types are in comments and are checked with the rest.
 */

/** @typedef {{ now: number, title: string, sections: Record<string, string> }} Update */

const root = document.documentElement
const live = document.getElementById('live')
const zone = document.getElementById('zone')
let place = document.body.dataset.place ?? '/'
/** The server's clock is ahead of ours by so many milliseconds. */
let ahead = Number(document.body.dataset.now ?? Date.now()) - Date.now()
/** @type {EventSource | undefined} */
let stream
let heardAt = 0

/** Nothing for so long, though a sign of life comes every 15 s: the stream is dead. */
const SILENT_MS = 40_000

root.classList.add('js')
if (zone) zone.textContent = Intl.DateTimeFormat().resolvedOptions().timeZone

/* Time */

/** @param {number} ms @returns {string} as `sluice` writes it: 45s, 3m 20s, 2h 5m, 4d */
function length(ms) {
  const s = Math.max(0, Math.round(ms / 1000))
  if (s < 60) return `${s}s`
  if (s < 3_600) return `${Math.floor(s / 60)}m ${s % 60}s`
  if (s < 86_400) return `${Math.floor(s / 3_600)}h ${Math.floor((s % 3_600) / 60)}m`
  return `${Math.floor(s / 86_400)}d`
}

/** @param {number} ms @returns {string} one number: 45s, 20m, 5h, 4d */
function age(ms) {
  const s = Math.max(0, Math.floor(ms / 1000))
  if (s < 120) return `${s}s`
  if (s < 7_200) return `${Math.floor(s / 60)}m`
  if (s < 172_800) return `${Math.floor(s / 3_600)}h`
  return `${Math.floor(s / 86_400)}d`
}

const today = new Intl.DateTimeFormat(undefined, { dateStyle: undefined, timeStyle: 'medium', hourCycle: 'h23' })
const other = new Intl.DateTimeFormat(undefined, { dateStyle: 'short', timeStyle: 'short', hourCycle: 'h23' })

/** @param {Date} at */
function clock(at) {
  const near = Math.abs(Date.now() - at.getTime()) < 20 * 3_600_000
  return (near ? today : other).format(at)
}

/** @param {Element} node @param {string} text */
function say(node, text) {
  if (node.textContent !== text) node.textContent = text
}

function tick() {
  const now = Date.now() + ahead
  for (const node of document.querySelectorAll('time')) {
    const at = new Date(node.dateTime)
    const show = node.dataset.show
    const left = at.getTime() - now
    if (show === 'age') say(node, age(-left))
    else if (show === 'since') say(node, `${age(-left)} ago`)
    else if (show === 'until') say(node, left > 0 ? `${length(left)} left` : 'any moment')
    else say(node, clock(at))
    if (!node.title.includes('·')) node.title = `${other.format(at)} · ${node.title}`
  }
  for (const node of document.querySelectorAll('[data-clock]')) {
    if (node instanceof SVGElement) say(node, clock(new Date(node.dataset.clock ?? '')))
  }
  for (const node of document.querySelectorAll('progress')) {
    const ends = Number(node.dataset.ends)
    if (ends > 0) node.value = Math.min(node.max, Math.max(0, node.max - (ends - now)))
  }
  if (stream && heardAt > 0 && Date.now() - heardAt > SILENT_MS) {
    stream.close()
    connect()
  }
}

/* Live */

/** @param {'on' | 'off' | 'trying'} state */
function show(state) {
  if (!live) return
  live.dataset.state = state
  say(live, { on: 'live', off: 'not live', trying: 'connecting' }[state])
}

function connect() {
  stream?.close()
  show('trying')
  heardAt = Date.now()
  stream = new EventSource(`/events?place=${encodeURIComponent(place)}`)
  stream.addEventListener('sections', (event) => {
    heard(event)
    /** @type {Update} */
    const update = JSON.parse(event.data)
    document.title = update.title
    for (const [id, text] of Object.entries(update.sections)) replace(id, text)
    tick()
  })
  stream.addEventListener('alive', heard)
  stream.onerror = () => {
    show('trying')
    // A browser gives up for good when it is refused; too many may be watching.
    if (stream?.readyState === EventSource.CLOSED) setTimeout(() => document.hidden || connect(), 10_000)
  }
}

/** @param {MessageEvent<string>} event */
function heard(event) {
  heardAt = Date.now()
  ahead = JSON.parse(event.data).now - heardAt
  show('on')
}

/**
 * Puts a section in the place of the old one. What somebody has opened stays open, and who is on a button stays on it.
 * @param {string} id @param {string} text
 */
function replace(id, text) {
  const old = document.getElementById(id)
  const template = document.createElement('template')
  template.innerHTML = text
  const next = template.content.firstElementChild
  if (!old || !next) return
  const opened = [...old.querySelectorAll('details')].map((node) => node.open)
  next.querySelectorAll('details').forEach((node, i) => {
    node.open = opened[i] ?? false
  })
  const focused = document.activeElement
  const focusable = 'a, button, summary, input'
  const at = focused && old.contains(focused) ? [...old.querySelectorAll(focusable)].indexOf(focused) : -1
  const scrolled = [...old.querySelectorAll('.scroll')].map((node) => node.scrollTop)
  old.replaceWith(next)
  next.querySelectorAll('.scroll').forEach((node, i) => {
    node.scrollTop = scrolled[i] ?? 0
  })
  const again = at >= 0 ? next.querySelectorAll(focusable)[at] : undefined
  if (again instanceof HTMLElement) again.focus({ preventScroll: true })
}

/* Commands */

document.addEventListener('click', (event) => {
  const button = event.target instanceof Element ? event.target.closest('button.copy') : null
  if (button instanceof HTMLButtonElement) copy(button)
})

/** @param {HTMLButtonElement} button */
async function copy(button) {
  const code = button.parentElement?.querySelector('code')
  try {
    await navigator.clipboard.writeText(button.dataset.copy ?? '')
    say(button, 'Copied')
  } catch {
    // Not allowed here: it is selected instead, ready for the keyboard.
    if (code) getSelection()?.selectAllChildren(code)
    say(button, 'Selected')
  }
  setTimeout(() => say(button, 'Copy'), 1_500)
}

/* Filter */

const filter = document.querySelector('input[data-filter]')
if (filter instanceof HTMLInputElement) {
  filter.hidden = false
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let soon
  filter.addEventListener('input', () => {
    clearTimeout(soon)
    soon = setTimeout(() => {
      const url = new URL(location.href)
      url.searchParams.delete('page')
      if (filter.value === '') url.searchParams.delete('q')
      else url.searchParams.set('q', filter.value)
      history.replaceState(null, '', url)
      place = url.pathname + url.search
      connect()
    }, 200)
  })
  document.addEventListener('keydown', (event) => {
    if (event.key !== '/' || event.ctrlKey || event.metaKey || event.target instanceof HTMLInputElement) return
    event.preventDefault()
    filter.focus()
  })
}

// A page that nobody sees takes no place among those who watch.
document.addEventListener('visibilitychange', () => {
  if (document.hidden) {
    stream?.close()
    stream = undefined
    show('off')
  } else connect()
})
addEventListener('pagehide', () => stream?.close())
addEventListener('pageshow', (event) => {
  if (event.persisted) connect()
})

tick()
setInterval(tick, 1_000)
if (!document.hidden) connect()
