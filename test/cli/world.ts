import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { crdOf } from '../../src/api/crd.ts'
import { kinds } from '../../src/api/kinds.ts'
import type { RolloutStatus } from '../../src/api/status.ts'
import { run } from '../../src/cli/program.ts'
import type { Terminal } from '../../src/cli/terminal.ts'
import type { KubeObject } from '../../src/kube/object.ts'
import { type Runtime, systemRuntime } from '../../src/runtime.ts'
import { type ApiServer, type ApiServerOptions, startApiServer } from '../../src/sandbox/apiserver/index.ts'

export const rolloutsRef = { group: 'sluice.dev', plural: 'rollouts' }
export const approvalsRef = { group: 'sluice.dev', plural: 'approvals' }
const crdsRef = { group: 'apiextensions.k8s.io', plural: 'customresourcedefinitions' }

/** What a command said and answered. */
export interface Said {
  code: number
  out: string
  err: string
}

/** A cluster with the CRDs, and people with kubeconfigs. */
export interface World {
  server: ApiServer
  dir: string
  /** Path of the kubeconfig of a user. */
  kubeconfig(user?: string): string
  /** Creates or replaces a Rollout, with this status. */
  put(object: KubeObject): KubeObject
  setStatus(name: string, status: RolloutStatus): void
  get(name: string): KubeObject
  /** Runs a command line in this process as this user. */
  sluice(argv: readonly string[], options?: { user?: string; terminal?: Partial<Terminal> }): Promise<Said>
  stop(): Promise<void>
}

export const people = {
  dana: { username: 'dana@example.com', groups: ['system:authenticated'] },
  kim: { username: 'kim', groups: ['release', 'payroll', 'system:authenticated'] },
  lee: { username: 'lee', groups: ['system:authenticated'] },
}

export async function createWorld(options: ApiServerOptions & { crds?: boolean } = {}): Promise<World> {
  const tokens = Object.fromEntries(Object.entries(people).map(([name, user]) => [`${name}-token`, user]))
  const server = await startApiServer({ meshCrds: false, tokens, ...options })
  const dir = await mkdtemp(join(tmpdir(), 'sluice-cli-'))
  const { storage } = server
  if (options.crds !== false) {
    for (const kind of Object.values(kinds)) storage.create(crdsRef, crdOf(kind) as unknown as KubeObject)
  }
  storage.create(
    { group: '', plural: 'namespaces' },
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } },
  )
  const users = [undefined, ...Object.values(people).map(({ username }) => username)]
  const path = (user?: string) => join(dir, `${user ?? 'admin'}.kubeconfig`)
  for (const user of users) await writeFile(path(user), server.kubeconfig(user))

  function setStatus(name: string, status: RolloutStatus): void {
    const live = storage.get(rolloutsRef, { namespace: 'shop', name })
    if (!live) throw new Error(`no Rollout ${name}`)
    storage.updateStatus(rolloutsRef, { ...structuredClone(live), status })
  }

  return {
    server,
    dir,
    kubeconfig: path,
    put(object) {
      const { status, ...rest } = object
      const { namespace, name } = object.metadata
      storage.remove(rolloutsRef, { namespace, name })
      const created = storage.create(rolloutsRef, rest)
      return status ? storage.updateStatus(rolloutsRef, { ...structuredClone(created), status }) : created
    },
    setStatus,
    get(name) {
      const live = storage.get(rolloutsRef, { namespace: 'shop', name })
      if (!live) throw new Error(`no Rollout ${name}`)
      return live
    },
    async sluice(argv, { user, terminal } = {}) {
      const said = { out: '', err: '' }
      const runtime: Runtime = systemRuntime
      const code = await run([...argv], {
        out: (text) => (said.out += text),
        err: (text) => (said.err += text),
        interactive: false,
        columns: undefined,
        rows: 24,
        colours: false,
        env: { KUBECONFIG: path(user) },
        runtime,
        untilStopped: () => new Promise(() => {}),
        ...terminal,
      })
      return { code, ...said }
    },
    async stop() {
      await server.stop()
      await rm(dir, { recursive: true, force: true })
    },
  }
}
