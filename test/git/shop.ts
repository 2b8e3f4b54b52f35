import { onTestFinished } from 'vitest'
import { rolloutSpec } from '../../src/api/rollout.ts'
import { type RolloutSourceSpec, rolloutSourceSpec } from '../../src/api/rolloutsource.ts'
import type { PendingCommit } from '../../src/api/status.ts'
import { createBranches } from '../../src/git/branch.ts'
import type { Credentials } from '../../src/git/credentials.ts'
import type { RolloutRef } from '../../src/git/owned.ts'
import { createGitRecorder, type GitRecorder } from '../../src/git/record.ts'
import { type SourceRef, sourceRef } from '../../src/git/source-ref.ts'
import type { StateFile } from '../../src/plan/effects.ts'
import type { CommitResult } from '../../src/plan/observation.ts'
import { type Runtime, systemRuntime } from '../../src/runtime.ts'
import { temporaryFolder } from './workbench.ts'

export const virtualService = (stable: number, canary: number, name = 'checkout') => `# The shop's ${name}
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: ${name}
  namespace: shop
spec:
  hosts: [${name}]
  http:
    - name: primary
      route:
        - destination: { host: ${name}, subset: v1 }
          weight: ${stable}   # weight of the old one
        - destination: { host: ${name}, subset: v2 }
          weight: ${canary}
`

export const rolloutManifest = (desired: string, name = 'checkout') => `apiVersion: sluice.dev/v1alpha1
kind: Rollout
metadata: { name: ${name}, namespace: shop }
spec:
  workload:
    subsets:
      desired: ${desired}   # the one to move to
  traffic: { istio: { virtualService: { name: ${name} } } }
`

export const shopFiles = (name = 'checkout') => ({
  [`prod/${name}-vs.yaml`]: virtualService(100, 0, name),
  [`prod/${name}.yaml`]: rolloutManifest('v2', name),
})

export function sourceOf(url: string, spec: Partial<RolloutSourceSpec> = {}, credentials?: Credentials): SourceRef {
  const parsed = rolloutSourceSpec.parse({ url, path: 'prod', allowedNamespaces: ['shop'], ...spec })
  return sourceRef({ name: 'shop-config', namespace: 'delivery' }, parsed, credentials)
}

export function rolloutRef(name = 'checkout', desired = 'v2'): RolloutRef {
  const spec = rolloutSpec.parse({
    workload: { subsets: { desired } },
    traffic: { istio: { virtualService: { name } } },
  })
  return { namespace: 'shop', name, spec }
}

let ops = 0

export function moveTo(weight: number, more: Partial<PendingCommit> = {}): PendingCommit {
  ops += 1
  return {
    op: `op-${ops}`,
    kind: 'step',
    subject: `checkout: → ${weight}% (shop)`,
    trailers: { Revision: 'v2-abc', Step: '1/3' },
    weights: { stable: 'v1', canary: 'v2', weight },
    at: '2026-11-22T10:00:00Z',
    ...more,
  }
}

export const stateAt = (weight: number): StateFile => ({
  stable: { revision: 'v1-aaa', name: 'v1', hash: 'aaa' },
  step: { index: 1, weight },
  attempt: 1,
  knownBad: [],
  evidence: ['success-rate 99.9%'],
  approvals: [],
})

/** The real clock, but nobody waits longer than 50 ms. */
export const hasty: Runtime = {
  ...systemRuntime,
  sleep: (ms, signal) => systemRuntime.sleep(ms < 10_000 ? Math.min(ms, 50) : ms, signal),
}

export function recorder(
  options: {
    cluster?: string
    takeOver?: boolean
    workDir?: string
    timeoutMs?: number
    onError?: (error: unknown) => void
  } = {},
): GitRecorder {
  const { cluster = 'prod-eu', takeOver = false, workDir = temporaryFolder(), timeoutMs } = options
  const branches = createBranches({ workDir, runtime: hasty, timeoutMs })
  const made = createGitRecorder({
    branches,
    runtime: hasty,
    identity: { cluster, takeOver },
    onError:
      options.onError ??
      ((error) => {
        throw error
      }),
  })
  onTestFinished(() => made.stop())
  return made
}

/** What becomes of an operation, once it is more than waiting for its turn. */
export async function resultOf(
  git: GitRecorder,
  source: SourceRef,
  rollout: RolloutRef,
  op: string,
  accept: (result: CommitResult) => boolean = (result) => result.state !== 'Waiting',
  ms?: number,
): Promise<CommitResult> {
  return eventually(() => {
    const result = git.observe(source, rollout).results[op]
    return result && accept(result) ? result : undefined
  }, ms)
}

export async function eventually<T>(look: () => T | undefined, ms = 15_000): Promise<T> {
  const end = performance.now() + ms
  for (;;) {
    const found = look()
    if (found !== undefined) return found
    if (performance.now() > end) throw new Error('it did not come to pass')
    await systemRuntime.sleep(5)
  }
}
