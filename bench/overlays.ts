/**
 * What a commit costs where a thousand kustomize overlays are read: rendering all of them for the first time, again when one of them has
 * changed, and again when the base of all has.
 *
 *   node bench/overlays.ts [--quick] [--json] [--overlays N]
 *
 * Bar: a commit that touches one overlay costs at most a tenth of the first rendering. All times are of one process and machine; their
 * ratio is what counts.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { rolloutSourceSpec } from '../src/api/rolloutsource.ts'
import { type Branch, createBranches } from '../src/git/branch.ts'
import { readDeclarations } from '../src/git/declared.ts'
import { kustomizedIn } from '../src/git/kustomized.ts'
import { sourceRef } from '../src/git/source-ref.ts'
import { systemRuntime as runtime } from '../src/runtime.ts'
import { type Bar, missed } from './bar.ts'
import { printer, times } from './table.ts'

const { values } = parseArgs({
  options: { quick: { type: 'boolean' }, json: { type: 'boolean' }, overlays: { type: 'string' } },
})
const print = printer(values.json)
const overlays = Number(values.overlays ?? (values.quick ? 100 : 1_000))
const dir = mkdtempSync(join(tmpdir(), 'sluice-bench-overlays-'))
const remote = join(dir, 'config.git')
const kinds = [
  { group: 'apps', kind: 'Deployment' },
  { group: 'networking.istio.io', kind: 'VirtualService' },
  { group: 'sluice.dev', kind: 'Rollout' },
]

const base = (image: string) => `apiVersion: apps/v1
kind: Deployment
metadata: { name: checkout }
spec:
  selector: { matchLabels: { app: checkout } }
  template:
    metadata: { labels: { app: checkout } }
    spec:
      containers:
        - name: app
          image: ${image}
          env: [{ name: A, value: "1" }, { name: B, value: "2" }]
          ports: [{ containerPort: 8080 }]
          readinessProbe: { httpGet: { path: /ready, port: 8080 } }
          resources: { requests: { cpu: 100m, memory: 128Mi }, limits: { memory: 256Mi } }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: checkout }
spec:
  hosts: [checkout]
  http:
    - name: primary
      route:
        - { destination: { host: checkout, subset: stable }, weight: 100 }
        - { destination: { host: checkout, subset: canary }, weight: 0 }
---
apiVersion: sluice.dev/v1alpha1
kind: Rollout
metadata: { name: checkout }
spec:
  workload: { deployment: { name: checkout } }
  traffic: { istio: { virtualService: { name: checkout } } }
`
const overlay = (i: number, tag: string) => `namespace: tenant-${i}
resources: [../../base]
images: [{ name: checkout, newTag: "${tag}" }]
patches: [{ path: patch.yaml }]
`
const patch = (i: number) => `apiVersion: apps/v1
kind: Deployment
metadata: { name: checkout }
spec:
  replicas: ${1 + (i % 5)}
  template: { spec: { containers: [{ name: app, env: [{ name: TENANT, value: "${i}" }] }] } }
`

interface Cost {
  what: string
  ms: number
  cpuMs: number
  heapMb: number
}

try {
  execFileSync('git', ['init', '--quiet', '--bare', '--initial-branch=main', remote])
  commit(
    new Map([
      ['base/kustomization.yaml', 'resources: [all.yaml]\n'],
      ['base/all.yaml', base('checkout:0')],
      ...Array.from({ length: overlays }, (_, i) => `prod/tenant-${i}`).flatMap((folder, i): [string, string][] => [
        [`${folder}/kustomization.yaml`, overlay(i, '1')],
        [`${folder}/patch.yaml`, patch(i)],
      ]),
    ]),
  )
  const source = sourceRef(
    { namespace: 'shop', name: 'config' },
    rolloutSourceSpec.parse({ url: `file://${remote}`, path: 'prod' }),
  )
  const branches = createBranches({ workDir: join(dir, 'work'), runtime })
  const branch = branches.of(source)
  const costs = [
    await cost('first rendering', branch, locate),
    await cost('first rendering, to apply', branch, declare),
  ]
  commit(new Map([['prod/tenant-7/kustomization.yaml', overlay(7, '2')]]))
  costs.push(await cost('one overlay has changed', branch, locate))
  costs.push(await cost('the same, to apply', branch, declare))
  commit(new Map([['base/all.yaml', base('checkout:1')]]))
  costs.push(await cost('the base of all has changed', branch, locate))
  report(costs)
} finally {
  rmSync(dir, { recursive: true, force: true })
}

/** All that is looked for when a Rollout's objects are read or edited. */
async function locate(branch: Branch): Promise<void> {
  const tree = await branch.tree(branch.tip!, 'prod')
  for (const kind of kinds) {
    const { objects } = await kustomizedIn(tree, kind)
    if (objects.length !== overlays) throw new Error(`${objects.length} of ${overlays} ${kind.kind}s were rendered`)
  }
}

/** All that is applied under apply: All. */
async function declare(branch: Branch): Promise<void> {
  const tree = await branch.tree(branch.tip!, 'prod', { reach: true })
  const { objects } = await readDeclarations(tree, branch.repository, 'prod', 'All')
  if (objects.length !== 3 * overlays) throw new Error(`${objects.length} objects were rendered`)
}

async function cost(what: string, branch: Branch, job: (branch: Branch) => Promise<void>): Promise<Cost> {
  const fetched = await branch.refresh(undefined)
  if (!fetched.ok) throw new Error(fetched.problem.message)
  const [from, cpu] = [performance.now(), process.cpuUsage()]
  await job(branch)
  const { user, system } = process.cpuUsage(cpu)
  const ms = performance.now() - from
  globalThis.gc?.()
  return { what, ms, cpuMs: (user + system) / 1000, heapMb: process.memoryUsage().heapUsed / 1e6 }
}

function commit(files: Map<string, string>): void {
  const parent = execFileSync('git', ['for-each-ref', 'refs/heads/main'], { cwd: remote }).length > 0
  const changes = [...files].map(
    ([path, text]) => `M 100644 inline ${path}\ndata ${Buffer.byteLength(text)}\n${text}\n`,
  )
  const head = `commit refs/heads/main\ncommitter Dana <dana@example.com> 1700000000 +0000\ndata 5\nNews\n`
  const input = `${head}${parent ? 'from refs/heads/main^0\n' : ''}${changes.join('')}`
  execFileSync('git', ['fast-import', '--quiet'], { cwd: remote, input })
}

function report(costs: Cost[]): void {
  const [first, , one] = costs
  print.table({
    title: `${overlays.toLocaleString('en')} overlays of one base, each with images and a patch`,
    head: ['what', 'time', 'CPU', 'of the first', 'heap after'],
    rows: costs.map(({ what, ms, cpuMs, heapMb }) => [
      what,
      `${(ms / 1000).toFixed(2)} s`,
      `${(cpuMs / 1000).toFixed(2)} s`,
      times(cpuMs / first!.cpuMs),
      `${heapMb.toFixed(0)} MB`,
    ]),
  })
  const share = one!.cpuMs / first!.cpuMs
  const bars: Bar[] = [
    {
      what: 'one overlay has changed, of all',
      measured: times(share),
      bar: '0.10×',
      met: values.quick || share <= 0.1,
    },
  ]
  for (const line of missed(bars)) print.note(line)
}
