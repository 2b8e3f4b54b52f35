import { request } from 'node:http'
import pino from 'pino'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createChronicle } from '../../../src/controller/chronicle.ts'
import type { KubeObject } from '../../../src/kube/object.ts'
import type { DeadLetter } from '../../../src/notify/dead-letters.ts'
import { systemRuntime as runtime } from '../../../src/runtime.ts'
import { isKnownHost } from '../../../src/server/page/hosts.ts'
import { createPage, type Page, type PageSource } from '../../../src/server/page/server.ts'
import type { PageInput } from '../../../src/server/page/view.ts'
import { findChromium, openBrowser, watchedPage } from './browser.ts'
import { inFlight, inputOf, iso, NOW, objectOf } from './fixtures.ts'

const evil = `"'><img src=x onerror="window.hurt=1"><script>window.hurt=2</script>&lt;{{7*7}}\`</style></title>`

const letter: DeadLetter = {
  at: iso(0),
  rollout: evil,
  topic: 'asked' as never,
  message: evil,
  place: evil,
  why: evil,
  attempts: 3,
}

function hostile(): PageInput {
  const chronicle = createChronicle()
  const status = inFlight({
    phase: evil as never,
    message: evil,
    author: evil,
    stable: { revision: evil, name: evil, hash: 'h', format: 1, image: evil, workloads: [] },
    canary: { revision: evil, name: evil, hash: 'h', format: 1, image: evil, workloads: [] },
    analysis: [
      { name: evil, good: 9, bad: 4, objective: evil, observed: evil, message: evil, verdict: 'Error', evidence: 1 },
    ],
    git: {
      pending: [{ op: 'o', kind: 'step', subject: evil, reason: evil, trailers: {}, at: iso(0) }],
      message: evil,
      lastCommit: 'abc',
    },
    knownBad: [{ revision: evil, name: evil, hash: 'h', reason: evil, message: evil, at: iso(0) }],
    history: [{ revision: evil, result: 'RolledBack', reason: evil, message: evil, at: iso(0) }],
    lastRequest: { id: '1', verb: evil, by: evil, result: 'Done', message: evil, at: iso(0) },
    step: { index: 1, weight: 10, since: iso(0), approvedBy: [evil] },
    paused: { reason: 'Requested', message: evil, at: iso(0) },
  })
  chronicle.note('shop/app', { before: {}, after: status, slis: [], now: NOW })
  const operation = {
    commit: evil,
    decidedAt: NOW,
    committedAt: NOW,
    author: evil,
    subject: evil,
    rollout: 'shop/app',
    op: 'o',
    evidence: [evil],
    override: [evil],
    approvedBy: [evil],
    requestedBy: [evil],
  }
  return inputOf(status, {
    course: chronicle.of('shop/app'),
    operations: [operation],
    undelivered: [letter],
    dependencies: [{ key: evil, phase: evil }],
  })
}

describe('the page over HTTP', () => {
  let page: Page
  let objects: KubeObject[] = []
  let input: PageInput | undefined
  let standsBy = false
  let letters: DeadLetter[] = []
  const source: PageSource = {
    rollouts: () => objects,
    undelivered: () => letters,
    rollout: (namespace, name) => (namespace === 'shop' && name === 'app' ? input : undefined),
    standsBy: () => standsBy,
  }
  beforeAll(async () => {
    objects = [objectOf('shop', 'app', inFlight())]
    input = inputOf(inFlight())
    page = await createPage({
      listen: '127.0.0.1:0',
      hosts: ['sluice.example.com'],
      source,
      runtime,
      log: pino({ level: 'silent' }),
      mostWatchers: 2,
    })
  })
  afterAll(() => page.stop())

  const get = (path: string, init: RequestInit = {}) => fetch(page.url + path, init)

  /** With a Host that fetch would not send. */
  const asHost = (host: string) =>
    new Promise<number>((resolve, reject) => {
      const { hostname, port } = new URL(page.url)
      request({ hostname, port, path: '/', headers: { host } }, (response) => {
        response.resume()
        resolve(response.statusCode ?? 0)
      })
        .on('error', reject)
        .end()
    })

  /** The events of a stream, as they come. */
  async function* eventsOf(place: string, signal: AbortSignal): AsyncGenerator<Record<string, unknown>> {
    const response = await get(`/events?place=${encodeURIComponent(place)}`, { signal })
    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'text/event-stream; charset=utf-8'])
    let text = ''
    const decoder = new TextDecoder()
    for await (const chunk of response.body ?? []) {
      text += decoder.decode(chunk, { stream: true })
      for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
        const block = text.slice(0, end)
        text = text.slice(end + 2)
        const data = /^data: (.*)$/m.exec(block)?.[1]
        if (data !== undefined) yield JSON.parse(data)
      }
    }
  }

  test('shows the list and one Rollout, and says where there is nothing', async () => {
    expect(await (await get('/')).text()).toContain('href="/rollouts/shop/app"')
    const one = await get('/rollouts/shop/app')
    expect([one.status, await one.text()]).toEqual([200, expect.stringContaining('holds at 10% for 1m')])
    expect((await get('/rollouts/shop/other')).status).toBe(404)
    expect((await get('/rollouts/..%2F..%2Fetc/passwd')).status).toBe(404)
    expect((await get('/assets/../server.ts')).status).toBe(404)
    expect((await get('/nothing')).status).toBe(404)
  })

  test('allows scripts and styles of its own only, in no frame, and is kept by nobody', async () => {
    const { headers } = await get('/')
    const policy = headers.get('content-security-policy') ?? ''
    expect(policy.split(/; ?/).sort()).toEqual([
      "base-uri 'none'",
      "connect-src 'self'",
      "default-src 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'",
      "img-src 'self' data:",
      "script-src 'self'",
      "style-src 'self'",
    ])
    expect(headers.get('x-content-type-options')).toBe('nosniff')
    expect(headers.get('referrer-policy')).toBe('no-referrer')
    expect(headers.get('cache-control')).toBe('no-store')
    const body = await (await get('/rollouts/shop/app')).text()
    expect(body).not.toMatch(/<script(?! src="\/assets\/)|\sstyle=|\son[a-z]+=|https?:\/\/(?!localhost)/)
  })

  test('only reads', async () => {
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH']) {
      const answer = await get('/rollouts/shop/app', { method })
      expect([method, answer.status, answer.headers.get('allow')]).toEqual([method, 405, 'GET, HEAD'])
    }
  })

  test('answers to its own names only, whatever a rebound DNS name points at', async () => {
    expect(await asHost('localhost:8081')).toBe(200)
    expect(await asHost('sluice.example.com')).toBe(200)
    expect(await asHost('evil.example.com:8081')).toBe(421)
    expect(isKnownHost(undefined, [])).toBe(false)
    expect(['10.1.2.3:80', '[::1]:8081', 'LOCALHOST', 'a.localhost'].map((host) => isKnownHost(host, []))).toEqual([
      true,
      true,
      true,
      true,
    ])
    expect(['10.1.2.3.evil.com', 'localhost.evil.com', '[evil]', 'a b', ''].some((host) => isKnownHost(host, []))).toBe(
      false,
    )
  })

  test('a style that has not changed is not sent again', async () => {
    const first = await get('/assets/page.css')
    const etag = first.headers.get('etag') ?? ''
    expect(etag).toMatch(/^"[\w-]{22}"$/)
    const again = await get('/assets/page.css', { headers: { 'if-none-match': etag } })
    expect([again.status, await again.text()]).toEqual([304, ''])
    expect((await get('/assets/page.js')).headers.get('content-type')).toContain('text/javascript')
  })

  test('sends everything at first, then only what has changed', async () => {
    const ending = new AbortController()
    const events = eventsOf('/rollouts/shop/app', ending.signal)
    const first = (await events.next()).value as { sections: Record<string, string>; title: string }
    expect(Object.keys(first.sections)).toEqual(expect.arrayContaining(['head', 'way', 'do']))
    expect(first.title).toBe('10 % · Progressing · shop/app')
    input = inputOf(inFlight({ message: 'something new' }))
    page.changed()
    const second = (await events.next()).value as { sections: Record<string, string> }
    expect(Object.keys(second.sections)).toEqual(['head'])
    expect(second.sections.head).toContain('something new')
    input = undefined
    page.changed()
    const third = (await events.next()).value as { sections: Record<string, string> }
    expect(third.sections.head).toContain('There is no Rollout of this name')
    input = inputOf(inFlight())
    ending.abort()
    await events.next().catch(() => undefined)
  })

  test('lets only so many watch, and none from another site', async () => {
    const ending = new AbortController()
    const open = () => get('/events?place=/', { signal: ending.signal })
    await expect
      .poll(async () => [(await open()).status, (await open()).status, (await open()).status])
      .toEqual([200, 200, 503])
    ending.abort()
    const foreign = await get('/events?place=/', { headers: { 'sec-fetch-site': 'cross-site' } })
    expect(foreign.status).toBe(403)
    expect((await get('/events?place=//evil.example.com/')).status).toBe(404)
    expect((await get('/events?place=/assets/page.css')).status).toBe(404)
  })

  test('a replica that stands by says so', async () => {
    standsBy = true
    expect(await (await get('/')).text()).toContain('This replica stands by')
    standsBy = false
  })

  test('what comes from the cluster or from Git is text, whatever it looks like', async () => {
    input = hostile()
    letters = [letter]
    objects = [objectOf('shop', 'app', { phase: evil as never, message: evil, canary: { revision: evil } as never })]
    for (const path of ['/', '/rollouts/shop/app', `/?q=${encodeURIComponent(evil)}`, `/${encodeURIComponent(evil)}`]) {
      const body = await (await get(path)).text()
      expect(body).not.toMatch(/<img|<script>|<\/style>|onerror="/)
      expect(body).toMatch(/&lt;img src/)
    }
  })

  test.skipIf(findChromium() === undefined)('and in a browser it does nothing', async () => {
    input = hostile()
    const browser = await openBrowser(findChromium() ?? '')
    try {
      const watched = await watchedPage(browser)
      for (const path of ['/rollouts/shop/app', `/?q=${encodeURIComponent(evil)}`]) {
        await watched.page.goto(page.url + path)
        await watched.page.locator('#live[data-state="on"]').waitFor()
      }
      await watched.page.goto(`${page.url}/rollouts/shop/app`)
      await watched.page.locator('.message', { hasText: '<img src=x onerror=' }).waitFor()
      expect(await watched.page.evaluate('window.hurt')).toBeUndefined()
      expect(await watched.page.locator('img').count()).toBe(0)
      expect(watched.complaints).toEqual([])
      expect([...watched.hosts]).toEqual([new URL(page.url).host])
    } finally {
      await browser.close()
    }
  })
})

test('ends while somebody watches, and ends their streams', async () => {
  const page = await createPage({
    listen: '127.0.0.1:0',
    hosts: [],
    source: { rollouts: () => [], rollout: () => undefined, undelivered: () => [], standsBy: () => false },
    runtime,
    log: pino({ level: 'silent' }),
  })
  const response = await fetch(`${page.url}/events?place=/`)
  const body = response.text()
  await page.stop()
  expect(await body).toContain('event: sections')
})
