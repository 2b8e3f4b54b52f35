import { type Context, Hono } from 'hono'
import { secureHeaders } from 'hono/secure-headers'
import type { Logger } from 'pino'
import type { KubeObject } from '../../kube/object.ts'
import type { DeadLetter } from '../../notify/dead-letters.ts'
import type { Runtime } from '../../runtime.ts'
import { type RunningServer, serveOn } from '../listener.ts'
import { createAssets } from './assets.ts'
import { isKnownHost } from './hosts.ts'
import { document } from './layout.ts'
import { listModel, listQuery } from './list.ts'
import { listHead, listSections } from './list-page.ts'
import { html, join, type Markup, nothing } from './markup.ts'
import { absent } from './parts.ts'
import { rolloutSections } from './rollout-page.ts'
import { createStreams, type Rendering } from './stream.ts'
import { type PageInput, pageModel } from './view.ts'

/** Where the page reads what it shows: memory only, never the network. */
export interface PageSource {
  rollouts(): readonly KubeObject[]
  /** Undefined when there is no such Rollout. */
  rollout(namespace: string, name: string): PageInput | undefined
  /** Messages to people that were given up, newest first. */
  undelivered(): readonly DeadLetter[]
  /** Another replica leads. */
  standsBy(): boolean
}

export interface PageConfig {
  /** `host:port`. */
  listen: string
  /** Names by which this page may be called besides addresses and localhost. */
  hosts: readonly string[]
  source: PageSource
  runtime: Runtime
  log: Logger
  /** Browsers that may watch at the same time. Default 100. */
  mostWatchers?: number
}

export interface Page extends RunningServer {
  /** Something that the page shows has changed. */
  changed(): void
}

/** What the page may do in a browser: load its own style and script, and listen to its own server. */
const policy = {
  defaultSrc: ["'none'"],
  scriptSrc: ["'self'"],
  styleSrc: ["'self'"],
  connectSrc: ["'self'"],
  imgSrc: ["'self'", 'data:'],
  baseUri: ["'none'"],
  formAction: ["'none'"],
  frameAncestors: ["'none'"],
}

/**
 * The web page: read only, GET only, rendered here; browsers with a script are kept up to date by server-sent events.
 * @throws {SluiceError} when the address cannot be used.
 */
export async function createPage(config: PageConfig): Promise<Page> {
  const { source, runtime, log, hosts, mostWatchers } = config
  const streams = createStreams({
    runtime,
    render: (place) => render(source, place, runtime.now()),
    onError: (error) => log.error({ err: error }, 'the page could not be drawn'),
    ...(mostWatchers === undefined ? {} : { most: mostWatchers }),
  })
  const assets = createAssets()
  const app = new Hono()

  app.use(
    secureHeaders({
      contentSecurityPolicy: policy,
      crossOriginResourcePolicy: 'same-origin',
      crossOriginOpenerPolicy: 'same-origin',
      referrerPolicy: 'no-referrer',
      xFrameOptions: 'DENY',
      strictTransportSecurity: false,
    }),
  )
  app.use(async (c, next) => {
    if (!isKnownHost(c.req.header('host'), hosts)) {
      return c.text('This page is not known by that name. Name it in SLUICE_PAGE_HOSTS, or use localhost.\n', 421)
    }
    if (c.req.method !== 'GET' && c.req.method !== 'HEAD') {
      return c.text('This page only shows. Type the command it names.\n', 405, { allow: 'GET, HEAD' })
    }
    await next()
    if (!c.res.headers.has('cache-control')) c.header('cache-control', 'no-store')
    return undefined
  })

  app.get('/', (c) => page(c, placeOf(c)))
  app.get('/rollouts/:namespace/:name', (c) => (isPlace(placeOf(c)) ? page(c, placeOf(c)) : c.notFound()))
  app.get('/assets/:name', async (c) => {
    const asset = await assets(c.req.param('name'))
    if (!asset) return c.notFound()
    const headers = { etag: asset.etag, 'cache-control': 'no-cache', 'content-type': asset.type }
    if (c.req.header('if-none-match') === asset.etag) return c.body(null, 304, headers)
    return c.body(asset.body, 200, headers)
  })
  app.get('/events', (c) => {
    // Other sites cannot read this, but they could use up the places of those who may.
    const from = c.req.header('sec-fetch-site')
    if (from !== undefined && from !== 'same-origin' && from !== 'none') return c.text('only for this page\n', 403)
    if (c.req.method === 'HEAD') return c.body(null, 200)
    const place = c.req.query('place') ?? '/'
    if (!isPlace(place)) return c.text(`there is nothing at ${place.slice(0, 200)}\n`, 404)
    const stream = streams.open(place)
    if (!stream) return c.text('too many browsers watch; load the page again later\n', 503, { 'retry-after': '10' })
    return c.body(stream, 200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
      // It would hold up the end of the server once the stream is over.
      connection: 'close',
    })
  })
  app.notFound((c) => c.html(shell(nothingHere(c.req.path), '/', c.req.path), 404))
  app.onError((error, c) => {
    log.error({ err: error, path: c.req.path }, 'the page could not be drawn')
    return c.text('internal error; the log of the controller says more\n', 500)
  })

  async function page(c: Context, place: string): Promise<Response> {
    const drawn = draw(source, place, runtime.now())
    const body = html`${drawn.head}${join([...drawn.sections.values()])}`
    return c.html(shell(html`<div class="${drawn.kind}">${body}</div>`, place, drawn.title, drawn.crumb), drawn.status)
  }

  function shell(body: Markup, place: string, title: string, crumb?: string): Markup {
    const standby = source.standsBy()
    return document({ title, place, body, now: runtime.now(), standby, ...(crumb === undefined ? {} : { crumb }) })
  }

  const server = await serveOn(app, { listen: config.listen, runtime, graceMs: 1_000, onStop: () => streams.stop() })
  return { ...server, changed: () => streams.poke() }
}

interface Drawn {
  kind: 'rollout' | 'all'
  status: 200 | 404
  title: string
  crumb?: string
  head: Markup
  sections: Map<string, Markup>
}

function draw(source: PageSource, place: string, now: number): Drawn {
  const { pathname, searchParams } = new URL(place, 'http://localhost')
  const named = rolloutIn(pathname)
  if (!named) {
    const query = listQuery(searchParams)
    const sections = listSections(listModel(source.rollouts(), query), source.undelivered())
    return { kind: 'all', status: 200, title: 'Rollouts · Sluice', head: listHead(query), sections }
  }
  const key = `${named.namespace}/${named.name}`
  const input = source.rollout(named.namespace, named.name)
  if (!input) {
    const ids = ['ask', 'way', 'do', 'weights', 'slis', 'git', 'past', 'lost']
    const gone = html`<section id="head" class="head faint" aria-label="Now"><h1>${key}</h1><p class="message">There is no Rollout of this name. If it is declared, it appears here by itself.</p></section>`
    const sections = new Map<string, Markup>([['head', gone], ...ids.map((id) => [id, absent(id)] as const)])
    return { kind: 'rollout', status: 404, title: `${key} · Sluice`, crumb: key, head: nothing, sections }
  }
  const view = pageModel(input, now)
  const title = `${view.weight > 0 ? `${Math.round(view.weight)} % · ` : ''}${view.phase} · ${key}`
  return { kind: 'rollout', status: 200, title, crumb: key, head: nothing, sections: rolloutSections(view) }
}

async function render(source: PageSource, place: string, now: number): Promise<Rendering> {
  const { title, sections } = draw(source, place, now)
  const texts = await Promise.all([...sections].map(async ([id, markup]) => [id, String(await markup)] as const))
  return { title, sections: new Map(texts) }
}

function nothingHere(path: string): Markup {
  return html`<section class="head faint"><h1>Nothing here</h1><p class="message">There is nothing at ${path}. <a href="/">All rollouts</a></p></section>`
}

/** Path and query of a request, as the script is to ask for it again. */
function placeOf(c: Context): string {
  const { pathname, search } = new URL(c.req.url)
  return pathname + search
}

function isPlace(place: string): boolean {
  if (place.length > 1_000 || !place.startsWith('/') || place.startsWith('//')) return false
  const base = 'http://localhost'
  if (!URL.canParse(place, base)) return false
  const { origin, pathname } = new URL(place, base)
  return origin === base && (pathname === '/' || rolloutIn(pathname) !== undefined)
}

function rolloutIn(pathname: string): { namespace: string; name: string } | undefined {
  const match = /^\/rollouts\/([a-z0-9][a-z0-9-]{0,62})\/([a-z0-9][a-z0-9.-]{0,252})$/.exec(pathname)
  return match?.[1] && match[2] ? { namespace: match[1], name: match[2] } : undefined
}
