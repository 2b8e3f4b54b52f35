import { describe, expect, test } from 'vitest'
import { weightEdits, weightsIn } from '../../src/traffic/manifest.ts'
import { namespace, to, traffic, virtualService } from './istio/objects.ts'

const pair = { stable: 'v1', canary: 'v2' }
const at = { namespace }
const spec = {
  http: [
    { name: 'other', route: [to('v1', 100)] },
    { name: 'primary', route: [to('v3', 5), to('v1', 95), to('v2', 0)] },
  ],
}

describe('weightEdits', () => {
  test('names exactly the two scalars', () => {
    expect(weightEdits(virtualService(spec), traffic(['primary']), at, pair, 20)).toEqual({
      ok: true,
      edits: [
        { path: ['spec', 'http', 1, 'route', 1, 'weight'], value: 76, from: 95 },
        { path: ['spec', 'http', 1, 'route', 2, 'weight'], value: 19, from: 0 },
      ],
    })
  })

  test('is empty when the manifest says so already', () => {
    expect(weightEdits(virtualService(spec), traffic(), at, pair, 0)).toEqual({ ok: true, edits: [] })
  })

  test('asks nothing of a pair without points when the canary is to get none', () => {
    const manifest = virtualService({ http: [{ route: [to('v1', 0), to('v2', 0), to('v3', 100)] }] })
    expect(weightEdits(manifest, traffic(), at, pair, 0)).toEqual({ ok: true, edits: [] })
    expect(weightEdits(manifest, traffic(), at, pair, 10)).toMatchObject({ problem: { reason: 'WeightsZero' } })
  })

  test('says when there is no scalar to edit', () => {
    const manifest = virtualService({ http: [{ route: [to('v1', 100), to('v2')] }] })
    expect(weightEdits(manifest, traffic(), at, pair, 10)).toMatchObject({
      edits: [{ from: 100 }, { path: ['spec', 'http', 0, 'route', 1, 'weight'], value: 10, from: undefined }],
    })
  })

  test.each([
    ['RouteMissing', ['gone'], 10],
    ['WeightsTooCoarse', ['coarse'], 10],
    ['DestinationMissing', ['other'], 10],
  ])('refuses with %s', (reason, routes, weight) => {
    const manifest = virtualService({ http: [...spec.http, { name: 'coarse', route: [to('v1', 2), to('v2', 1)] }] })
    expect(weightEdits(manifest, traffic(routes), at, pair, weight)).toMatchObject({ ok: false, problem: { reason } })
  })
})

test('weightsIn reads the points of the pair in every owned route', () => {
  expect(weightsIn(virtualService(spec), traffic(['primary']), at, pair)).toEqual({
    ok: true,
    routes: [{ stable: 95, canary: 0 }],
  })
  expect(weightsIn({}, traffic(['primary']), at, pair)).toMatchObject({ problem: { reason: 'RouteMissing' } })
  expect(weightsIn(virtualService(spec), {}, at, pair)).toMatchObject({ problem: { reason: 'NotYet' } })
})
