import { afterAll, beforeAll, describe, expect, test } from 'vitest'

/** A mesh with two versions, v1 and v2, of one Service, as subsets of its DestinationRule. */
export interface ConnectedMesh {
  /** Sends one request through the mesh. */
  ask(request?: {
    path?: string
    headers?: Record<string, string>
  }): Promise<{ status: number; version: string | undefined }>
  /** Replaces the routes of the VirtualService, and waits until they are obeyed. */
  route(http: object[]): Promise<void>
  /** Sum of istio_requests_total over the series with these labels, as Prometheus would scrape it now. */
  count(labels: Record<string, string>): Promise<number>
  /** The names of the pods' Deployments, for destination_workload. */
  workloads: { v1: string; v2: string }
  stop(): Promise<void>
}

const to = (subset: string, weight?: number) => ({
  destination: { host: 'checkout', subset },
  ...(weight === undefined ? {} : { weight }),
})

/** What Sluice rests on in any mesh of Istio's kind: weights are obeyed, matches come first, and both reporters count what happened. */
export function meshConformance(name: string, open: () => Promise<ConnectedMesh>): void {
  describe(`a mesh: ${name}`, () => {
    let mesh: ConnectedMesh
    beforeAll(async () => {
      mesh = await open()
    }, 60_000)
    afterAll(async () => mesh?.stop())

    async function versionsOf(
      requests: number,
      request?: Parameters<ConnectedMesh['ask']>[0],
    ): Promise<Map<string | undefined, number>> {
      const seen = new Map<string | undefined, number>()
      for (let i = 0; i < requests; i++) {
        const { version } = await mesh.ask(request)
        seen.set(version, (seen.get(version) ?? 0) + 1)
      }
      return seen
    }

    test('a weight of 0 gets nothing', async () => {
      await mesh.route([{ route: [to('v1', 100), to('v2', 0)] }])
      expect([...(await versionsOf(60)).keys()]).toEqual(['v1'])
    })

    test('weights are shares of their sum', async () => {
      await mesh.route([{ route: [to('v1', 3), to('v2', 1)] }])
      const seen = await versionsOf(400)
      // 100 of 400 expected; the bounds are more than five standard deviations wide.
      expect(seen.get('v2') ?? 0).toBeGreaterThan(55)
      expect(seen.get('v2') ?? 0).toBeLessThan(145)
    })

    test('a lone destination gets everything, whatever its weight says', async () => {
      await mesh.route([{ route: [to('v2', 0)] }])
      expect([...(await versionsOf(10)).keys()]).toEqual(['v2'])
    })

    test('the first route that matches is taken', async () => {
      await mesh.route([
        { match: [{ headers: { 'x-version': { exact: 'v2' } } }], route: [to('v2')] },
        { route: [to('v1')] },
      ])
      expect([...(await versionsOf(5, { headers: { 'x-version': 'v2' } })).keys()]).toEqual(['v2'])
      expect([...(await versionsOf(5)).keys()]).toEqual(['v1'])
    })

    test('an injected fault is answered without asking anybody', async () => {
      await mesh.route([{ fault: { abort: { percentage: { value: 100 }, httpStatus: 503 } }, route: [to('v1')] }])
      expect((await mesh.ask()).status).toBe(503)
    })

    test('a path that no route takes is 404', async () => {
      await mesh.route([{ match: [{ uri: { prefix: '/api' } }], route: [to('v1')] }])
      expect((await mesh.ask({ path: '/other' })).status).toBe(404)
    })

    test('both reporters count every request for the workload that answered it', async () => {
      await mesh.route([{ route: [to('v1', 50), to('v2', 50)] }])
      const sides = ['v1', 'v2'] as const
      const counts = async (reporter: string) =>
        Promise.all(
          sides.map((side) =>
            mesh.count({ reporter, destination_workload: mesh.workloads[side], response_code: '200' }),
          ),
        )
      const [sourceBefore, destinationBefore] = [await counts('source'), await counts('destination')]
      const seen = await versionsOf(80)
      const answered = sides.map((side) => seen.get(side) ?? 0)
      const less = (now: number[], before: number[]) => now.map((n, i) => n - (before[i] ?? 0))
      expect(less(await counts('source'), sourceBefore)).toEqual(answered)
      expect(less(await counts('destination'), destinationBefore)).toEqual(answered)
    })
  })
}
