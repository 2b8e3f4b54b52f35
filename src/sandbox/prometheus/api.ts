import { Hono } from 'hono'
import { badParameter, rangeParameters, selectorParameters, sortedUnique, timeParameter } from './api-parameters.ts'
import type { MetricMetadata } from './exposition.ts'
import type { FaultState } from './faults.ts'
import { formatPlainDecimal, formatSampleValue } from './go-number.ts'
import { compareLabels } from './labels.ts'
import { QueryError } from './promql/error.ts'
import { evaluate, type QueryResult, type QueryTime } from './promql/evaluate.ts'
import { isLabelName } from './promql/label-functions.ts'
import { formatDuration } from './promql/literals.ts'
import { parsePromql } from './promql/parse.ts'
import type { ScrapeLoop } from './scrape-loop.ts'
import type { StoredSeries } from './series.ts'
import type { Store } from './store.ts'

/** What the API tells about; nothing here is changed by a request. */
export interface ApiSources {
  store: Store
  now: () => number
  activeTargets: () => ScrapeLoop[]
  scrapeIntervalMs: number
  faults: () => Readonly<FaultState>
}

/** Prometheus's HTTP API (https://prometheus.io/docs/prometheus/latest/querying/api/) as a web handler. */
export function createApi(sources: ApiSources): Hono {
  const { store, now, faults } = sources
  const app = new Hono()

  const answer = (data: unknown): Response => {
    const { warnings } = faults()
    return json(200, { status: 'success', data, ...(warnings.length > 0 ? { warnings } : {}) })
  }
  const query = (text: string, time: QueryTime): Response => {
    const expr = parseParameter(text)
    return answer(encodeResult(distort(evaluate(expr, store, time), faults().answers)))
  }
  const matching = (parameters: URLSearchParams): StoredSeries[] => {
    const selectors = selectorParameters(parameters)
    const startMs = timeParameter(parameters, 'start', Number.NEGATIVE_INFINITY)
    const endMs = timeParameter(parameters, 'end', Number.POSITIVE_INFINITY)
    if (endMs < startMs) throw badParameter('end', 'end timestamp must not be before start time')
    const found = new Set(selectors.length > 0 ? selectors.flatMap((s) => store.select(s)) : store.select([]))
    return [...found].filter((series) => series.hasSampleIn(startMs, endMs))
  }

  app.on(['GET', 'POST'], '/api/v1/query', async (c) => {
    const parameters = await parametersOf(c.req.raw)
    return query(parameters.get('query') ?? '', { timeMs: timeParameter(parameters, 'time', now()) })
  })
  app.on(['GET', 'POST'], '/api/v1/query_range', async (c) => {
    const parameters = await parametersOf(c.req.raw)
    return query(parameters.get('query') ?? '', rangeParameters(parameters))
  })
  app.on(['GET', 'POST'], '/api/v1/series', async (c) => {
    const parameters = await parametersOf(c.req.raw)
    if (!parameters.has('match[]')) throw new QueryError('bad_data', 'no match[] parameter provided')
    const found = matching(parameters).map((series) => series.labels)
    return answer(found.sort(compareLabels).map((labels) => labels.toRecord()))
  })
  app.on(['GET', 'POST'], '/api/v1/labels', async (c) => {
    const found = matching(await parametersOf(c.req.raw))
    return answer(sortedUnique(found.flatMap((series) => series.labels.names)))
  })
  app.get('/api/v1/label/:name/values', async (c) => {
    const name = c.req.param('name')
    if (!isLabelName(name)) throw new QueryError('bad_data', `invalid label name: "${name}"`)
    const found = matching(await parametersOf(c.req.raw)).map((series) => series.labels.get(name))
    return answer(sortedUnique(found.filter((value) => value !== '')))
  })
  app.get('/api/v1/metadata', (c) =>
    answer(metadata(sources.activeTargets(), c.req.query('metric'), c.req.query('limit'))),
  )
  app.get('/api/v1/targets', () =>
    answer({
      activeTargets: sources.activeTargets().map((loop) => describeTarget(loop, sources.scrapeIntervalMs)),
      droppedTargets: [],
    }),
  )
  app.get('/api/v1/status/buildinfo', () =>
    answer({ version: '2.42.0', revision: 'sandbox', branch: 'sandbox', buildUser: '', buildDate: '', goVersion: '' }),
  )
  app.get('/-/healthy', (c) => c.text('Prometheus Server is Healthy.\n'))
  app.get('/-/ready', (c) => c.text('Prometheus Server is Ready.\n'))
  app.notFound((c) => c.text('404 page not found\n', 404))
  app.onError((error) => {
    if (error instanceof QueryError) return errorBody(error.type === 'bad_data' ? 400 : 422, error.type, error.message)
    return errorBody(500, 'internal', error.message)
  })
  return app
}

/** An error as Prometheus's API writes it. */
export function errorBody(status: number, errorType: string, error: string): Response {
  return json(status, { status: 'error', errorType, error })
}

function json(status: number, body: unknown): Response {
  return new Response(JSON.stringify(body), { status, headers: { 'content-type': 'application/json' } })
}

/** Parameters of the URL and, in a POST, of the form; the form's come first, as with Go's Request.Form. */
async function parametersOf(request: Request): Promise<URLSearchParams> {
  const fromUrl = new URL(request.url).searchParams
  const isForm = request.headers.get('content-type')?.startsWith('application/x-www-form-urlencoded')
  if (request.method !== 'POST' || !isForm) return fromUrl
  return new URLSearchParams([...new URLSearchParams(await request.text()), ...fromUrl])
}

function parseParameter(text: string) {
  try {
    return parsePromql(text)
  } catch (error) {
    if (error instanceof QueryError) throw badParameter('query', error.message)
    throw error
  }
}

function distort(result: QueryResult, answers: FaultState['answers']): QueryResult {
  if (!answers) return result
  if (answers === 'empty') {
    if (result.type === 'vector') return { ...result, samples: [] }
    return result.type === 'matrix' ? { ...result, series: [] } : result
  }
  const value = answers === 'nan' ? Number.NaN : Number.POSITIVE_INFINITY
  if (result.type === 'scalar') return { ...result, value }
  if (result.type === 'vector') return { ...result, samples: result.samples.map((sample) => ({ ...sample, value })) }
  if (result.type === 'string') return result
  return { ...result, series: result.series.map((series) => ({ ...series, values: series.values.map(() => value) })) }
}

function encodeResult(result: QueryResult): unknown {
  const point = (timeMs: number, value: number) => [timeMs / 1000, formatSampleValue(value)]
  switch (result.type) {
    case 'scalar':
      return { resultType: 'scalar', result: [result.timeMs / 1000, formatPlainDecimal(result.value)] }
    case 'string':
      return { resultType: 'string', result: [result.timeMs / 1000, result.value] }
    case 'vector':
      return {
        resultType: 'vector',
        result: result.samples.map(({ labels, value }) => ({
          metric: labels.toRecord(),
          value: point(result.timeMs, value),
        })),
      }
    case 'matrix':
      return {
        resultType: 'matrix',
        result: result.series.map(({ labels, times, values }) => ({
          metric: labels.toRecord(),
          values: times.map((timeMs, i) => point(timeMs, values[i]!)),
        })),
      }
  }
}

function metadata(loops: ScrapeLoop[], metric: string | undefined, limit: string | undefined) {
  const found: Record<string, MetricMetadata[]> = {}
  const most = limit === undefined ? Number.POSITIVE_INFINITY : Number(limit)
  if (Number.isNaN(most)) throw new QueryError('bad_data', 'limit must be a number')
  for (const loop of loops) {
    for (const [name, entry] of loop.metadata) {
      if (metric && name !== metric) continue
      if (!found[name] && Object.keys(found).length >= most) continue
      const known = found[name] ?? []
      found[name] = known
      if (!known.some((other) => other.type === entry.type && other.help === entry.help)) known.push(entry)
    }
  }
  return found
}

function describeTarget(loop: ScrapeLoop, intervalMs: number) {
  const { target, status } = loop
  const url = target.url ?? ''
  return {
    discoveredLabels: { __address__: target.instance, job: target.job },
    labels: loop.labels.toRecord(),
    scrapePool: target.job,
    scrapeUrl: url,
    globalUrl: url,
    lastError: status.lastError,
    lastScrape: new Date(status.lastScrapeMs).toISOString(),
    lastScrapeDuration: status.lastDurationSeconds,
    health: status.health,
    scrapeInterval: formatDuration(intervalMs),
    scrapeTimeout: formatDuration(Math.min(10_000, intervalMs)),
  }
}
