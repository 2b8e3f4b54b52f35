import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Runtime } from '../../../runtime.ts'
import type { Random } from '../../mesh/random.ts'
import type { Behaviour } from './behaviour.ts'

/** Answers one HTTP request, or cuts it off: by `cut` where something stands in front of the app, else by its connection. */
export type Handler = (request: IncomingMessage, response: ServerResponse, cut?: () => void) => void

/** What one running container needs to answer. */
export interface AppOptions {
  podName: string
  behaviour: () => Behaviour
  random: Random
  runtime: Runtime
  /** Aborted when the container ends: nothing is answered after that. */
  ended: AbortSignal
}

/**
 * The application inside a pod: answers every path with its version and pod name (also in the headers `x-version` and `x-pod`),
 * as well or badly as its behaviour says.
 */
export function createApp({ podName, behaviour, random, runtime, ended }: AppOptions): Handler {
  const startedMs = runtime.monotonic()
  return (request, response, cut = () => request.socket.destroy()) => {
    const how = behaviour()
    const degraded = runtime.monotonic() - startedMs >= how.degradeAfterMs
    // One draw per trait, always, so that changing one rate does not shift the others.
    const [hang, reset, slow, error] = [random(), random(), random(), random()]
    request.resume()
    if (degraded && hang < how.hangRate) return
    const delayMs = degraded && slow < how.slowRate ? how.slowMs : latencyOf(how, random)
    const failed = degraded && error < how.errorRate
    const answer = () => {
      if (response.destroyed) return
      if (degraded && reset < how.resetRate) {
        cut()
        return
      }
      const body = `{"version":"${how.version}","pod":"${podName}"}\n`
      response.writeHead(failed ? how.errorStatus : 200, {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
        'x-version': how.version,
        'x-pod': podName,
      })
      response.end(request.method === 'HEAD' ? undefined : body)
    }
    if (delayMs < 1) answer()
    else runtime.sleep(delayMs, ended).then(answer, () => undefined)
  }
}

// The 99th percentile of the standard normal distribution.
const Z99 = 2.3263

function latencyOf({ latencyMs, latencyP99Ms }: Behaviour, random: Random): number {
  if (latencyMs <= 0 || latencyP99Ms <= latencyMs) return latencyMs
  const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
  return latencyMs * Math.exp((Math.log(latencyP99Ms / latencyMs) / Z99) * normal)
}
