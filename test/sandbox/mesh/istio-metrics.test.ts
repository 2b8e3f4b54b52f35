import { expect, test } from 'vitest'
import {
  createIstioMetrics,
  type Peer,
  type RequestReport,
  UNKNOWN_PEER,
} from '../../../src/sandbox/mesh/istio-metrics.ts'

const peer = (workload: string): Peer => ({
  workload,
  namespace: 'shop',
  principal: `spiffe://cluster.local/ns/shop/sa/default`,
  app: workload,
  version: 'v1',
  canonicalService: workload,
  canonicalRevision: 'v1',
  cluster: 'Kubernetes',
})

const report = (over: Partial<RequestReport> = {}): RequestReport => ({
  reporter: 'destination',
  source: peer('web'),
  destination: peer('checkout'),
  service: { host: 'checkout.shop.svc.cluster.local', name: 'checkout', namespace: 'shop' },
  responseCode: 200,
  responseFlags: '-',
  grpcStatus: '',
  protocol: 'http',
  durationMs: 7.9,
  ...over,
})

test('a proxy that has seen nothing says nothing', () => {
  expect(createIstioMetrics().render()).toBe('')
})

test('counts every request once, by its full tag vector', () => {
  const metrics = createIstioMetrics()
  metrics.record(report())
  metrics.record(report())
  metrics.record(report({ responseCode: 503, responseFlags: 'UH', destination: UNKNOWN_PEER, reporter: 'source' }))
  const counters = metrics
    .render()
    .split('\n')
    .filter((line) => line.startsWith('istio_requests_total'))
  expect(counters).toEqual([
    'istio_requests_total{reporter="destination",source_workload="web",source_canonical_service="web",source_canonical_revision="v1",' +
      'source_workload_namespace="shop",source_principal="spiffe://cluster.local/ns/shop/sa/default",source_app="web",source_version="v1",' +
      'source_cluster="Kubernetes",destination_workload="checkout",destination_workload_namespace="shop",' +
      'destination_principal="spiffe://cluster.local/ns/shop/sa/default",destination_app="checkout",destination_version="v1",' +
      'destination_service="checkout.shop.svc.cluster.local",destination_canonical_service="checkout",destination_canonical_revision="v1",' +
      'destination_service_name="checkout",destination_service_namespace="shop",destination_cluster="Kubernetes",request_protocol="http",' +
      'response_code="200",grpc_response_status="",response_flags="-",connection_security_policy="mutual_tls"} 2',
    expect.stringMatching(
      /destination_workload="unknown".*destination_canonical_revision="latest".*response_flags="UH".*"unknown"\} 1$/,
    ),
  ])
})

test('buckets are cumulative in whole milliseconds, a bound includes itself', () => {
  const metrics = createIstioMetrics()
  for (const durationMs of [0.4, 5.2, 6, 250.9, 251, 9e6]) metrics.record(report({ durationMs }))
  const at = (bound: string) =>
    Number(new RegExp(`_bucket\\{.*le="${bound.replace('+', '\\+')}"\\} (\\d+)`).exec(metrics.render())?.[1])
  expect([at('0.5'), at('5'), at('10'), at('100'), at('250'), at('500'), at('3600000'), at('+Inf')]).toEqual([
    1, 2, 3, 3, 4, 5, 5, 6,
  ])
  expect(metrics.render()).toMatch(/_sum\{.*\} 9000512\n/)
  expect(metrics.render()).toMatch(/_count\{.*\} 6\n/)
})
