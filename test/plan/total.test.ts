import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type RolloutStatus, rolloutStatus } from '../../src/api/status.ts'
import { errors, type Problem } from '../../src/errors.ts'
import type {
  DeploymentObservation,
  Observation,
  PairObservation,
  RevisionObservation,
} from '../../src/plan/observation.ts'
import { plan } from '../../src/plan/plan.ts'
import * as ofDeployments from './deployment/history.ts'
import { revisionOfTemplate } from './deployment/native.ts'
import { version } from './deployment/world.ts'
import { histories, play } from './history.ts'
import { World } from './world.ts'

const now = Date.parse('2026-01-01T00:00:00Z')
const text = fc.oneof(fc.string(), fc.constantFrom('', 'v1', 'v2', 'one\ntwo', 'x'.repeat(3_000)))
const percent = fc.oneof(fc.constantFrom(0, 5, 10, 50, 100), fc.double({ min: 0, max: 100, noNaN: true }))
const millis = fc.integer({ min: now - 1e9, max: now + 1e9 })
const count = fc.nat({ max: 1_000_000 })
const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined })
const reason = fc.constantFrom(...(Object.keys(errors) as Problem['reason'][]))
const problem = fc.record<Problem, 'reason' | 'message'>(
  { reason, message: text, field: text },
  { requiredKeys: ['reason', 'message'] },
)
const templates = new World()

const record = fc
  .tuple(fc.constantFrom('v1', 'v2', 'v3'), fc.boolean(), fc.constantFrom('my-app', 'my-app-canary'), fc.nat(3))
  .map(([name, subset, workload, generation]) =>
    subset
      ? templates.revision(name)
      : revisionOfTemplate(version(name), { name: workload, uid: `uid-${generation}`, generation }),
  )

const revision: fc.Arbitrary<RevisionObservation> = fc
  .tuple(record, fc.nat(3), fc.nat(3), maybe(text), maybe(text))
  .map(([known, replicas, ready, notReady, rolling]) => ({
    ...known,
    replicas,
    ready,
    notReady,
    rolling,
  }))

const pair: fc.Arbitrary<PairObservation> = fc.oneof(
  fc.record({ ok: fc.constant(false as const), problem }),
  fc.record({
    ok: fc.constant(true as const),
    stable: text,
    canary: text,
    weight: percent,
    sum: fc.constantFrom(1, 3, 10, 100, 1_000),
    uneven: fc.boolean(),
    lowest: maybe(percent),
    resourceVersion: fc.constantFrom('1', '2'),
    writer: maybe(
      fc.record({ manager: fc.constantFrom('kubectl', 'sluice', 'sluice-retreat.Breach.x', 'sluice-retreat.Aborted') }),
    ),
  }),
)

const pods = fc.nat(12)
const revisionName = record.map((known) => known.revision)

/** Deployments of the right shape that Kubernetes would never bring about. */
const deployment: fc.Arbitrary<DeploymentObservation> = fc.record({
  name: text,
  uid: fc.constantFrom('uid-1', 'uid-2'),
  resourceVersion: fc.constantFrom('1', '2'),
  replicas: pods,
  ready: pods,
  paused: fc.boolean(),
  labelled: fc.boolean(),
  breakGlass: fc.boolean(),
  running: fc.array(
    fc.tuple(record, pods, pods).map(([known, n, ready]) => ({
      revision: known.revision,
      hash: known.hash,
      pods: n,
      ready,
    })),
    { maxLength: 3 },
  ),
  settled: fc.boolean(),
  stuck: maybe(text),
  latch: fc.oneof(
    fc.constant({ state: 'Unknown' as const }),
    fc.record({ state: fc.constant('Proven' as const), at: millis }),
    fc.record({ state: fc.constant('Missing' as const), at: millis, message: text }),
  ),
  canary: maybe(
    fc.record({
      name: text,
      revision: fc.oneof(revisionName, text),
      asked: pods,
      replicas: pods,
      ready: pods,
      pods,
      intact: fc.boolean(),
      deleting: fc.boolean(),
      notReady: maybe(text),
    }),
  ),
  autoscaler: maybe(fc.record({ name: text, min: pods, floored: fc.boolean() })),
})

const specs = [
  {},
  { suspend: true },
  { steps: [{ weight: 100, hold: '1s', approval: { from: ['user:a'] } }] },
  { workload: { deployment: { name: 'my-app' } } },
  { workload: { deployment: { name: 'my-app', latch: 'Pause', canaryReplicas: '33%', progressDeadline: '1s' } } },
].map((spec) => new World(spec).spec)

const sli = fc.record({
  name: text,
  kind: fc.constantFrom('successRate' as const, 'latency' as const, 'query' as const),
  answer: fc.constantFrom('Fresh' as const, 'Fresh' as const, 'NoData' as const, 'Error' as const),
  message: maybe(text),
  verdict: fc.constantFrom(
    'Pass' as const,
    'Breach' as const,
    'Undecided' as const,
    'NoData' as const,
    'Error' as const,
  ),
  good: count,
  bad: count,
  stepEvents: count,
  stepWindows: fc.nat(3),
  observed: maybe(text),
  objective: text,
  evidence: maybe(fc.double()),
  newestAt: maybe(millis),
  completeThrough: maybe(millis),
  gap: maybe(fc.boolean()),
  checkpoint: maybe(fc.constantFrom('c', 'c'.repeat(10_000))),
})

const bad = fc.record({ revision: text, name: text, hash: text, reason: text, at: fc.constant('2025-12-31T00:00:00Z') })
const result = fc.oneof(
  fc.record({ state: fc.constant('Done' as const), sha: maybe(text), at: millis, note: maybe(text) }),
  fc.record({ state: fc.constant('Waiting' as const), message: text }),
  fc.record({
    state: fc.constant('Conflict' as const),
    message: text,
    commit: text,
    author: text,
    weight: maybe(percent),
  }),
  fc.record({ state: fc.constant('Refused' as const), problem }),
)

/** Observations of the right shape that no world would show. */
function observations(status: RolloutStatus): fc.Arbitrary<Observation> {
  const ops = (status.git?.pending ?? []).map((e) => e.op)
  return fc.record({
    rollout: fc.record({
      uid: text,
      namespace: text,
      name: fc.constantFrom('a', 'my-app', 'x'.repeat(253)),
      generation: count,
      deleting: fc.boolean(),
      deletedAt: maybe(millis),
      namespaceTerminating: maybe(fc.boolean()),
      hasFinalizer: fc.boolean(),
    }),
    spec: fc.oneof(
      fc.record({ ok: fc.constant(false as const), problem }),
      fc.constantFrom(...specs).map((value) => ({ ok: true as const, value })),
    ),
    conflict: maybe(problem),
    workload: fc.oneof(
      fc.record({
        ok: fc.constant(false as const),
        problem,
        seen: maybe(
          fc.record({ desired: text, stable: maybe(revision), canary: maybe(revision), template: maybe(record) }),
        ),
        deployment: maybe(deployment),
      }),
      fc.record({
        ok: fc.constant(true as const),
        desired: revision,
        stable: maybe(revision),
        canary: maybe(revision),
        all: fc.array(revision, { maxLength: 3 }),
        deployment: maybe(deployment),
      }),
    ),
    traffic: fc.record({
      shares: fc.dictionary(fc.constantFrom('v1', 'v2', 'v3', 'stable', 'canary'), percent),
      problem: maybe(problem),
      recorded: maybe(pair),
      desired: maybe(pair),
    }),
    analysis: fc.record({ slis: fc.array(sli, { maxLength: 3 }), problem: maybe(problem) }),
    git: fc.record({
      mode: fc.constantFrom('Off' as const, 'Push' as const, 'PullRequest' as const),
      commits: fc.constantFrom('EveryStep' as const, 'Outcomes' as const),
      problem: maybe(problem),
      results: fc
        .array(result, { maxLength: ops.length })
        .map((all) => Object.fromEntries(all.map((r, i) => [ops[i], r]))),
      conflict: maybe(fc.record({ weight: percent, commit: text, author: text })),
      memory: maybe(
        fc.record({
          cluster: text,
          stable: maybe(
            fc.record({ revision: text, name: fc.constantFrom('v1', 'v9'), hash: text, image: maybe(text) }),
          ),
          step: maybe(fc.record({ index: count, weight: percent })),
          knownBad: fc.array(bad, { maxLength: 25 }),
          attempt: maybe(count),
        }),
      ),
      known: fc.boolean(),
      tip: maybe(text),
      author: maybe(text),
    }),
    approval: maybe(
      fc.record({
        name: fc.constantFrom(status.approval?.name ?? 'a', 'b'),
        digest: fc.constantFrom(status.approval?.digest ?? 'a', 'b'),
        state: fc.constantFrom('Pending' as const, 'Approved' as const, 'Rejected' as const, 'Expired' as const),
        by: fc.array(text, { maxLength: 2 }),
        reason: maybe(text),
      }),
    ),
    request: maybe(
      fc.record({
        id: text,
        verb: fc.constantFrom(
          'pause' as const,
          'resume' as const,
          'promote' as const,
          'abort' as const,
          'retry' as const,
        ),
        revision: maybe(text),
        step: maybe(fc.nat(3)),
        reason: maybe(text),
        full: maybe(fc.boolean()),
        by: maybe(text),
      }),
    ),
    unreadableRequest: maybe(fc.record({ id: text, verb: text, by: maybe(text), message: text })),
  })
}

/** Statuses that rollouts really get into. */
const statuses: RolloutStatus[] = [{}]
for (const history of fc.sample(histories(10), { numRuns: 60, seed: 7 })) {
  const seen: RolloutStatus[] = []
  play(history, undefined, (status) => seen.push(status))
  statuses.push(...seen.filter((_, i) => i % 7 === 0))
}

for (const history of fc.sample(ofDeployments.histories(10), { numRuns: 60, seed: 7 })) {
  const seen: RolloutStatus[] = []
  ofDeployments.play(history, undefined, (status) => seen.push(status))
  statuses.push(...seen.filter((_, i) => i % 7 === 0))
}

describe('plan is total', () => {
  test('it never throws, answers one line, and a status that can be written, whatever is observed in whatever state', {
    timeout: 0,
  }, () => {
    const cases = fc.constantFrom(...statuses).chain((status) => fc.tuple(fc.constant(status), observations(status)))
    fc.assert(
      fc.property(cases, fc.integer({ min: now - 1e8, max: now + 1e10 }), ([status, o], at) => {
        let current = status
        for (let look = 0; look < 3; look++) {
          const decided = plan(current, o, at + look)
          expect(decided.status.message).toMatch(/^[^\r\n]+$/)
          for (const s of [decided.status, decided.fallback])
            expect(rolloutStatus.safeParse(JSON.parse(JSON.stringify(s))).error).toBeUndefined()
          const weights = decided.effects.filter((e) => e.kind === 'setWeight')
          expect(weights.length).toBeLessThanOrEqual(1)
          for (const w of weights) expect(w.weight >= 0 && w.weight <= 100).toBe(true)
          current = decided.status
        }
      }),
      { numRuns: Math.ceil(0.3 * Number(process.env.SLUICE_HISTORIES ?? 10_000)) },
    )
  })
})
