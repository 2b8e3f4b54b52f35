import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A scrape target on loopback whose answer a test changes as it goes. */
export interface LiveTarget {
  address: string
  url: string
  /** How often each scraper, by its user agent, has asked. */
  scrapes: Map<string, number>
  body: string
  status: number
  stop(): Promise<void>
}

export async function startLiveTarget(body: string): Promise<LiveTarget> {
  const server = createServer((request, response) => {
    const agent = request.headers['user-agent'] ?? ''
    target.scrapes.set(agent, (target.scrapes.get(agent) ?? 0) + 1)
    response.writeHead(target.status, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' })
    response.end(target.body)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const target: LiveTarget = {
    address: `127.0.0.1:${port}`,
    url: `http://127.0.0.1:${port}/metrics`,
    scrapes: new Map(),
    body,
    status: 200,
    async stop() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
  return target
}
