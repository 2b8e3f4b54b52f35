import { PrometheusDriver } from 'prometheus-query'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { epochMs } from '../sandbox/prometheus/samples.ts'

/** A Prometheus under test, holding the samples of `testData()`. */
export interface ConnectedPrometheus {
  url: string
  stop(): Promise<void>
}

const epoch = epochMs / 1000

/** What Sluice's client relies on in Prometheus's HTTP API, whoever serves it. */
export function prometheusConformance(name: string, connect: () => Promise<ConnectedPrometheus>): void {
  describe(`Prometheus's HTTP API: ${name}`, () => {
    let prometheus: ConnectedPrometheus
    beforeAll(async () => {
      prometheus = await connect()
    })
    afterAll(() => prometheus?.stop())

    async function get(path: string, parameters: Record<string, string> | [string, string][] = {}) {
      return read(await fetch(`${prometheus.url}${path}?${new URLSearchParams(parameters)}`))
    }
    async function post(path: string, parameters: Record<string, string>) {
      return read(await fetch(`${prometheus.url}${path}`, { method: 'POST', body: new URLSearchParams(parameters) }))
    }
    const at = (query: string, offset = 600) => ({ query, time: String(epoch + offset) })

    test('answers an instant vector with string values and the time asked for', async () => {
      expect(await get('/api/v1/query', at('flat{zone="w"}', 600.5))).toEqual({
        status: 200,
        type: 'application/json',
        body: {
          status: 'success',
          data: {
            resultType: 'vector',
            result: [{ metric: { __name__: 'flat', zone: 'w' }, value: [epoch + 600.5, '7.25'] }],
          },
        },
      })
    })

    test('answers an empty vector as a success', async () => {
      const { body } = await get('/api/v1/query', at('nosuch'))
      expect(body).toEqual({ status: 'success', data: { resultType: 'vector', result: [] } })
    })

    test('answers scalars and strings as a bare pair', async () => {
      expect((await get('/api/v1/query', at('1e-7'))).body.data).toEqual({
        resultType: 'scalar',
        result: [epoch + 600, '0.0000001'],
      })
      expect((await get('/api/v1/query', at('"text"'))).body.data).toEqual({
        resultType: 'string',
        result: [epoch + 600, 'text'],
      })
    })

    test.each([
      ['NaN', 'NaN', 'NaN'],
      ['Inf', '+Inf', '+Inf'],
      ['-Inf', '-Inf', '-Inf'],
      ['1e21', '1000000000000000000000', '1e+21'],
      ['1e20', '100000000000000000000', '100000000000000000000'],
      ['1e-7', '0.0000001', '1e-07'],
      ['0.000001', '0.000001', '0.000001'],
      ['-0', '-0', '-0'],
      ['1/3', '0.3333333333333333', '0.3333333333333333'],
    ])('writes %s as %s in a scalar and %s in a vector', async (query, scalar, element) => {
      expect((await get('/api/v1/query', at(query))).body.data.result).toEqual([epoch + 600, scalar])
      const vector = (await get('/api/v1/query', at(`vector(${query})`))).body.data.result
      expect(vector).toEqual([{ metric: {}, value: [epoch + 600, element] }])
    })

    test('answers raw samples of a range selector in an instant query', async () => {
      const { data } = (await get('/api/v1/query', at('pod_info{pod="a"}[30s]'))).body
      expect(data.resultType).toBe('matrix')
      expect(data.result[0].values).toEqual([570, 585, 600].map((s) => [epoch + s, '1']))
    })

    test('answers a range query from start to end, both included', async () => {
      const range = { query: 'flat{zone="e"}', start: String(epoch), end: String(epoch + 60), step: '30s' }
      const expected = [{ metric: { __name__: 'flat', zone: 'e' }, values: [0, 30, 60].map((s) => [epoch + s, '7']) }]
      expect((await get('/api/v1/query_range', range)).body.data).toEqual({ resultType: 'matrix', result: expected })
      expect((await post('/api/v1/query_range', { ...range, step: '30' })).body.data.result).toEqual(expected)
    })

    test('takes the query as a form, and times as RFC 3339', async () => {
      const time = new Date(epochMs + 600_000).toISOString()
      const { data } = (await post('/api/v1/query', { query: 'time()', time })).body
      expect(data.result).toEqual([epoch + 600, String(epoch + 600)])
    })

    test.each([
      ['/api/v1/query', {}],
      ['/api/v1/query', { query: 'sum(' }],
      ['/api/v1/query', { query: 'rate(flat)' }],
      ['/api/v1/query', { query: 'flat', time: 'yesterday' }],
      ['/api/v1/query_range', { query: 'flat', start: '0', end: '10' }],
      ['/api/v1/query_range', { query: 'flat', start: '10', end: '0', step: '1' }],
      ['/api/v1/query_range', { query: 'flat', start: '0', end: '10', step: '0' }],
      ['/api/v1/query_range', { query: 'flat', start: '0', end: '10', step: 'x' }],
      ['/api/v1/query_range', { query: 'flat', start: '0', end: '12000', step: '1' }],
      ['/api/v1/query_range', { query: 'flat[1m]', start: '0', end: '10', step: '1' }],
      ['/api/v1/series', {}],
      ['/api/v1/series', { 'match[]': 'sum(flat)' }],
      ['/api/v1/label/bad-name/values', {}],
    ])('refuses %s %j with 400 bad_data and a sentence', async (path, parameters) => {
      const { status, body } = await get(path, parameters as Record<string, string>)
      expect(status).toBe(400)
      expect(body).toEqual({ status: 'error', errorType: 'bad_data', error: expect.stringMatching(/\w+ \w+/) })
    })

    test('answers 422 for a query that fails while it runs', async () => {
      const { status, body } = await get('/api/v1/query', at('flat + on() flat'))
      expect(status).toBe(422)
      expect(body).toMatchObject({ status: 'error', errorType: 'execution' })
      expect(body.error).toContain('many-to-many matching not allowed')
    })

    test('lists series, label names and label values by matcher and time', async () => {
      const window = { start: String(epoch), end: String(epoch + 2400) }
      const series = await get('/api/v1/series', { 'match[]': 'flat', ...window })
      expect(series.body.data).toEqual([
        { __name__: 'flat', zone: 'e' },
        { __name__: 'flat', zone: 'w' },
      ])
      const labels = await get('/api/v1/labels', [
        ['match[]', 'flat'],
        ['match[]', 'pod_info'],
        ...Object.entries(window),
      ])
      expect(labels.body.data).toEqual(['__name__', 'node', 'pod', 'version', 'zone'])
      const values = await get('/api/v1/label/zone/values', { 'match[]': 'flat{zone!="e"}', ...window })
      expect(values.body.data).toEqual(['w'])
      expect((await get('/api/v1/label/nosuch/values', window)).body.data).toEqual([])
    })

    test('is understood by the client library', async () => {
      const driver = new PrometheusDriver({ endpoint: prometheus.url })
      const instant = await driver.instantQuery('flat{zone="w"}', epochMs + 600_000)
      expect(instant.result[0]).toMatchObject({
        metric: { name: 'flat', labels: { zone: 'w' } },
        value: { value: 7.25 },
      })
      const range = await driver.rangeQuery('sum(flat)', epochMs, epochMs + 60_000, 30)
      expect(range.result[0].values.map((point: { value: number }) => point.value)).toEqual([14.25, 14.25, 14.25])
    })

    test('tells its version, health and targets', async () => {
      expect((await get('/api/v1/status/buildinfo')).body.data.version).toMatch(/^\d+\.\d+\.\d+/)
      expect((await get('/api/v1/targets')).body.data).toMatchObject({ activeTargets: [], droppedTargets: [] })
      expect((await get('/api/v1/metadata')).body.data).toEqual({})
      for (const path of ['/-/healthy', '/-/ready']) expect((await fetch(prometheus.url + path)).status).toBe(200)
      expect((await fetch(`${prometheus.url}/api/v1/nosuch`)).status).toBe(404)
    })
  })
}

interface Body {
  status: string
  errorType?: string
  error?: string
  // biome-ignore lint/suspicious/noExplicitAny: the shape is what the suite asserts
  data: any
}

async function read(response: Response): Promise<{ status: number; type: string | null; body: Body }> {
  return { status: response.status, type: response.headers.get('content-type'), body: (await response.json()) as Body }
}
