import { type Agent, request as httpRequest, type IncomingMessage, type OutgoingHttpHeaders } from 'node:http'
import type { Address } from '../cluster/kubelet/listener.ts'

/** How one try at one endpoint ended. */
export type AttemptResult =
  | { kind: 'response'; response: IncomingMessage; abort(): void }
  /** The endpoint could not be reached: nothing arrived there. */
  | { kind: 'refused'; message: string }
  /** The connection broke before an answer. */
  | { kind: 'reset'; message: string }
  | { kind: 'timeout' }
  /** The signal ended it. */
  | { kind: 'aborted' }

export interface AttemptRequest {
  agent: Agent
  address: Address
  method: string
  path: string
  headers: OutgoingHttpHeaders
  body: Buffer | undefined
  timeoutMs: number | undefined
  signal: AbortSignal
}

/** Sends one request to one endpoint and waits for the head of its answer. Never rejects. */
export async function attempt(request: AttemptRequest): Promise<AttemptResult> {
  const first = await send(request)
  // An idle connection that the pod was just closing says nothing about the pod: ask again on a new one.
  return first.kind === 'stale' ? asReset(await send(request)) : first
}

type SendResult = AttemptResult | { kind: 'stale'; message: string }

function asReset(result: SendResult): AttemptResult {
  return result.kind === 'stale' ? { kind: 'reset', message: result.message } : result
}

function send({ agent, address, method, path, headers, body, timeoutMs, signal }: AttemptRequest): Promise<SendResult> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve({ kind: 'aborted' })
    const outgoing = httpRequest({ ...address, agent, method, path, headers, setHost: false })
    let connected = false
    let timer: NodeJS.Timeout | undefined
    const settle = (result: SendResult) => {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
      resolve(result)
    }
    const onAbort = () => {
      settle({ kind: 'aborted' })
      outgoing.destroy()
    }
    signal.addEventListener('abort', onAbort, { once: true })
    if (timeoutMs !== undefined) {
      timer = setTimeout(() => {
        settle({ kind: 'timeout' })
        outgoing.destroy()
      }, timeoutMs)
    }
    outgoing.on('socket', (socket) => {
      if (socket.connecting) socket.once('connect', () => (connected = true))
      else connected = true
    })
    outgoing.once('response', (response) => settle({ kind: 'response', response, abort: () => outgoing.destroy() }))
    outgoing.on('error', (error) => {
      if (!connected) settle({ kind: 'refused', message: error.message })
      else if (outgoing.reusedSocket) settle({ kind: 'stale', message: error.message })
      else settle({ kind: 'reset', message: error.message })
    })
    outgoing.end(body)
  })
}
