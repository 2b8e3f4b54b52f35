import { describe, expect, test } from 'vitest'
import type { RequestView } from '../../../src/sandbox/mesh/match.ts'
import { type CompiledRoute, compileRoutes, findRoute } from '../../../src/sandbox/mesh/route.ts'
import type { HttpMatch, HttpRoute, VirtualService } from '../../../src/sandbox/mesh/virtual-service.ts'

function view(over: Partial<RequestView> & { url?: string } = {}): RequestView {
  const url = new URL(over.url ?? '/', 'http://x')
  return {
    method: 'GET',
    path: url.pathname,
    query: url.searchParams,
    authority: 'checkout',
    scheme: 'http',
    headers: {},
    port: 80,
    gateway: 'mesh',
    sourceLabels: {},
    sourceNamespace: 'shop',
    ...over,
  }
}

function virtualService(http: HttpRoute[], over: { name?: string; hosts?: string[] } = {}): VirtualService {
  return {
    apiVersion: 'networking.istio.io/v1',
    kind: 'VirtualService',
    metadata: { name: over.name ?? 'checkout', namespace: 'shop' },
    spec: { hosts: over.hosts ?? ['checkout'], http },
  }
}

const somewhere: HttpRoute['route'] = [{ destination: { host: 'checkout' } }]
const none = () => undefined

function matches(match: HttpMatch, request: RequestView): boolean {
  const routes = compileRoutes(virtualService([{ match: [match], route: somewhere }]), none)
  return findRoute(routes, request) !== undefined
}

function forward(route: CompiledRoute | undefined) {
  if (route?.action.kind !== 'forward') throw new Error('not a forwarding route')
  return route.action
}

describe('a match', () => {
  test.each<[string, HttpMatch, Parameters<typeof view>[0], boolean]>([
    ['uri exact', { uri: { exact: '/a' } }, { url: '/a?x=1' }, true],
    ['uri exact is the whole path', { uri: { exact: '/a' } }, { url: '/a/b' }, false],
    ['uri prefix is text, not segments', { uri: { prefix: '/a' } }, { url: '/abc' }, true],
    ['uri regex is anchored', { uri: { regex: '/a.' } }, { url: '/abc' }, false],
    ['uri regex', { uri: { regex: '/a.*' } }, { url: '/abc' }, true],
    ['uri case counts', { uri: { exact: '/A' } }, { url: '/a' }, false],
    ['ignoreUriCase', { uri: { prefix: '/A' }, ignoreUriCase: true }, { url: '/a/b' }, true],
    ['RE2 case flag', { uri: { regex: '(?i)/ABC' } }, { url: '/abc' }, true],
    ['header exact', { headers: { 'x-user': { exact: 'dana' } } }, { headers: { 'x-user': 'dana' } }, true],
    [
      'header names have no case',
      { headers: { 'X-User': { exact: 'dana' } } },
      { headers: { 'x-user': 'dana' } },
      true,
    ],
    ['header missing', { headers: { 'x-user': { prefix: '' } } }, {}, false],
    ['header presence', { headers: { 'x-user': {} } }, { headers: { 'x-user': '' } }, true],
    ['withoutHeaders', { withoutHeaders: { 'x-user': {} } }, { headers: { 'x-user': '' } }, false],
    ['method', { method: { exact: 'POST' } }, { method: 'GET' }, false],
    ['authority', { authority: { prefix: 'check' } }, {}, true],
    ['query parameter', { queryParams: { v: { exact: '2' } } }, { url: '/?v=2' }, true],
    ['query parameter missing', { queryParams: { v: { exact: '' } } }, { url: '/?w=2' }, false],
    ['query key without a value', { queryParams: { v: { exact: '' } } }, { url: '/?v' }, true],
    ['port', { port: 8080 }, { port: 80 }, false],
    ['source labels', { sourceLabels: { app: 'web' } }, { sourceLabels: { app: 'web', version: 'v1' } }, true],
    ['source labels differ', { sourceLabels: { app: 'web' } }, { sourceLabels: { app: 'job' } }, false],
    ['source namespace', { sourceNamespace: 'other' }, {}, false],
    ['gateways', { gateways: ['shop/edge'] }, { gateway: 'mesh' }, false],
    ['all conditions must hold', { uri: { prefix: '/' }, method: { exact: 'POST' } }, {}, false],
    ['nothing asked', {}, {}, true],
  ])('%s', (_, match, request, expected) => {
    expect(matches(match, view(request))).toBe(expected)
  })

  test('any entry of the list may hold, and the first route that matches wins', () => {
    const routes = compileRoutes(
      virtualService([
        { name: 'ab', match: [{ uri: { exact: '/a' } }, { uri: { exact: '/b' } }], route: somewhere },
        { name: 'rest', route: somewhere },
        { name: 'shadowed', match: [{ uri: { exact: '/c' } }], route: somewhere },
      ]),
      none,
    )
    const taken = ['/b', '/c', '/a'].map((url) => findRoute(routes, view({ url }))?.name)
    expect(taken).toEqual(['ab', 'rest', 'ab'])
  })
})

describe('a route', () => {
  test.each<[string, HttpRoute, string, string]>([
    ['replaces a prefix', { match: [{ uri: { prefix: '/v1/' } }], rewrite: { uri: '/' } }, '/v1/x', '/x'],
    ['replaces an exact path', { match: [{ uri: { exact: '/a' } }], rewrite: { uri: '/b' } }, '/a', '/b'],
    [
      'replaces the whole path behind a regex',
      { match: [{ uri: { regex: '/a.*' } }], rewrite: { uri: '/b' } },
      '/abc',
      '/b',
    ],
    ['prefixes when nothing is matched', { rewrite: { uri: '/v2/' } }, '/x', '/v2/x'],
    ['leaves the path alone', {}, '/x', '/x'],
    [
      'rewrites by regex with groups',
      { rewrite: { uriRegexRewrite: { match: '/v(\\d+)/(.*)', rewrite: '/\\2/\\1' } } },
      '/v7/x',
      '/x/7',
    ],
  ])('%s', (_, route, path, rewritten) => {
    const routes = compileRoutes(virtualService([{ ...route, route: somewhere }]), none)
    expect(forward(findRoute(routes, view({ path }))).rewritePath(path)).toBe(rewritten)
  })

  test('completes short destination names in the namespace of the VirtualService', () => {
    const [route] = compileRoutes(
      virtualService([
        { route: [{ destination: { host: 'checkout', subset: 'v1', port: { number: 8080 } }, weight: 3 }] },
      ]),
      none,
    )
    expect(forward(route).targets[0]).toMatchObject({
      target: { host: 'checkout.shop.svc.cluster.local', subset: 'v1', port: 8080 },
      weight: 3,
    })
  })

  test('retries twice where the request cannot have been processed, unless it says otherwise', () => {
    const retryOf = (route: HttpRoute) =>
      forward(compileRoutes(virtualService([{ ...route, route: somewhere }]), none)[0]).retry
    expect(retryOf({}).attempts).toBe(2)
    expect(retryOf({ retries: { attempts: 0 } }).attempts).toBe(0)
    const own = retryOf({ retries: { attempts: 3, perTryTimeout: '250ms', retryOn: '5xx, reset' } })
    expect(own).toEqual({ attempts: 3, perTryTimeoutMs: 250, on: new Set(['5xx', 'reset']) })
  })

  test.each<[string, HttpRoute, string]>([
    ['a regex that does not compile', { match: [{ uri: { regex: '(' } }], route: somewhere }, 'uri.regex'],
    ['a duration that is none', { timeout: 'soon', route: somewhere }, 'not a duration: soon'],
    ['no destination at all', {}, 'no route, redirect'],
  ])('is refused by its index and name for %s', (_, route, sentence) => {
    expect(() => compileRoutes(virtualService([{ ...route, name: 'primary' }]), none)).toThrow(
      new RegExp(`spec.http\\[0\\] \\(primary\\): .*${sentence.replaceAll(/[[\]()]/g, '.')}`),
    )
  })
})

describe('a delegate', () => {
  const delegate = virtualService(
    [
      { name: 'beta', match: [{ headers: { beta: {} } }], route: [{ destination: { host: 'beta' } }] },
      { name: 'all', route: [{ destination: { host: 'all' } }], timeout: '1s' },
    ],
    { name: 'inner', hosts: [] },
  )
  const root = virtualService([
    { match: [{ uri: { prefix: '/api' } }], delegate: { name: 'inner' }, timeout: '5s' },
    { name: 'rest', route: somewhere },
  ])

  test('adds its conditions to the root route and inherits what it leaves open', () => {
    const routes = compileRoutes(root, () => delegate)
    expect(findRoute(routes, view({ url: '/api', headers: { beta: '1' } }))?.name).toBe('beta')
    expect(findRoute(routes, view({ url: '/api' }))?.name).toBe('all')
    expect(findRoute(routes, view({ url: '/other', headers: { beta: '1' } }))?.name).toBe('rest')
    expect(forward(findRoute(routes, view({ url: '/api', headers: { beta: '1' } }))).timeoutMs).toBe(5000)
    expect(forward(findRoute(routes, view({ url: '/api' }))).timeoutMs).toBe(1000)
  })

  test('that does not exist lets requests fall through', () => {
    expect(findRoute(compileRoutes(root, none), view({ url: '/api' }))?.name).toBe('rest')
  })
})
