import type { ApprovalSpec } from '../../src/api/approval.ts'
import type { Phase, RolloutStatus } from '../../src/api/status.ts'
import type { KubeObject } from '../../src/kube/object.ts'

/** The instant at which the fixtures are looked at. */
export const now = Date.parse('2026-03-02T12:00:00Z')

export function ago(seconds: number): string {
  return new Date(now - seconds * 1000).toISOString()
}

const v1 = {
  revision: 'v1-4f2a90c1de',
  name: 'v1',
  hash: '4f2a90c1de',
  format: 1,
  image: 'shop/checkout:1.9.3',
  workloads: [],
}
const v2 = {
  revision: 'v2-b7730d18aa',
  name: 'v2',
  hash: 'b7730d18aa',
  format: 1,
  image: 'shop/checkout:2.0.0',
  workloads: [],
}

export const stableRevision = v1.revision
export const canaryRevision = v2.revision

export const spec = {
  workload: { subsets: { desired: 'v2', initialStable: 'v1' } },
  traffic: { istio: { virtualService: { name: 'checkout' }, destinationRule: { name: 'checkout' } } },
  steps: [
    { weight: 10, hold: '5m' },
    { weight: 50, hold: '10m', approval: { required: 2, from: ['user:dana@example.com', 'group:release'] } },
    { weight: 100, hold: '5m' },
  ],
  analysis: {
    slis: [
      { name: 'success-rate', successRate: { objective: 99.5 } },
      { name: 'latency', latency: { objective: 99, threshold: '500ms' } },
      { name: 'queue-depth', query: { promql: 'max(queue_depth)', max: 100 } },
    ],
  },
}

const analysis: RolloutStatus['analysis'] = [
  {
    name: 'success-rate',
    good: 12345,
    bad: 3,
    stepEvents: 2345,
    observed: '99.97 %',
    objective: '99.5 %',
    evidence: -1.2,
    verdict: 'Pass',
    since: ago(280),
  },
  {
    name: 'latency',
    good: 12200,
    bad: 148,
    stepEvents: 2345,
    observed: '98.80 % < 500ms',
    objective: '99 % < 500ms',
    evidence: 1.15,
    verdict: 'Undecided',
    since: ago(60),
  },
  {
    name: 'queue-depth',
    objective: 'at most 100',
    observed: '12',
    verdict: 'NoData',
    since: ago(120),
    message: 'Prometheus answered no series',
  },
]

const flight: RolloutStatus = {
  observedGeneration: 1,
  stable: v1,
  canary: v2,
  attempt: 3,
  startedAt: ago(900),
  author: 'Dana Developer <dana@example.com>',
  stepSummary: '1/3',
  step: { index: 1, weight: 10, since: ago(290), heldMs: 0, heldAt: ago(290) },
  analysis,
  git: { committed: true, lastCommit: '9d1c02f7aa31', lastCommitAt: ago(290) },
}

const rolledBack = {
  revision: v2.revision,
  image: v2.image,
  result: 'RolledBack',
  reason: 'Breach.success-rate',
  message: 'success-rate 93.10 % < 99.5 % at 10%',
  at: ago(7200),
} as const

const promoted = {
  revision: v1.revision,
  image: v1.image,
  result: 'Promoted',
  reason: 'Promoted',
  message: `${v1.revision} passed every step and is stable now`,
  at: ago(86_400 * 3),
} as const

/** One realistic status for every phase. */
export const statuses: Record<Phase, RolloutStatus> = {
  Pending: { observedGeneration: 1, phase: 'Pending', message: 'waits for the route and the workloads to be read' },
  Healthy: {
    observedGeneration: 1,
    phase: 'Healthy',
    message: 'v1-4f2a90c1de serves all of the traffic',
    stable: v1,
    lastOutcome: promoted,
    history: [promoted],
  },
  Progressing: { ...flight, phase: 'Progressing', message: 'holds at 10% for 5m, until 12:00:10 at the earliest' },
  AwaitingApproval: {
    ...flight,
    phase: 'AwaitingApproval',
    message: 'waits for approval of 10% → 50% by 2 of user:dana@example.com, group:release',
    step: { index: 1, weight: 10, since: ago(700), heldMs: 0, heldAt: ago(700) },
    approval: { name: 'checkout-d1', step: 2, digest: 'd1', state: 'Pending', since: ago(300) },
  },
  Paused: {
    ...flight,
    phase: 'Paused',
    message: 'paused by user:kim: payday; the guard is on',
    step: { index: 1, weight: 10, since: ago(700), heldMs: 120_000 },
    paused: {
      reason: 'Requested',
      message: 'paused by user:kim: payday; the guard is on',
      by: 'user:kim',
      at: ago(400),
    },
    lastRequest: {
      id: 'r1',
      verb: 'pause',
      by: 'user:kim',
      result: 'Done',
      message: 'nothing moves forward until it is resumed',
      at: ago(400),
    },
  },
  Promoting: {
    ...flight,
    phase: 'Promoting',
    message: 'the stable pods roll to v2-b7730d18aa',
    stepSummary: '3/3',
    step: { index: 3, weight: 100, since: ago(400), heldMs: 300_000, approvedBy: ['user:kim'] },
  },
  RollingBack: {
    ...flight,
    phase: 'RollingBack',
    message: 'success-rate 93.10 % < 99.5 % at 10%; the weight cannot be set: the API server does not answer',
    analysis: [{ ...analysis[0]!, verdict: 'Breach', bad: 880, observed: '93.10 %', evidence: 4.2 }],
    retreating: { result: 'RolledBack', reason: 'Breach.success-rate', message: rolledBack.message, at: ago(2) },
  },
  RolledBack: {
    observedGeneration: 1,
    phase: 'RolledBack',
    message: rolledBack.message,
    stable: v1,
    attempt: 3,
    step: { index: 0, weight: 0, since: ago(7200) },
    analysis: [{ ...analysis[0]!, verdict: 'Breach', bad: 880, observed: '93.10 %', evidence: 4.2 }],
    lastOutcome: rolledBack,
    history: [rolledBack, promoted],
    knownBad: [{ ...v2, reason: rolledBack.reason, message: rolledBack.message, at: rolledBack.at }],
    git: {
      committed: false,
      pending: [
        {
          op: 'op-1',
          kind: 'rollback',
          subject: 'checkout: roll back v2 → v1 (shop): success-rate 93.10 % < 99.5 % at 10%',
          trailers: {},
          at: ago(7200),
          reason: 'https://git.example.com/shop/config.git cannot be reached: connection refused',
        },
      ],
      message: 'https://git.example.com/shop/config.git cannot be reached: connection refused',
    },
  },
  Invalid: {
    observedGeneration: 1,
    phase: 'Invalid',
    message: 'subset v2 is not in DestinationRule checkout. Add the subset to the DestinationRule.',
    stable: v1,
  },
}

export function rollout(name: string, status?: RolloutStatus, namespace = 'shop'): KubeObject {
  return {
    apiVersion: 'sluice.dev/v1alpha1',
    kind: 'Rollout',
    metadata: { namespace, name, generation: 1, creationTimestamp: ago(86_400 * 40) },
    spec,
    ...(status ? { status } : {}),
  }
}

/** An open question of the Rollout `checkout`. */
export function approval(over: Partial<ApprovalSpec> = {}, name = 'checkout-d1'): KubeObject {
  return {
    apiVersion: 'sluice.dev/v1alpha1',
    kind: 'Approval',
    metadata: {
      namespace: 'shop',
      name,
      labels: { 'sluice.dev/rollout': 'checkout' },
    },
    spec: {
      rollout: 'checkout',
      revision: v2.revision,
      step: 2,
      steps: 3,
      from: 10,
      to: 50,
      digest: 'd1',
      required: 2,
      allowed: ['user:dana@example.com', 'group:release'],
      separationOfDuties: false,
      authors: [],
      expiresAt: ago(-3600),
      onExpiry: 'Reject',
      evidence: ['success-rate: Pass, 99.97 % against 99.5 %'],
      decisions: [],
      ...over,
    },
  }
}
