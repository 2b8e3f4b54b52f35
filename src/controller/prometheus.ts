import type { AnalysisRequest, PrometheusFor } from '../analysis/analyst.ts'
import { createPrometheus, type Prometheus, type PrometheusOptions } from '../analysis/prometheus.ts'
import type { KubeClient } from '../kube/client.ts'
import { fieldAt } from '../kube/field.ts'
import { resources } from '../kube/resources.ts'
import type { Metrics } from '../server/metrics.ts'

/** Finds the Prometheus of a Rollout: its own, else the controller's. One object per server and credentials, so that reading is shared. */
export function prometheusFinder(options: {
  client: Pick<KubeClient, 'get'>
  url?: string
  metrics: Metrics
}): PrometheusFor {
  const { client, url, metrics } = options
  const known = new Map<string, Prometheus>()

  function share(config: PrometheusOptions): Prometheus {
    const key = JSON.stringify(config)
    let found = known.get(key)
    if (!found) {
      found = counted(createPrometheus(config), metrics)
      known.set(key, found)
    }
    return found
  }

  return async (request) => {
    const own = request.analysis.prometheus
    if (!own) {
      if (url) return { ok: true, value: share({ url }) }
      return {
        ok: false,
        problem: {
          reason: 'PrometheusMissing',
          message: 'no Prometheus is configured',
          field: 'spec.analysis.prometheus',
        },
      }
    }
    if (!own.secretRef) return { ok: true, value: share({ url: own.url }) }
    const credentials = await readCredentials(client, request, own.secretRef.name)
    if (!credentials) {
      const message = `the Secret ${own.secretRef.name} has neither token nor username and password`
      return {
        ok: false,
        problem: { reason: 'PrometheusUnreachable', message, field: 'spec.analysis.prometheus.secretRef' },
      }
    }
    return { ok: true, value: share({ url: own.url, credentials }) }
  }
}

async function readCredentials(
  client: Pick<KubeClient, 'get'>,
  request: AnalysisRequest,
  name: string,
): Promise<PrometheusOptions['credentials']> {
  const secret = await client.get(resources.secrets, { namespace: request.namespace, name })
  const text = (field: string) => {
    const value = fieldAt(secret, 'data', field)
    return typeof value === 'string' ? Buffer.from(value, 'base64').toString('utf8').trim() : undefined
  }
  const token = text('token')
  if (token) return { token }
  const username = text('username')
  const password = text('password')
  return username && password ? { username, password } : undefined
}

function counted(prometheus: Prometheus, metrics: Metrics): Prometheus {
  const count = <T extends { ok: true; value: unknown[] } | { ok: false; problem: { reason: string } }>(
    answer: T,
  ): T => {
    if (answer.ok) metrics.prometheusQuery(answer.value.length === 0 ? 'empty' : 'ok')
    else
      metrics.prometheusQuery(
        answer.problem.reason === 'PrometheusQueryRefused'
          ? 'refused'
          : answer.problem.reason === 'PrometheusUnreachable'
            ? 'unreachable'
            : 'error',
      )
    return answer
  }
  return {
    url: prometheus.url,
    instant: async (...args) => count(await prometheus.instant(...args)),
    range: async (...args) => count(await prometheus.range(...args)),
  }
}
