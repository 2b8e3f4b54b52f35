import type { RunningPod, Sidecar } from '../cluster/index.ts'
import { type Listener, listenNear } from '../cluster/kubelet/listener.ts'
import type { ClientProxies } from './client-proxies.ts'
import { isGrpc } from './exchange.ts'
import { PEER_HEADER } from './headers.ts'
import { createIstioMetrics, type Peer, UNKNOWN_PEER } from './istio-metrics.ts'
import { peerOfPod } from './peer.ts'

/** The proxy beside one pod: counts every request that arrives there, and answers for an app that is down. */
export interface PodSidecar {
  /** Where its statistics are read: http://…/stats/prometheus. */
  statsUrl: string
  running: RunningPod
  stop(): Promise<void>
}

/** The port on which an Istio sidecar shows its statistics. */
const STATS_PORT = 15_090

/** Puts a sidecar in front of the pod's app. */
export async function injectSidecar(
  running: RunningPod,
  clients: ClientProxies,
  monotonic: () => number,
): Promise<PodSidecar> {
  const metrics = createIstioMetrics()
  let pod = running.pod()
  let peer = peerOfPod(pod)

  function ownPeer(): Peer {
    if (pod !== running.pod()) {
      pod = running.pod()
      peer = peerOfPod(pod)
    }
    return peer
  }

  const sidecar: Sidecar = (request, response, app) => {
    const startedMs = monotonic()
    const [client = '', host = ''] = String(request.headers[PEER_HEADER] ?? '').split('|')
    delete request.headers[PEER_HEADER]
    let flags = '-'
    const [name = 'unknown', namespace = 'unknown'] = host.split('.')
    response.once('close', () => {
      const answered = response.writableFinished
      metrics.record({
        reporter: 'destination',
        source: clients.byId(client)?.peer ?? UNKNOWN_PEER,
        destination: ownPeer(),
        service: host === '' ? { host: 'unknown', name: 'unknown', namespace: 'unknown' } : { host, name, namespace },
        responseCode: answered ? response.statusCode : 0,
        responseFlags: answered ? flags : 'DC',
        grpcStatus: String(response.getHeader('grpc-status') ?? ''),
        protocol: isGrpc(request) ? 'grpc' : 'http',
        durationMs: monotonic() - startedMs,
      })
    })
    const fail = (flag: string, reason: string) => {
      if (response.headersSent || response.destroyed) return
      flags = flag
      request.resume()
      response.writeHead(503, { 'content-type': 'text/plain', server: 'istio-envoy' })
      response.end(`upstream connect error or disconnect/reset before headers. reset reason: ${reason}`)
    }
    if (!app) return fail('UF', 'connection failure')
    app(request, response, () => fail('UC', 'connection termination'))
  }

  // Before anything is awaited: no request may reach the app uncounted.
  running.server.intercept(sidecar)
  const stats: Listener = await listenNear(running.server.ip, STATS_PORT, (request, response) => {
    const found = request.url === '/stats/prometheus'
    response.writeHead(found ? 200 : 404, { 'content-type': 'text/plain; version=0.0.4' })
    response.end(found ? metrics.render() : 'the statistics are at /stats/prometheus\n')
  })
  return {
    statsUrl: `http://${stats.address.host}:${stats.address.port}/stats/prometheus`,
    running,
    async stop() {
      running.server.intercept(undefined)
      await stats.close()
    },
  }
}
