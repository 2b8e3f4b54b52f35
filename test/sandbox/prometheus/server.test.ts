import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type SandboxPrometheus, startPrometheus } from '../../../src/sandbox/prometheus/server.ts'
import { ask } from './answers.ts'
import { type LiveTarget, startLiveTarget } from './live-target.ts'

describe('a sandbox Prometheus whose faults are switched', () => {
  let prometheus: SandboxPrometheus
  let now: number

  beforeEach(async () => {
    prometheus = await startPrometheus({ targets: () => [], scrapeIntervalMs: 60_000 })
    now = Date.now()
    prometheus.append({ __name__: 'requests_total', pod: 'a' }, now - 1000, 5)
  })
  afterEach(() => prometheus.stop())

  const value = async (query = 'requests_total') => {
    const answer = await ask(prometheus.url, 'query', { query, time: String(now / 1000) })
    return 'rows' in answer ? [...answer.rows.values()].map(([point]) => point![1]) : answer
  }
  const failure = (url = prometheus.url) =>
    fetch(`${url}/api/v1/query?query=1`).then(
      () => 'answered',
      (error: Error) => (error.cause as NodeJS.ErrnoException).code,
    )

  test('refuses connections during an outage and answers on the same address after it', async () => {
    await prometheus.faults.set({ outage: 'refused' })
    expect(await failure()).toBe('ECONNREFUSED')
    await prometheus.faults.clear()
    expect(await value()).toEqual(['5'])
  })

  test('resets connections', async () => {
    await prometheus.faults.set({ outage: 'reset' })
    expect(['ECONNRESET', 'UND_ERR_SOCKET']).toContain(await failure())
    await prometheus.faults.clear()
    expect(await value()).toEqual(['5'])
  })

  test.each([
    [500, 'internal'],
    [503, 'unavailable'],
    [422, 'execution'],
  ])('fails with status %i in the words of Prometheus', async (status, errorType) => {
    await prometheus.faults.set({ status })
    expect(await value()).toMatchObject({ status, errorType })
  })

  test('answers a page instead of JSON', async () => {
    await prometheus.faults.set({ html: true })
    const response = await fetch(`${prometheus.url}/api/v1/query?query=1`)
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toContain('text/html')
    expect(await response.text()).toMatch(/^<html>/)
  })

  test('answers NaN, infinity or nothing instead of the truth', async () => {
    await prometheus.faults.set({ answers: 'nan' })
    expect(await value()).toEqual(['NaN'])
    await prometheus.faults.set({ answers: 'inf' })
    expect(await value()).toEqual(['+Inf'])
    await prometheus.faults.set({ answers: 'empty' })
    expect(await value()).toEqual([])
  })

  test('starts an answer that never ends, until the fault is cleared', async () => {
    await prometheus.faults.set({ stalled: true })
    const response = await fetch(`${prometheus.url}/api/v1/query?query=1`)
    expect(response.status).toBe(200)
    const body = response.text().then(
      () => 'ended',
      () => 'cut off',
    )
    await prometheus.faults.clear()
    expect(await body).toBe('cut off')
    expect(await value()).toEqual(['5'])
  })

  test('stops while an answer is stalled', async () => {
    await prometheus.faults.set({ stalled: true })
    const response = await fetch(`${prometheus.url}/api/v1/query?query=1`)
    await prometheus.stop()
    await expect(response.text()).rejects.toThrow()
  })

  test('answers late', async () => {
    await prometheus.faults.set({ latencyMs: 60 })
    await expect(fetch(`${prometheus.url}/api/v1/query?query=1`, { signal: AbortSignal.timeout(5) })).rejects.toThrow()
    expect(await value()).toEqual(['5'])
  })

  test('adds warnings to answers that are otherwise right', async () => {
    await prometheus.faults.set({ warnings: ['remote read failed'] })
    const response = await fetch(`${prometheus.url}/api/v1/query?query=1`)
    expect(await response.json()).toMatchObject({ status: 'success', warnings: ['remote read failed'] })
  })

  test('says which port it could not have', async () => {
    const port = Number(new URL(prometheus.url).port)
    await expect(startPrometheus({ targets: () => [], scrapeIntervalMs: 1000, port })).rejects.toThrow(
      `127.0.0.1:${port}`,
    )
  })
})

describe('a sandbox Prometheus scraping over HTTP', () => {
  let target: LiveTarget
  let prometheus: SandboxPrometheus

  beforeEach(async () => {
    target = await startLiveTarget('requests_total 5\n')
    prometheus = await startPrometheus({
      targets: () => [{ job: 'live', instance: 'a', labels: { zone: 'e' }, url: target.url }],
      scrapeIntervalMs: 50,
    })
  })
  afterEach(async () => {
    await prometheus.stop()
    await target.stop()
  })

  async function until(holds: () => boolean): Promise<void> {
    for (let i = 0; i < 400 && !holds(); i++) await new Promise((resolve) => setTimeout(resolve, 10))
    expect(holds()).toBe(true)
  }
  const values = (query: string) => {
    const result = prometheus.query(query, Date.now())
    return result.type === 'vector' ? result.samples.map(({ value }) => value) : []
  }

  test('stores what the target shows, with the labels of the target', async () => {
    await until(() => values('requests_total{job="live",instance="a",zone="e"}')[0] === 5)
    const { data } = (await (await fetch(`${prometheus.url}/api/v1/targets`)).json()) as { data: unknown }
    expect(data).toMatchObject({
      activeTargets: [{ labels: { job: 'live', instance: 'a', zone: 'e' }, health: 'up', scrapeInterval: '50ms' }],
    })
  })

  test('reports a target that fails or refuses connections as down, with the reason', async () => {
    await until(() => values('up')[0] === 1)
    target.status = 503
    await until(() => values('up')[0] === 0)
    expect(values('requests_total')).toEqual([])
    const { data } = (await (await fetch(`${prometheus.url}/api/v1/targets`)).json()) as {
      data: { activeTargets: { lastError: string }[] }
    }
    expect(data.activeTargets[0]!.lastError).toContain('HTTP status 503')
  })

  test('keeps answering while scraping is held up', async () => {
    await until(() => values('up')[0] === 1)
    await prometheus.faults.set({ stale: true })
    const scrapes = () => [...target.scrapes.values()][0]!
    const before = scrapes()
    target.body = 'requests_total 6\n'
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect(scrapes()).toBeLessThanOrEqual(before + 1)
    await prometheus.faults.clear()
    await until(() => values('requests_total')[0] === 6)
  })
})
