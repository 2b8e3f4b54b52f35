import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { TrafficPolicy } from '../../../src/sandbox/mesh/destination-rule.ts'
import { UNKNOWN_PEER } from '../../../src/sandbox/mesh/istio-metrics.ts'
import { randomStream } from '../../../src/sandbox/mesh/random.ts'
import {
  beginRequest,
  createUpstreamState,
  pickEndpoint,
  recordOutcome,
  type Upstream,
} from '../../../src/sandbox/mesh/upstream.ts'

function upstream(pods: readonly string[], policy: TrafficPolicy = {}): Upstream {
  const endpoints = pods.map((pod) => ({ pod, ip: '127.64.0.1', port: 8080, peer: UNKNOWN_PEER }))
  return { key: 'x', service: { host: 'x', name: 'x', namespace: 'x' }, endpoints, policy }
}

const none = new Set<string>()

describe('a load balancer', () => {
  test('takes turns when told ROUND_ROBIN', () => {
    const target = upstream(['a', 'b', 'c'], { loadBalancer: { simple: 'ROUND_ROBIN' } })
    const state = createUpstreamState()
    const picks = Array.from({ length: 6 }, () => pickEndpoint(target, state, none, () => 0, 0)?.pod)
    expect(picks).toEqual(['a', 'b', 'c', 'a', 'b', 'c'])
  })

  test.each(['RANDOM', 'LEAST_REQUEST', undefined])('spreads over all pods with %s', (simple) => {
    const target = upstream(['a', 'b', 'c', 'd'], simple ? { loadBalancer: { simple } } : {})
    const state = createUpstreamState()
    const random = randomStream(4, 'balance')
    const counts = new Map<string, number>()
    for (let n = 0; n < 4000; n++) {
      const pod = pickEndpoint(target, state, none, random, 0)?.pod ?? 'none'
      counts.set(pod, (counts.get(pod) ?? 0) + 1)
    }
    // 1000 each on average, deviation 27.
    for (const pod of ['a', 'b', 'c', 'd']) expect(Math.abs((counts.get(pod) ?? 0) - 1000)).toBeLessThan(200)
  })

  test('prefers the pod with fewer requests under way, unless told RANDOM', () => {
    const target = upstream(['busy', 'free'])
    const state = createUpstreamState()
    const [busy] = target.endpoints
    for (let n = 0; n < 5; n++) beginRequest(state, busy!)
    const random = randomStream(4, 'balance')
    const picks = Array.from({ length: 400 }, () => pickEndpoint(target, state, none, random, 0)?.pod)
    const share = picks.filter((pod) => pod === 'free').length / 400
    // Two draws: the busy pod is taken only when both fall on it, one time in four.
    expect(share).toBeGreaterThan(0.65)
    expect(share).toBeLessThan(0.85)
  })

  test('leaves out what was tried while something else is left', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.string({ minLength: 1 }), { minLength: 1, maxLength: 5 }),
        fc.nat(),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (pods, skip, draw) => {
          const tried = new Set(pods.slice(0, skip % (pods.length + 1)))
          const pick = pickEndpoint(upstream(pods), createUpstreamState(), tried, () => draw, 0)
          expect(pick).toBeDefined()
          if (tried.size < pods.length) expect(tried).not.toContain(pick?.pod)
        },
      ),
    )
  })
})

describe('outlier detection', () => {
  const policy = { outlierDetection: { consecutive5xxErrors: 2, baseEjectionTime: '10s', maxEjectionPercent: 50 } }
  const fail = (
    target: Upstream,
    state: ReturnType<typeof createUpstreamState>,
    pod: string,
    nowMs = 0,
    status = 500,
  ) => {
    const endpoint = target.endpoints.find((each) => each.pod === pod)
    recordOutcome(target, state, endpoint!, status, nowMs)
  }
  const left = (target: Upstream, state: ReturnType<typeof createUpstreamState>, nowMs: number) => {
    const random = randomStream(1, 'left')
    return new Set(Array.from({ length: 100 }, () => pickEndpoint(target, state, none, random, nowMs)?.pod))
  }

  test('ejects after failures in a row, for longer each time, and lets the host come back', () => {
    const target = upstream(['a', 'b'], policy)
    const state = createUpstreamState()
    fail(target, state, 'a')
    fail(target, state, 'a', 0, 200)
    fail(target, state, 'a')
    expect(left(target, state, 0)).toEqual(new Set(['a', 'b']))
    fail(target, state, 'a')
    expect(left(target, state, 9999)).toEqual(new Set(['b']))
    expect(left(target, state, 10_000)).toEqual(new Set(['a', 'b']))
    fail(target, state, 'a', 10_000)
    fail(target, state, 'a', 10_000)
    expect(left(target, state, 29_999)).toEqual(new Set(['b']))
    expect(left(target, state, 30_000)).toEqual(new Set(['a', 'b']))
  })

  test('never ejects more than maxEjectionPercent', () => {
    const target = upstream(['a', 'b', 'c', 'd'], policy)
    const state = createUpstreamState()
    for (const pod of ['a', 'b', 'c', 'd']) for (let n = 0; n < 5; n++) fail(target, state, pod)
    expect(left(target, state, 0)).toEqual(new Set(['c', 'd']))
  })
})
