import { randomUUID } from 'node:crypto'
import { pino } from 'pino'
import type { Decision } from '../api/approval.ts'
import { createApprovals } from '../approval/approvals.ts'
import { kubernetesDecision, whoAmI } from '../approval/kubernetes.ts'
import { type Approval, rule } from '../approval/object.ts'
import { isAllowed } from '../approval/person.ts'
import { type ErrorCode, SluiceError } from '../errors.ts'
import type { Runtime } from '../runtime.ts'
import type { Cluster } from './cluster.ts'
import { openQuestions } from './questions.ts'
import type { Rollout } from './rollouts.ts'

/**
 * The question that is meant: the one named, else the one that is open.
 * @throws {SluiceError} when there is none, several, or another move than the one with this digest
 */
export function choose(
  rollout: Rollout,
  questions: readonly Approval[],
  wanted: { approval?: string; digest?: string },
  now: number,
): Approval {
  const place = `${rollout.namespace}/${rollout.name}`
  const open = openQuestions(questions, now)
  const named = wanted.approval === undefined ? undefined : questions.find(({ name }) => name === wanted.approval)
  if (wanted.approval !== undefined && !named) {
    throw refusal('NothingToDecide', `${place} asks no question named ${wanted.approval}${listed(open)}`)
  }
  if (named && !open.includes(named)) {
    throw refusal('DecisionClosed', `the question ${named.name} of ${place} is closed: ${rule(named, now).message}`)
  }
  const current = open.filter(({ name }) => name === rollout.status.approval?.name)
  const candidates = named ? [named] : current.length > 0 ? current : open
  const [approval, another] = candidates
  if (!approval) {
    const last = questions[0]
    const closed = last ? `; its last question is closed: ${rule(last, now).message}` : ''
    const { phase, message } = rollout.status
    throw refusal(
      'NothingToDecide',
      `${place} asks for no approval (${phase ?? 'Unseen'}${message ? `: ${message}` : ''})${closed}`,
    )
  }
  if (another)
    throw refusal('NothingToDecide', `${place} asks several questions, so name one with --approval${listed(open)}`)
  if (wanted.digest !== undefined && wanted.digest !== approval.spec.digest) {
    throw refusal(
      'DigestChanged',
      `${place} asks about another move (digest ${approval.spec.digest}, not ${wanted.digest})`,
    )
  }
  return approval
}

function listed(open: readonly Approval[]): string {
  return open.length === 0 ? '' : `; open are: ${open.map(({ name }) => name).join(', ')}`
}

/**
 * Adds what the user of the credentials says to the question, under the digest that was read.
 * @returns one sentence: what that amounts to
 * @throws {SluiceError} when this person may not, or the question closed meanwhile; {KubeError}
 */
export async function record(
  { client }: Cluster,
  approval: Approval,
  answer: { verdict: Decision['verdict']; reason: string | undefined },
  runtime: Runtime,
): Promise<string> {
  const user = await whoAmI(client)
  const { verdict, reason } = answer
  const decision = kubernetesDecision(approval, user, {
    verdict,
    ...(reason === undefined ? {} : { reason }),
    id: randomUUID(),
    at: runtime.now(),
  })
  const notNamed = () =>
    refusal('NotAllowed', `${decision.by} is not named in approval.from (${approval.spec.allowed.join(', ')})`)
  if (!isAllowed(approval.spec.allowed, decision)) throw notNamed()
  const approvals = createApprovals({ client, runtime, log: pino({ level: 'silent' }) })
  const result = await approvals.add(approval, decision)
  switch (result.kind) {
    case 'Recorded':
      return `${verdict === 'Approve' ? 'Yes' : 'No'} recorded for ${decision.by}. ${result.message}.`
    case 'NotAllowed':
      throw notNamed()
    case 'Duplicate':
    case 'Closed':
      throw refusal('DecisionClosed', result.message.replace(/\.$/, ''))
  }
}

function refusal(reason: ErrorCode, message: string): SluiceError {
  return new SluiceError({ reason, message })
}
