import type { Agent, IncomingMessage } from 'node:http'
import type { Runtime } from '../../runtime.ts'
import type { Handler } from '../cluster/kubelet/app.ts'
import type { Address } from '../cluster/kubelet/listener.ts'
import { attempt } from './attempt.ts'
import type { ClientProxies } from './client-proxies.ts'
import { beginExchange, type Exchange } from './exchange.ts'
import { type ForwardParts, forward } from './forward.ts'
import { PEER_HEADER, passOn } from './headers.ts'
import type { RequestView } from './match.ts'
import { SOURCE_HEADER } from './peer.ts'
import type { Random } from './random.ts'
import { type CompiledRoute, findRoute, type RouteAction } from './route.ts'
import type { Entry, RoutingTable } from './routing-table.ts'
import {
  createUpstreamState,
  type Endpoint,
  forgetHosts,
  pickEndpoint,
  type Upstream,
  type UpstreamState,
} from './upstream.ts'
import type { Redirect } from './virtual-service.ts'
import { chooseWeighted } from './weights.ts'

export interface ProxyOptions {
  runtime: Runtime
  clients: ClientProxies
  table(): RoutingTable
  agent: Agent
  /** Draws for weights and faults, apart from those for balancing, so that a split can be repeated. */
  splitRandom: Random
  balanceRandom: Random
  addressOf(endpoint: Endpoint): Address
}

type ForwardAction = Extract<RouteAction, { kind: 'forward' }>

/** The largest request body that is taken, in bytes; it is kept for retries and mirrors. */
const MAX_BODY = 8 << 20

/** Answers each request the way the client workload's own proxy would: by host, route, weight, fault, retry and timeout. */
export function createProxy(options: ProxyOptions): Handler {
  const { runtime, clients, splitRandom } = options
  const monotonic = () => runtime.monotonic()
  // By destination; they outlive the routing tables, as a proxy's connections and counts do.
  const states = new Map<string, UpstreamState>()
  const seen = new WeakSet<Upstream>()
  const parts: ForwardParts = {
    agent: options.agent,
    random: options.balanceRandom,
    monotonic,
    addressOf: options.addressOf,
  }

  return (request, response) => {
    const proxy = clients.of(request.headers[SOURCE_HEADER])
    const exchange = beginExchange(request, response, proxy, monotonic)
    handle(exchange).catch((error: unknown) => {
      if (!exchange.over.aborted) exchange.reply(500, `the sandbox's proxy failed: ${String(error)}\n`)
    })
  }

  async function handle(exchange: Exchange): Promise<void> {
    const { request, proxy } = exchange
    const authority = request.headers.host ?? ''
    const entry = options.table().resolve(authority, proxy.client.namespace, proxy.gateway)
    if (!entry)
      return notFound(exchange, `no Service or VirtualService answers to ${authority || 'a request without Host'}`)
    const view = viewOf(exchange, entry, authority)
    const route = findRoute(entry.routes, view)
    if (!route) return notFound(exchange, `no route of ${authority} matches ${view.method} ${view.path}`)
    if (route.action.kind === 'redirect') return redirect(exchange, route.action.redirect, view)
    if (route.action.kind === 'respond') {
      return exchange.reply(route.action.status, route.action.body, passOn({}, 'response', [route.headers]))
    }
    await send(exchange, entry, route, route.action, view)
  }

  async function send(
    exchange: Exchange,
    entry: Entry,
    route: CompiledRoute,
    action: ForwardAction,
    view: RequestView,
  ): Promise<void> {
    const chosen = chooseWeighted(action.targets, splitRandom())
    const upstream = chosen && options.table().upstream(chosen.target, entry.port)
    if (!chosen || !upstream) {
      exchange.flag('NC')
      return exchange.reply(503, '')
    }
    exchange.towards(upstream.service)
    if (await isAborted(exchange, route)) return
    const body = await readBody(exchange.request)
    if (body === 'too large') return exchange.reply(413, 'Payload Too Large')
    if (exchange.over.aborted) return
    const search = exchange.request.url?.slice(view.path.length) ?? ''
    const path = action.rewritePath(view.path) + search
    const authority = action.rewriteAuthority ?? view.authority
    for (const mirror of action.mirrors) {
      if (splitRandom() * 100 >= mirror.percent) continue
      const shadow = options.table().upstream(mirror.target, entry.port)
      if (shadow) sendMirror(exchange, shadow, path, `${authority}-shadow`, body)
    }
    await forward(parts, {
      exchange,
      upstream,
      state: stateOf(upstream),
      retry: action.retry,
      timeoutMs: action.timeoutMs,
      path,
      authority,
      body,
      manipulations: [route.headers, chosen.headers],
    })
  }

  /** Delays and aborts as the route's fault says; true when that answered the request. */
  async function isAborted(exchange: Exchange, { fault }: CompiledRoute): Promise<boolean> {
    if (!fault) return false
    if (fault.delayMs > 0 && splitRandom() * 100 < fault.delayPercent) {
      exchange.flag('DI')
      await runtime.sleep(fault.delayMs, exchange.over).catch(() => undefined)
      if (exchange.over.aborted) return true
    }
    if (splitRandom() * 100 >= fault.abortPercent) return false
    exchange.flag('FI')
    exchange.reply(fault.abortStatus, 'fault filter abort')
    return true
  }

  /** A mirrored request is nobody's answer: it is sent, and forgotten; only the sidecar it reaches counts it. */
  function sendMirror(exchange: Exchange, upstream: Upstream, path: string, authority: string, body?: Buffer): void {
    const endpoint = pickEndpoint(upstream, stateOf(upstream), new Set(), options.balanceRandom, monotonic())
    if (!endpoint) return
    const sent = attempt({
      agent: options.agent,
      address: options.addressOf(endpoint),
      method: exchange.request.method ?? 'GET',
      path,
      headers: {
        ...passOn({ ...exchange.request.headers, host: authority }, 'request', []),
        [PEER_HEADER]: `${exchange.proxy.id}|${upstream.service.host}`,
        ...(body === undefined ? {} : { 'content-length': body.length }),
      },
      body,
      timeoutMs: 15_000,
      signal: new AbortController().signal,
    })
    sent.then((result) => {
      if (result.kind !== 'response') return
      result.response.on('error', () => undefined)
      result.response.resume()
    })
  }

  function stateOf(upstream: Upstream): UpstreamState {
    const state = states.get(upstream.key) ?? createUpstreamState()
    states.set(upstream.key, state)
    if (!seen.has(upstream)) {
      seen.add(upstream)
      forgetHosts(state, upstream)
    }
    return state
  }
}

function viewOf(exchange: Exchange, entry: Entry, authority: string): RequestView {
  const { request, proxy } = exchange
  const url = request.url ?? '/'
  const mark = url.indexOf('?')
  return {
    method: request.method ?? 'GET',
    path: mark === -1 ? url : url.slice(0, mark),
    query: new URLSearchParams(mark === -1 ? '' : url.slice(mark + 1)),
    authority,
    scheme: 'http',
    headers: request.headers,
    port: entry.port,
    gateway: entry.gateway,
    sourceLabels: proxy.labels,
    sourceNamespace: proxy.client.namespace,
  }
}

function notFound(exchange: Exchange, message: string): void {
  exchange.flag('NR')
  exchange.reply(404, `${message}\n`)
}

function redirect(exchange: Exchange, rule: Redirect, view: RequestView): void {
  const authority = rule.authority ?? view.authority
  const port = rule.port === undefined ? '' : `:${rule.port}`
  const search = view.query.size > 0 ? `?${view.query}` : ''
  const location = `${rule.scheme ?? view.scheme}://${authority}${port}${rule.uri ?? view.path}${search}`
  exchange.reply(rule.redirectCode ?? 301, '', { location })
}

async function readBody(request: IncomingMessage): Promise<Buffer | undefined | 'too large'> {
  const { 'content-length': length, 'transfer-encoding': encoding } = request.headers
  if (encoding === undefined && (length === undefined || length === '0')) return undefined
  const chunks: Buffer[] = []
  let size = 0
  try {
    for await (const chunk of request) {
      chunks.push(chunk)
      size += chunk.length
      if (size > MAX_BODY) return 'too large'
    }
  } catch {
    // The client went away while it was sending: the exchange is over, and says so.
  }
  return Buffer.concat(chunks)
}
