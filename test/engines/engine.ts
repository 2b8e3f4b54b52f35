import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { parseAllDocuments } from 'yaml'
import type { KubeClient } from '../../src/kube/client.ts'
import { asKubeError } from '../../src/kube/kube-error.ts'
import type { KubeObject } from '../../src/kube/object.ts'
import { systemRuntime as runtime } from '../../src/runtime.ts'

const run = promisify(execFile)

/** How a GitOps engine writes one object it finds declared; `live` is what the cluster has. */
export type Writer = (client: KubeClient, declared: KubeObject, live: KubeObject | undefined) => Promise<void>

/** A GitOps engine that applies what a repository declares, again and again, whether or not anything changed. */
export interface Engine {
  /** Times that everything was applied. */
  syncs(): number
  stop(): Promise<void>
}

export interface EngineOptions {
  client: KubeClient
  /** A bare repository, and the folder in it that is applied. */
  repository: string
  path: string
  write: Writer
  periodMs?: number
}

/** Applies everything under `path` of the branch main every second, with self-heal. */
export function startEngine({ client, repository, path, write, periodMs = 1_000 }: EngineOptions): Engine {
  const stopped = new AbortController()
  let declared: { tip: string; objects: KubeObject[] } | undefined
  let syncs = 0

  async function sync(): Promise<void> {
    const tip = await git('rev-parse', 'main')
    if (declared?.tip !== tip) declared = { tip, objects: await read(tip) }
    for (const object of declared.objects) {
      const resource = await client.resourceFor(object.apiVersion, object.kind)
      if (!resource) continue
      const { namespace, name } = object.metadata
      const live = await client.get(resource, { namespace, name })
      await write(client, object, live)
    }
    syncs++
  }

  async function read(tip: string): Promise<KubeObject[]> {
    const files = (await git('ls-tree', '-r', '--name-only', tip, '--', `${path}/`)).split('\n')
    const yaml = files.filter((file) => file.endsWith('.yaml') && !file.includes('/.sluice/'))
    const texts = await Promise.all(yaml.map((file) => git('show', `${tip}:${file}`)))
    const documents = texts.flatMap((text) => parseAllDocuments(text).map((each) => each.toJS() as KubeObject))
    // Rollouts after what they name.
    return documents.sort((a, b) => Number(a.kind === 'Rollout') - Number(b.kind === 'Rollout'))
  }

  async function git(...args: string[]): Promise<string> {
    return (await run('git', ['-C', repository, ...args])).stdout.trim()
  }

  async function work(): Promise<void> {
    while (!stopped.signal.aborted) {
      // Somebody wrote in between, or the API server was busy: the next round does it.
      await sync().catch((error: unknown) => {
        if (!asKubeError(error) && !stopped.signal.aborted) throw error
      })
      await runtime.sleep(periodMs, stopped.signal).catch(() => undefined)
    }
  }

  const working = work()
  return {
    syncs: () => syncs,
    async stop() {
      stopped.abort()
      await working
    },
  }
}

/** What a Flux Kustomization says may differ from Git. */
export interface IgnoreRule {
  paths: string[]
  target?: { kind?: string; name?: string }
}

/**
 * As Flux: server-side apply with force, under its field manager, of what differs from Git. A path that is ignored takes the live value
 * where the object has one, and makes no difference; an object that says IfNotPresent is created and then left alone.
 */
export function flux(ignore: readonly IgnoreRule[] = []): Writer {
  return async (client, declared, live) => {
    const policy = declared.metadata.annotations?.['kustomize.toolkit.fluxcd.io/ssa']
    if (live && policy === 'IfNotPresent') return
    const body = structuredClone(declared)
    for (const { paths, target } of ignore) {
      const concerned =
        matches(target?.kind, body.kind) && matches(target?.name, body.metadata.name) && live !== undefined
      if (concerned) for (const path of paths) adopt(body, live, path)
    }
    if (live && contains(live, body)) return
    const resource = await client.resourceFor(body.apiVersion, body.kind)
    if (!resource) throw new Error(`nobody serves ${body.kind}`)
    const { namespace, name } = body.metadata
    const apply = { type: 'apply', body, force: true } as const
    await client.patch(resource, { namespace, name }, apply, { fieldManager: 'kustomize-controller' })
  }
}

/**
 * As Argo CD: the whole spec, under its field manager, what others put into metadata left alone. Where weights may differ and that is
 * to be respected, all of spec.http stays as it is live: lists of custom resources are copied whole.
 */
export function argocd(respects = false): Writer {
  return async (client, declared, live) => {
    const resource = await client.resourceFor(declared.apiVersion, declared.kind)
    if (!resource) throw new Error(`nobody serves ${declared.kind}`)
    const fieldManager = 'argocd-controller'
    if (!live) {
      await client.create(resource, declared, { fieldManager })
      return
    }
    const spec = structuredClone(declared.spec) as Record<string, unknown>
    const liveSpec = live.spec as Record<string, unknown>
    if (respects && declared.kind === 'VirtualService' && Array.isArray(spec.http)) spec.http = liveSpec.http
    await client.replace(resource, { ...live, spec }, { fieldManager })
  }
}

function matches(pattern: string | undefined, text: string): boolean {
  return pattern === undefined || new RegExp(`^(?:${pattern})$`).test(text)
}

/** Whether everything that is declared is live; what is live besides belongs to others. Lists are whole. */
function contains(live: unknown, declared: unknown): boolean {
  if (Array.isArray(declared))
    return (
      Array.isArray(live) && live.length === declared.length && declared.every((each, i) => contains(live[i], each))
    )
  if (!declared || typeof declared !== 'object') return live === declared
  if (!live || typeof live !== 'object') return false
  return Object.entries(declared).every(([key, value]) => contains(Reflect.get(live, key), value))
}

/** Puts the live value of a JSON pointer into what is to be applied, where both have one. */
function adopt(body: object, live: object, pointer: string): void {
  const keys = pointer
    .split('/')
    .slice(1)
    .map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'))
  const last = keys.pop() ?? ''
  const parent = (of: object) =>
    keys.reduce<unknown>((at, key) => (at && typeof at === 'object' ? Reflect.get(at, key) : undefined), of)
  const [to, from] = [parent(body), parent(live)]
  if (to && typeof to === 'object' && from && typeof from === 'object' && last in from)
    Reflect.set(to, last, Reflect.get(from, last))
}
