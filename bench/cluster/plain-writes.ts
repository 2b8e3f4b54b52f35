import { setTimeout as sleep } from 'node:timers/promises'
import type { ApiServer, RequestRecord } from '../../src/sandbox/apiserver/index.ts'
import { VIRTUAL_SERVICES } from './shop.ts'

const ROUNDS = 50
const NAME = 'calibration'

/** The same kind of write as a retreat, on a route that belongs to nobody: seconds that each took. Spread over so many milliseconds. */
export async function plainWrites(api: ApiServer, ms: number): Promise<number[]> {
  const route = [
    { destination: { host: 'nobody', subset: 'v1' }, weight: 100 },
    { destination: { host: 'nobody', subset: 'v2' }, weight: 0 },
  ]
  api.storage.create(VIRTUAL_SERVICES, {
    apiVersion: 'networking.istio.io/v1',
    kind: 'VirtualService',
    metadata: { namespace: 'default', name: NAME },
    ...{ spec: { hosts: ['nobody'], http: [{ name: 'primary', route }] } },
  })
  const url = `${api.url}/apis/networking.istio.io/v1/namespaces/default/virtualservices/${NAME}`
  const headers = { authorization: `Bearer ${api.token()}`, 'content-type': 'application/json-patch+json' }
  const taken: number[] = []
  for (let i = 0; i < ROUNDS; i++) {
    const path = '/spec/http/0/route'
    const patch = [
      { op: 'replace', path: `${path}/0/weight`, value: 100 - (i % 2) },
      { op: 'replace', path: `${path}/1/weight`, value: i % 2 },
    ]
    const started = performance.now()
    const answer = await fetch(url, { method: 'PATCH', headers, body: JSON.stringify(patch) })
    await answer.text()
    if (!answer.ok) throw new Error(`the calibrating write was answered ${answer.status}`)
    taken.push((performance.now() - started) / 1000)
    await sleep(ms / ROUNDS / 2)
  }
  return taken
}

/** Whether a request is one of these writes, and not the controller's. */
export function isPlainWrite({ name }: RequestRecord): boolean {
  return name === NAME
}
