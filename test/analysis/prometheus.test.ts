import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import nock from 'nock'
import { afterEach, describe, expect, test } from 'vitest'
import { createPrometheus } from '../../src/analysis/prometheus.ts'
import { sentence } from '../../src/errors.ts'

const base = 'http://prometheus.example:9090'
const prometheus = createPrometheus({ url: base })

afterEach(() => nock.cleanAll())

const vector = (...result: unknown[]) => ({ status: 'success', data: { resultType: 'vector', result } })

async function problemOf(reply: (scope: nock.Interceptor) => void) {
  reply(nock(base).get('/api/v1/query').query(true))
  const answer = await prometheus.instant('up', 0)
  if (answer.ok) throw new Error('answered')
  return answer.problem
}

describe('numbers', () => {
  test('infinity and NaN stay what they are, times are milliseconds', async () => {
    nock(base)
      .get('/api/v1/query')
      .query((query) => query.query === 'x' && Number(query.time) === 1500.25)
      .reply(200, {
        ...vector(
          { metric: { a: '1' }, value: [1500.25, '+Inf'] },
          { metric: { a: '2' }, value: [1500.25, 'NaN'] },
          { metric: { a: '3' }, value: [1500.25, '1.5e+06'] },
        ),
        warnings: ['partial answer'],
      })
    expect(await prometheus.instant('x', 1_500_250)).toEqual({
      ok: true,
      value: [
        { labels: { a: '1' }, at: 1_500_250, value: Number.POSITIVE_INFINITY },
        { labels: { a: '2' }, at: 1_500_250, value: Number.NaN },
        { labels: { a: '3' }, at: 1_500_250, value: 1_500_000 },
      ],
      warnings: ['partial answer'],
    })
  })

  test('a scalar is one sample without labels', async () => {
    nock(base)
      .get('/api/v1/query')
      .query(true)
      .reply(200, { status: 'success', data: { resultType: 'scalar', result: [3, '7'] } })
    expect(await prometheus.instant('7', 3000)).toMatchObject({ value: [{ labels: {}, at: 3000, value: 7 }] })
  })

  test('a range query brings every point', async () => {
    nock(base)
      .get('/api/v1/query_range')
      .query({ query: 'x', start: 0, end: 30, step: 15, timeout: '10000ms' })
      .reply(200, {
        status: 'success',
        data: {
          resultType: 'matrix',
          result: [
            {
              metric: { a: '1' },
              values: [
                [0, '1'],
                [15, '-Inf'],
              ],
            },
          ],
        },
      })
    expect(await prometheus.range('x', { start: 0, end: 30_000, step: 15_000 })).toMatchObject({
      value: [
        {
          labels: { a: '1' },
          points: [
            [0, 1],
            [15_000, Number.NEGATIVE_INFINITY],
          ],
        },
      ],
    })
  })

  test('a long query is sent as a form', async () => {
    const query = `up{job=~"${'a|'.repeat(2000)}"}`
    nock(base)
      .post('/api/v1/query', (body) => body.query === query)
      .reply(200, vector())
    expect(await prometheus.instant(query, 0)).toMatchObject({ ok: true, value: [] })
  })
})

describe('what goes wrong is said in words', () => {
  test('an HTML page', async () => {
    expect(await problemOf((get) => get.reply(200, '<html>hello</html>'))).toEqual({
      reason: 'PrometheusBadAnswer',
      message: `Prometheus at ${base} answered an HTML page`,
    })
  })

  test('HTTP 500 without a Prometheus body', async () => {
    const problem = await problemOf((get) => get.reply(500, 'oops'))
    expect(problem.reason).toBe('PrometheusBadAnswer')
    expect(problem.message).toContain('HTTP 500')
  })

  test('a bad query carries the words of Prometheus', async () => {
    const body = { status: 'error', errorType: 'bad_data', error: '1:3: parse error: unexpected "}"' }
    expect(await problemOf((get) => get.reply(400, body))).toEqual({
      reason: 'PrometheusQueryRefused',
      message: `Prometheus at ${base} refused the query: 1:3: parse error: unexpected "}"`,
    })
  })

  test('a query that Prometheus gave up on is not the query’s fault', async () => {
    const body = { status: 'error', errorType: 'timeout', error: 'query timed out in expression evaluation' }
    expect((await problemOf((get) => get.reply(503, body))).reason).toBe('PrometheusUnreachable')
  })

  test('JSON of something else', async () => {
    expect((await problemOf((get) => get.reply(200, { hello: 1 }))).reason).toBe('PrometheusBadAnswer')
    const odd = { status: 'success', data: { resultType: 'streams', result: [] } }
    expect((await problemOf((get) => get.reply(200, odd))).reason).toBe('PrometheusBadAnswer')
  })

  test('a refused connection, on a real socket', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    const { port } = server.address() as AddressInfo
    await new Promise((resolve) => server.close(resolve))
    const answer = await createPrometheus({ url: `http://127.0.0.1:${port}` }).instant('up', 0)
    expect(answer).toEqual({
      ok: false,
      problem: {
        reason: 'PrometheusUnreachable',
        message: `Prometheus at http://127.0.0.1:${port} refuses connections`,
      },
    })
  })

  test('an answer that never ends is given up after the timeout', async () => {
    const server = createServer((_, response) => void response.write('{"status":')).listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    const { port } = server.address() as AddressInfo
    const answer = await createPrometheus({ url: `http://127.0.0.1:${port}`, timeoutMs: 200 }).instant('up', 0)
    server.closeAllConnections()
    server.close()
    expect(answer).toMatchObject({ problem: { reason: 'PrometheusUnreachable' } })
    expect(answer.ok ? '' : answer.problem.message).toContain('did not answer within 0.2 s')
  })
})

describe('credentials', () => {
  test.each([
    ['a token', { url: base, credentials: { token: 'hunter2' } }, 'Bearer hunter2'],
    ['basic', { url: base, credentials: { username: 'u', password: 'hunter2' } }, 'Basic dTpodW50ZXIy'],
    ['in the URL', { url: 'http://u:hunter2@prometheus.example:9090/' }, 'Basic dTpodW50ZXIy'],
  ])('%s is sent and never shown', async (_, options, authorization) => {
    const client = createPrometheus(options)
    const error = `no tenant for ${authorization} hunter2`
    nock(base, { reqheaders: { authorization } })
      .get('/api/v1/query')
      .query(true)
      .reply(422, { status: 'error', errorType: 'execution', error })
    const answer = await client.instant('up', 0)
    if (answer.ok) throw new Error('answered')
    expect(answer.problem.reason).toBe('PrometheusQueryRefused')
    expect(sentence(answer.problem)).not.toContain('hunter2')
    expect(client.url).toBe(base)
  })

  test('refused credentials are named as such', async () => {
    expect((await problemOf((get) => get.reply(401, 'Unauthorized'))).message).toContain('credentials')
  })
})

test('an abort is the caller’s own doing and is thrown', async () => {
  nock(base).get('/api/v1/query').query(true).delay(5000).reply(200, vector())
  const controller = new AbortController()
  const asked = prometheus.instant('up', 0, controller.signal)
  setTimeout(() => controller.abort(new Error('stop')), 20)
  await expect(asked).rejects.toThrow('stop')
})
