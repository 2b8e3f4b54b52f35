import { pino } from 'pino'
import type { Decision } from '../../src/api/approval.ts'
import type { ApprovalQuestion } from '../../src/plan/effects.ts'
import { type Runtime, systemRuntime } from '../../src/runtime.ts'

export const start = Date.parse('2026-03-02T12:00:00Z')

/** Wall-clock time that moves only when told to; sleeping is real, and short. */
export interface Clock extends Runtime {
  advance(ms: number): void
}

export function clock(): Clock {
  let at = start
  return { ...systemRuntime, now: () => at, advance: (ms) => (at += ms) }
}

export const owner = { namespace: 'shop', name: 'checkout', uid: 'rollout-1' }

export function question(over: Partial<ApprovalQuestion> = {}): ApprovalQuestion {
  return {
    name: 'checkout-d1',
    digest: 'd1',
    revision: 'v2-abc',
    step: 2,
    steps: 3,
    from: 10,
    to: 50,
    required: 1,
    allowed: ['user:dana@example.com', 'slack-user:U1', 'slack-user:U2'],
    expiresAt: start + 3_600_000,
    onExpiry: 'Reject',
    separationOfDuties: false,
    authors: [],
    evidence: ['success-rate 99.98 % ≥ 99.5 %'],
    ...over,
  }
}

export function slackDecision(user: string, over: Partial<Decision> = {}): Decision {
  const at = new Date(start + 1000).toISOString()
  return { verdict: 'Approve', by: `slack-user:${user}`, via: 'slack', digest: 'd1', at, id: `click-${user}`, ...over }
}

/** A logger whose lines can be read. */
export function readableLog() {
  const lines: Record<string, unknown>[] = []
  const log = pino({ level: 'debug' }, { write: (line: string) => void lines.push(JSON.parse(line)) })
  return { log, lines, text: () => lines.map((line) => JSON.stringify(line)).join('\n') }
}
