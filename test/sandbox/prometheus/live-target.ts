import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A scrape target on loopback whose answer a test changes as it goes. */
export interface LiveTarget {
  address: string
  url: string
  scrapes: number
  body: string
  status: number
  stop(): Promise<void>
}

export async function startLiveTarget(body: string): Promise<LiveTarget> {
  const server = createServer((_, response) => {
    target.scrapes++
    response.writeHead(target.status, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' })
    response.end(target.body)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const target: LiveTarget = {
    address: `127.0.0.1:${port}`,
    url: `http://127.0.0.1:${port}/metrics`,
    scrapes: 0,
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
