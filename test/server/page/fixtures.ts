import { parseRolloutSpec } from '../../../src/api/parse.ts'
import type { RolloutSpec } from '../../../src/api/rollout.ts'
import type { RolloutStatus } from '../../../src/api/status.ts'
import type { KubeObject } from '../../../src/kube/object.ts'
import type { PageInput } from '../../../src/server/page/view.ts'
import { rolloutOf } from '../../scenario/manifests.ts'

export const NOW = Date.parse('2026-03-02T10:00:00Z')
export const iso = (ms: number) => new Date(NOW + ms).toISOString()

export const revision = (name: string) => ({ revision: `${name}-abc`, name, hash: 'abc', format: 1, workloads: [] })

export function specOf(given: Record<string, unknown> = {}): RolloutSpec {
  const parsed = parseRolloutSpec(rolloutOf('shop', given).spec)
  if (!parsed.ok) throw new Error(parsed.problem.message)
  return parsed.value
}

/** A canary at the first of three steps, ten seconds into a hold of a minute. */
export function inFlight(given: Partial<RolloutStatus> = {}): RolloutStatus {
  return {
    phase: 'Progressing',
    message: 'holds at 10% for 1m',
    attempt: 1,
    startedAt: iso(-20_000),
    stable: revision('v1'),
    canary: revision('v2'),
    stepSummary: '1/3',
    step: { index: 1, weight: 10, since: iso(-10_000), heldAt: iso(-10_000) },
    analysis: [
      { name: 'success-rate', good: 97, bad: 3, stepEvents: 60, objective: '99 %', verdict: 'Undecided', evidence: 1 },
    ],
    ...given,
  }
}

export const minuteSteps = [
  { weight: 10, hold: '1m' },
  { weight: 50, hold: '1m', approval: { from: ['user:dana', 'user:lee'], required: 2 } },
  { weight: 100, hold: '1m' },
]

export function inputOf(status: RolloutStatus, given: Partial<PageInput> = {}): PageInput {
  return {
    namespace: 'shop',
    name: 'app',
    status,
    spec: specOf({ steps: minuteSteps }),
    outdated: false,
    deleting: false,
    course: undefined,
    questions: [],
    dependencies: [],
    undelivered: [],
    operations: undefined,
    ...given,
  }
}

export function objectOf(namespace: string, name: string, status: RolloutStatus = {}): KubeObject {
  return {
    apiVersion: 'sluice.dev/v1alpha1',
    kind: 'Rollout',
    metadata: { namespace, name, creationTimestamp: iso(-86_400_000) },
    spec: rolloutOf(namespace).spec,
    status,
  }
}
