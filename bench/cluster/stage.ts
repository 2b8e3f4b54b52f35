import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { crdOf } from '../../src/api/crd.ts'
import { kinds } from '../../src/api/kinds.ts'
import type { KubeObject } from '../../src/kube/object.ts'
import { type ApiServer, type RequestRecord, startApiServer } from '../../src/sandbox/apiserver/index.ts'
import { type ControllerProcess, startControllerProcess } from './controller-process.ts'
import { type App, type ShopOptions, storeApps } from './shop.ts'

/** An API server with apps and their Rollouts, which hears every request. */
export interface Stage {
  api: ApiServer
  apps: App[]
  /** Every answered request since the stage was set. */
  records: RequestRecord[]
  /** Starts the controller as a process of its own. */
  controller(prometheus: string, node?: readonly string[]): Promise<ControllerProcess>
  stop(): Promise<void>
}

export async function setStage(shop: ShopOptions): Promise<Stage> {
  const dir = await mkdtemp(join(tmpdir(), 'sluice-bench-'))
  const api = await startApiServer({ tokens: {} })
  for (const kind of Object.values(kinds)) {
    const crd: unknown = crdOf(kind)
    api.storage.create({ group: 'apiextensions.k8s.io', plural: 'customresourcedefinitions' }, crd as KubeObject)
  }
  const apps = storeApps(api.storage, shop)
  const kubeconfig = join(dir, 'kubeconfig')
  await writeFile(kubeconfig, api.kubeconfig(), { mode: 0o600 })
  const records: RequestRecord[] = []
  api.onRequest((record) => records.push(record))
  return {
    api,
    apps,
    records,
    controller: (prometheus, node = []) => startControllerProcess({ kubeconfig, prometheus, workDir: dir, node }),
    async stop() {
      await api.stop()
      await rm(dir, { recursive: true, force: true })
    },
  }
}

/** Waits until something is so; throws, or gives up where nobody minds, when it has not become so in time. */
export async function until(what: string, ms: number, test: () => boolean, mustBe = true): Promise<void> {
  for (const end = performance.now() + ms; !test(); await sleep(20)) {
    if (performance.now() < end) continue
    if (mustBe) throw new Error(`not within ${ms} ms: ${what}`)
    return
  }
}

/** No request for so long: what there was to do is done. */
const QUIET_MS = 1_500

/** Waits until a count stands still, and answers it. */
export async function quiet(count: () => number): Promise<number> {
  for (;;) {
    const before = count()
    await sleep(QUIET_MS)
    if (count() === before) return before
  }
}
