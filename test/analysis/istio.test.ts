import { describe, expect, test } from 'vitest'
import { boundsOf, countersQuery, measureOf, readCounters } from '../../src/analysis/istio.ts'

const requests = { kind: 'requests' } as const

function read(labels: Record<string, string>, value = 1) {
  const all = { destination_workload: 'w', destination_workload_namespace: 'ns', ...labels }
  return readCounters(requests, [{ labels: all, at: 0, value }]).get('ns/w')?.[0]
}

describe('what the labels say', () => {
  test.each<[Record<string, string>, string]>([
    [{ response_code: '200' }, 'good'],
    [{ response_code: '404' }, 'good'],
    [{ response_code: '500' }, 'bad'],
    [{ response_code: '0', response_flags: 'DC' }, 'gone'],
    [{ response_code: '200', grpc_response_status: '0' }, 'good'],
    [{ response_code: '200', grpc_response_status: '5' }, 'good'],
    [{ response_code: '200', grpc_response_status: '7' }, 'good'],
    [{ response_code: '200', grpc_response_status: '2' }, 'bad'],
    [{ response_code: '200', grpc_response_status: '4' }, 'bad'],
    [{ response_code: '200', grpc_response_status: '12' }, 'bad'],
    [{ response_code: '200', grpc_response_status: '13' }, 'bad'],
    [{ response_code: '200', grpc_response_status: '14' }, 'bad'],
    [{ response_code: '200', grpc_response_status: '15' }, 'bad'],
  ])('%j is %s', (labels, outcome) => {
    expect(read({ reporter: 'destination', ...labels })).toMatchObject({ outcome, reporter: 'server', cutOff: false })
  })

  test.each(['UF', 'UH', 'UO', 'UT', 'UC', 'URX', 'UF,URX', 'DPE,UC'])('%s at the caller is cut off', (flags) => {
    expect(read({ reporter: 'source', response_flags: flags })).toMatchObject({ cutOff: true, reporter: 'caller' })
    expect(read({ reporter: 'destination', response_flags: flags })).toMatchObject({ cutOff: false })
  })

  test.each(['-', 'DC', 'NR', 'UFO', ''])('%s is not', (flags) => {
    expect(read({ reporter: 'source', response_flags: flags })).toMatchObject({ cutOff: false })
  })

  test('waypoints count as servers', () => {
    expect(read({ reporter: 'waypoint' })?.reporter).toBe('server')
  })

  test('scrape times are joined by process and reporter', () => {
    const process = { reporter: 'destination', pod: 'p', instance: 'i:1', job: 'j' }
    const base = { destination_workload: 'w', destination_workload_namespace: 'ns', ...process }
    const reading = readCounters(requests, [
      { labels: { ...base, response_code: '200' }, at: 0, value: 5 },
      { labels: { ...base, sluice_time: '1' }, at: 0, value: 1_800_000_000.123 },
    ])
    expect(reading.get('ns/w')).toMatchObject([{ value: 5, scrapedAt: 1_800_000_000_123, target: 'j|i:1|p' }])
  })
})

describe('queries', () => {
  test('name the workloads while they are few, and none when they are many', () => {
    const workloads = (n: number) => Array.from({ length: n }, (_, i) => ({ namespace: 'ns', name: `w.${i}` }))
    expect(countersQuery(requests, workloads(2))).toContain('destination_workload=~"w\\\\.0|w\\\\.1"')
    const many = countersQuery(requests, workloads(1000))
    expect(many).toContain('{destination_workload!=""')
    expect(many.length).toBeLessThan(1500)
  })

  test('ask for every spelling of a bound', () => {
    const query = (threshold: string) =>
      countersQuery(measureOf({ name: 'l', latency: { objective: 99, threshold } })!, [{ namespace: 'n', name: 'w' }])
    expect(query('500ms')).toContain(String.raw`le=~"\\+Inf|500|500\\.0"`)
    expect(query('30m')).toContain(String.raw`1\\.8e\\+06`)
  })

  test('bounds are numbers, rising, each once', () => {
    const of = (...les: string[]) => boundsOf(les.map((le) => ({ labels: { le }, at: 0, value: 1 })))
    expect(of('500.0', '+Inf', '5', '500', '1e+06')).toEqual([5, 500, 1_000_000])
  })
})
