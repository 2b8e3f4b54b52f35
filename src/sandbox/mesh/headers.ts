import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http'
import { SOURCE_HEADER } from './peer.ts'
import type { HeaderManipulation, HeaderOperations } from './virtual-service.ts'

/** The request header by which the mesh's proxy tells a sidecar whose request it is. */
export const PEER_HEADER = 'x-envoy-peer-metadata-id'

// Headers that belong to one connection, not to the message (RFC 9110, 7.6.1), and those the mesh puts on itself.
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'content-length',
  PEER_HEADER,
  SOURCE_HEADER,
])

/** Headers to pass on: without those of the connection, changed as each manipulation says, in order. */
export function passOn(
  headers: IncomingHttpHeaders,
  side: keyof HeaderManipulation,
  manipulations: readonly (HeaderManipulation | undefined)[],
): OutgoingHttpHeaders {
  const passed: OutgoingHttpHeaders = {}
  for (const name in headers) if (!HOP_BY_HOP.has(name)) passed[name] = headers[name]
  for (const manipulation of manipulations) if (manipulation?.[side]) apply(passed, manipulation[side])
  return passed
}

function apply(headers: OutgoingHttpHeaders, { set, add, remove }: HeaderOperations): void {
  for (const [name, value] of Object.entries(set ?? {})) headers[name.toLowerCase()] = value
  for (const [name, value] of Object.entries(add ?? {})) {
    const key = name.toLowerCase()
    const current = headers[key]
    headers[key] = current === undefined ? value : [current, value].flat().map(String)
  }
  for (const name of remove ?? []) delete headers[name.toLowerCase()]
}
