/**
 * What a large repository costs: bytes and time of the first read, of a poll without news, of one with news elsewhere, and of a commit,
 * beside a full clone of the same repository by git itself.
 *
 *   node bench/git.ts [--quick] [--json] [--files N] [--commits N]
 *
 * The repository is made here and served over http on loopback, so that bytes say more than times. Bars: the first read brings at most a
 * tenth of a full clone, and a poll without news is two requests.
 */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { rolloutSpec } from '../src/api/rollout.ts'
import { rolloutSourceSpec } from '../src/api/rolloutsource.ts'
import { createBranches } from '../src/git/branch.ts'
import { createGitRecorder } from '../src/git/record.ts'
import { sourceRef } from '../src/git/source-ref.ts'
import { systemRuntime as runtime } from '../src/runtime.ts'
import { type GitRemote, startGitRemote } from '../src/sandbox/git/remote.ts'
import { type Bar, missed } from './bar.ts'
import { printer, times } from './table.ts'

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean' },
    json: { type: 'boolean' },
    files: { type: 'string' },
    commits: { type: 'string' },
  },
})
const print = printer(values.json)
const files = Number(values.files ?? (values.quick ? 5_000 : 100_000))
const commits = Number(values.commits ?? (values.quick ? 500 : 10_000))
const dir = mkdtempSync(join(tmpdir(), 'sluice-bench-git-'))

const shop = {
  'prod/shop/route.yaml': `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: checkout, namespace: shop }
spec:
  hosts: [checkout]
  http:
    - route:
        - { destination: { host: checkout, subset: v1 }, weight: 100 }
        - { destination: { host: checkout, subset: v2 }, weight: 0 }
`,
  'prod/shop/rollout.yaml': `apiVersion: sluice.dev/v1alpha1
kind: Rollout
metadata: { name: checkout, namespace: shop }
spec:
  workload: { subsets: { desired: v2 } }
  traffic: { istio: { virtualService: { name: checkout } } }
`,
}

interface Cost {
  what: string
  ms: number
  bytes: number
  requests: number
}

try {
  const remote = await startGitRemote({ dir: join(dir, 'mono.git') })
  await generate(remote)
  const costs = await measure(remote)
  await remote.stop()
  report(costs)
} finally {
  rmSync(dir, { recursive: true, force: true })
}

/** One commit with all files and the app under `prod/shop`, then commits that each change one file somewhere; made by git fast-import. */
async function generate(remote: GitRemote): Promise<void> {
  const child = spawn('git', ['fast-import', '--quiet'], { cwd: remote.dir, stdio: ['pipe', 'inherit', 'inherit'] })
  const write = async (text: string) => {
    if (!child.stdin.write(text)) await once(child.stdin, 'drain')
  }
  const file = (path: string, content: string) =>
    `M 100644 inline ${path}\ndata ${Buffer.byteLength(content)}\n${content}\n`
  const head = (n: number) =>
    `commit refs/heads/main\ncommitter Dana <dana@example.com> ${1_700_000_000 + n} +0000\ndata 8\nCommit.\n\n`
  await write(head(0))
  for (const [path, content] of Object.entries(shop)) await write(file(path, content))
  for (let i = 0; i < files; i++) await write(file(pathOf(i), contentOf(i, 0)))
  for (let n = 1; n < commits; n++) await write(head(n) + file(pathOf((n * 7919) % files), contentOf(n, n)))
  child.stdin.end()
  const [code] = await once(child, 'exit')
  if (code !== 0) throw new Error('the repository could not be made')
  execFileSync('git', ['repack', '-a', '-d', '-q'], { cwd: remote.dir })
}

async function measure(remote: GitRemote): Promise<Cost[]> {
  const costs: Cost[] = []
  const cost = async <T>(what: string, job: () => Promise<T>): Promise<T> => {
    const { requests, sent, received } = remote.traffic
    const from = performance.now()
    const result = await job()
    const ms = performance.now() - from
    // A connection is counted when its answer has been closed.
    await runtime.sleep(100)
    const bytes = remote.traffic.sent + remote.traffic.received - sent - received
    costs.push({ what, ms, bytes, requests: remote.traffic.requests - requests })
    return result
  }
  await cost('full clone by git', async () => {
    const child = spawn('git', ['clone', '--quiet', '--bare', remote.url, join(dir, 'full.git')], { stdio: 'ignore' })
    await once(child, 'exit')
  })
  const source = sourceRef(
    { namespace: 'shop', name: 'config' },
    rolloutSourceSpec.parse({ url: remote.url, path: 'prod/shop' }),
  )
  const branches = createBranches({ workDir: join(dir, 'work'), runtime })
  const recorder = createGitRecorder({ branches, runtime, identity: { cluster: 'bench', takeOver: false } })
  const branch = branches.of(source)
  const refresh = () => recorder.refresh(source)
  await cost('first read', async () => {
    await refresh()
    await branch.tree(branch.tip!, source.path)
  })
  await cost('poll without news', refresh)
  for (let i = 0; i < 3; i++) push(remote, i)
  await cost('poll, 3 commits elsewhere', refresh)
  await cost('commit of a step', () => committed())
  await cost('poll after it', refresh)
  await recorder.stop()
  return costs

  function committed(): Promise<void> {
    const spec = rolloutSpec.parse({
      workload: { subsets: { desired: 'v2' } },
      traffic: { istio: { virtualService: { name: 'checkout' } } },
    })
    const rollout = { namespace: 'shop', name: 'checkout', spec }
    const weights = { stable: 'v1', canary: 'v2', weight: 10 }
    const at = new Date(runtime.now()).toISOString()
    const entry = { op: 'bench', kind: 'step', subject: 'checkout: 0% → 10%', trailers: {}, weights, at } as const
    return new Promise((resolve) => {
      const look = () => {
        if (recorder.observe(source, rollout).results.bench?.state === 'Done') resolve()
      }
      recorder.onChange(look)
      recorder.submit(source, rollout, entry, { knownBad: [], evidence: [], approvals: [], attempt: 1 })
    })
  }
}

/** Somebody else's commit, made inside of the remote. */
function push(remote: GitRemote, n: number): void {
  const content = contentOf(n, commits + n)
  const text = `commit refs/heads/main\ncommitter Dana <dana@example.com> ${1_800_000_000 + n} +0000\ndata 5\nNews\nfrom refs/heads/main^0\nM 100644 inline ${pathOf(n)}\ndata ${Buffer.byteLength(content)}\n${content}\n`
  execFileSync('git', ['fast-import', '--quiet'], { cwd: remote.dir, input: text })
}

function report(costs: Cost[]): void {
  const [full, first, poll] = costs
  print.table({
    title: `A repository of ${files.toLocaleString('en')} files and ${commits.toLocaleString('en')} commits, of which one folder is worked on`,
    head: ['what', 'time', 'transferred', 'of a full clone', 'requests'],
    rows: costs.map(({ what, ms, bytes, requests }) => [
      what,
      `${(ms / 1000).toFixed(2)} s`,
      bytes > 1e6 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e3).toFixed(1)} kB`,
      times(bytes / full!.bytes),
      String(requests),
    ]),
  })
  const share = first!.bytes / full!.bytes
  const bars: Bar[] = [
    { what: 'first read, of a full clone', measured: times(share), bar: '0.10×', met: values.quick || share <= 0.1 },
    { what: 'requests of a poll without news', measured: String(poll!.requests), bar: '2', met: poll!.requests <= 2 },
  ]
  for (const line of missed(bars)) print.note(line)
  print.note(`resident memory of this process: ${(process.memoryUsage().rss / 1e6).toFixed(0)} MB`)
}

function pathOf(i: number): string {
  return `team-${i % 40}/service-${Math.floor(i / 40) % 50}/file-${i}.yaml`
}

/** Text that compresses about as well as manifests do. */
function contentOf(seed: number, version: number): string {
  const words = Array.from({ length: 40 }, (_, i) => `key${i}: value-${((seed + 1) * (i + 3) * 40_503) % 1_000_003}`)
  return `version: ${version}\n${words.join('\n')}\n`
}
