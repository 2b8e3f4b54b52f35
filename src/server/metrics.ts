import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { Outcome, Phase, SliStatus } from '../api/status.ts'
import { boundedLabel } from './metric-label.ts'

/** A Rollout as the gauges show it. */
export interface RolloutGauges {
  phase: Phase
  /** Percent of the traffic that the canary was given. */
  weight: number
  /** Number of the step; 0 before the first. */
  step: number
  /** Commits that are not in Git yet. */
  pending: number
}

/**
 * What Sluice says about itself to Prometheus. Every label has a bounded set of values: names of living Rollouts,
 * or one of a fixed list; a value outside it is counted as `Other`. Durations are given in milliseconds and exported in seconds.
 */
export interface Metrics {
  /** Sets the gauges of one Rollout (key `namespace/name`). */
  rollout(key: string, gauges: RolloutGauges): void
  /** Removes every series of a Rollout that is gone. */
  forgetRollout(key: string): void
  /** Counted when it is another than before. */
  verdict(verdict: SliStatus['verdict'], kind: 'successRate' | 'latency' | 'query'): void
  /** `reason` as in status.lastOutcome.reason. */
  rollback(reason: string): void
  outcome(result: Outcome['result']): void
  reconciled(ms: number): void
  reconcileError(kind: 'transient' | 'waiting' | 'terminal' | 'bug'): void
  queueDepth(depth: number): void
  /** From the moment a key was due to the start of its reconcile. */
  queueLatency(ms: number): void
  gitPush(result: 'ok' | 'lost-race' | 'refused' | 'unreachable' | 'error'): void
  /** `status`: HTTP status, or 0 when no answer arrived. */
  kubeRequest(verb: string, status: number): void
  prometheusQuery(result: 'ok' | 'empty' | 'refused' | 'unreachable' | 'error'): void
  /** From the verdict Breach to the accepted weight 0. */
  breachToWeight(ms: number): void
  leader(isLeader: boolean): void
  /** Decisions that arrived, and what became of them. */
  approvalDecision(channel: 'slack' | 'kubernetes' | 'git' | 'webhook', result: string): void
  /** Webhooks of forges, and what became of them. */
  webhook(result: 'taken' | 'ignored' | 'refused'): void
  /** Whether Slack can tell this process of clicks, where it has a socket for that. */
  slackSocket(connected: boolean): void
  /** Messages to people that were given up. */
  notificationLost(adapter: 'slack' | 'webhook' | 'approval'): void
  /** The exposition, and the content type it has. */
  render(): Promise<{ contentType: string; body: string }>
}

const kubeVerbs = [
  'get',
  'list',
  'watch',
  'create',
  'update',
  'patch',
  'apply',
  'delete',
  'post',
  'put',
  'head',
] as const

/** @param options.process also export CPU, memory and event loop of this process. */
export function createMetrics(options: { process?: boolean } = {}): Metrics {
  const registry = new Registry()
  if (options.process) collectDefaultMetrics({ register: registry })
  const registers = [registry]
  const counter = <L extends string>(name: string, help: string, labelNames: L[]) =>
    new Counter({ name, help, labelNames, registers })
  const gauge = <L extends string>(name: string, help: string, labelNames: L[]) =>
    new Gauge({ name, help, labelNames, registers })
  const histogram = (name: string, help: string, buckets: number[]) => new Histogram({ name, help, buckets, registers })

  const byKey = new Map<string, RolloutGauges>()
  const rollouts = gauge('sluice_rollouts', 'Rollouts by phase.', ['phase'])
  const weight = gauge('sluice_rollout_weight', 'Percent of the traffic that the canary was given.', [
    'namespace',
    'rollout',
  ])
  const step = gauge('sluice_rollout_step', 'Number of the current step, 0 before the first.', ['namespace', 'rollout'])
  const verdicts = counter('sluice_verdicts_total', 'Verdicts of the analysis.', ['verdict', 'kind'])
  const rollbacks = counter('sluice_rollbacks_total', 'Rollbacks by reason.', ['reason'])
  const outcomes = counter('sluice_outcomes_total', 'Finished rollouts by result.', ['result'])
  const reconciles = histogram('sluice_reconcile_duration_seconds', 'Duration of one reconcile.', fast)
  const errors = counter('sluice_reconcile_errors_total', 'Failed reconciles by class.', ['class'])
  const depth = gauge('sluice_queue_depth', 'Keys that wait for a worker.', [])
  const latency = histogram('sluice_queue_latency_seconds', 'From due to the start of the reconcile.', fast)
  const pushes = counter('sluice_git_pushes_total', 'Pushes by result.', ['result'])
  const pending = gauge('sluice_git_pending', 'Commits that are not in Git yet.', [])
  const requests = counter('sluice_kube_requests_total', 'Requests to the API server.', ['verb', 'code'])
  const queries = counter('sluice_prometheus_queries_total', 'Queries to Prometheus by result.', ['result'])
  const retreat = histogram(
    'sluice_breach_to_weight_seconds',
    'From the verdict Breach to the accepted weight 0.',
    fast,
  )
  const leading = gauge('sluice_leader', '1 on the replica that acts.', [])
  const decisions = counter('sluice_approval_decisions_total', 'Decisions of people by channel and result.', [
    'channel',
    'result',
  ])
  const socket = gauge('sluice_slack_socket', 'Whether Slack can tell this process of clicks.', ['state'])
  const lost = counter('sluice_notifications_lost_total', 'Messages to people that were given up.', ['adapter'])
  const webhooks = counter('sluice_webhooks_total', 'Webhooks of forges by what became of them.', ['result'])
  const reasonLabel = boundedLabel(40)
  const decisionLabel = boundedLabel(20)

  function countPhase(phase: Phase, change: 1 | -1): void {
    rollouts.inc({ phase }, change)
  }

  return {
    rollout(key, gauges) {
      const before = byKey.get(key)
      if (before?.phase !== gauges.phase) {
        if (before) countPhase(before.phase, -1)
        countPhase(gauges.phase, 1)
      }
      byKey.set(key, gauges)
      pending.inc(gauges.pending - (before?.pending ?? 0))
      weight.set(labelsOf(key), gauges.weight)
      step.set(labelsOf(key), gauges.step)
    },
    forgetRollout(key) {
      const before = byKey.get(key)
      if (!before) return
      byKey.delete(key)
      countPhase(before.phase, -1)
      pending.dec(before.pending)
      weight.remove(labelsOf(key))
      step.remove(labelsOf(key))
    },
    verdict: (verdict, kind) => verdicts.inc({ verdict, kind }),
    rollback: (reason) => rollbacks.inc({ reason: reasonLabel(reason) }),
    outcome: (result) => outcomes.inc({ result }),
    reconciled: (ms) => reconciles.observe(ms / 1000),
    reconcileError: (kind) => errors.inc({ class: kind }),
    queueDepth: (keys) => depth.set(keys),
    queueLatency: (ms) => latency.observe(ms / 1000),
    gitPush: (result) => pushes.inc({ result }),
    kubeRequest(verb, status) {
      const known = kubeVerbs.find((name) => name === verb.toLowerCase()) ?? 'Other'
      requests.inc({ verb: known, code: codeClass(status) })
    },
    prometheusQuery: (result) => queries.inc({ result }),
    breachToWeight: (ms) => retreat.observe(ms / 1000),
    leader: (isLeader) => leading.set(isLeader ? 1 : 0),
    // Nothing is said where there is no socket: none is missing there.
    slackSocket: (connected) => socket.set({ state: 'connected' }, connected ? 1 : 0),
    approvalDecision: (channel, result) => decisions.inc({ channel, result: decisionLabel(result) }),
    webhook: (result) => webhooks.inc({ result }),
    notificationLost: (adapter) => lost.inc({ adapter }),
    render: async () => ({ contentType: registry.contentType, body: await registry.metrics() }),
  }
}

const fast = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

function labelsOf(key: string): { namespace: string; rollout: string } {
  const slash = key.indexOf('/')
  return { namespace: key.slice(0, Math.max(slash, 0)), rollout: key.slice(slash + 1) }
}

function codeClass(status: number): string {
  if (status === 0) return 'none'
  if (status === 409 || status === 410 || status === 429) return String(status)
  return status >= 100 && status < 600 ? `${Math.floor(status / 100)}xx` : 'Other'
}
