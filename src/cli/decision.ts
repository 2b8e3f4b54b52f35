import { randomUUID } from 'node:crypto'
import { pino } from 'pino'
import type { Decision } from '../api/approval.ts'
import { createApprovals } from '../approval/approvals.ts'
import { kubernetesDecision, mayOverride, whoAmI } from '../approval/kubernetes.ts'
import { type Approval, rule } from '../approval/object.ts'
import { isAllowed } from '../approval/person.ts'
import { type ErrorCode, SluiceError } from '../errors.ts'
import { asKubeError } from '../kube/kube-error.ts'
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

/** What was recorded, for people and for machines. */
export interface Recorded {
  /** One sentence: what that amounts to. */
  sentence: string
  report: object
}

/**
 * Adds what the user of the credentials says to the question, under the digest that was read.
 * @throws {SluiceError} when this person may not, or the question closed meanwhile; {KubeError}
 */
export async function record(
  { client }: Cluster,
  approval: Approval,
  answer: {
    verdict: Decision['verdict']
    reason: string | undefined
    /** Epoch ms. */
    notBefore: number | undefined
    override: boolean
  },
  runtime: Runtime,
): Promise<Recorded> {
  const user = await whoAmI(client)
  const { verdict, reason, notBefore, override } = answer
  const decision = kubernetesDecision(approval, user, {
    verdict,
    ...(reason === undefined ? {} : { reason }),
    ...(notBefore === undefined ? {} : { notBefore }),
    ...(override ? { override } : {}),
    id: randomUUID(),
    at: runtime.now(),
  })
  const notNamed = () =>
    refusal('NotAllowed', `${decision.by} is not named in approval.from (${approval.spec.allowed.join(', ')})`)
  if (override) {
    if (!(await mayOverride(client, approval))) throw refusal('OverrideForbidden', forbidden(decision, approval))
  } else if (!isAllowed(approval.spec.allowed, decision)) throw notNamed()
  const approvals = createApprovals({ client, runtime, log: pino({ level: 'silent' }) })
  const result = await approvals.add(approval, decision).catch((error: unknown) => {
    const why = deniedByPolicy(error)
    if (why === undefined) throw error
    throw refusal(/may not override/.test(why) ? 'OverrideForbidden' : 'DecisionRefused', why)
  })
  switch (result.kind) {
    case 'Recorded': {
      const said = verdict === 'Reject' ? 'No' : override ? 'Override' : 'Yes'
      return {
        sentence: `${said} recorded for ${decision.by}. ${result.message}.`,
        report: report(result.approval, decision, runtime.now()),
      }
    }
    case 'NotAllowed':
      throw override ? refusal('DecisionRefused', result.message) : notNamed()
    case 'Duplicate':
    case 'Closed':
      throw refusal('DecisionClosed', result.message.replace(/\.$/, ''))
  }
}

function forbidden({ by }: Decision, { namespace }: Approval): string {
  return `${by} may not override; it takes the verb override on approvals in ${namespace} (the role sluice-override)`
}

/** The sentence of an admission policy that refused, without what the API server puts around it. */
function deniedByPolicy(error: unknown): string | undefined {
  const refused = asKubeError(error)
  return /ValidatingAdmissionPolicy '[^']+'.* denied request: (.+)$/s.exec(refused?.message ?? '')?.[1]
}

/** What there is to know afterwards: what was said, what it amounts to, and what is missing. */
function report(approval: Approval, decision: Decision, now: number): object {
  const { namespace, name, spec } = approval
  const { state, message, by, missing = [], notBefore, override } = rule(approval, now)
  const { rollout, revision, step, from, to, digest, change, evidence, required, requiredFrom, expiresAt } = spec
  return {
    namespace,
    rollout,
    approval: name,
    question: { revision, step, from, to, digest, change, evidence, required, requiredFrom, expiresAt },
    decision,
    state,
    message,
    by,
    missing,
    ...(notBefore === undefined ? {} : { notBefore: new Date(notBefore).toISOString() }),
    ...(override === undefined ? {} : { override }),
  }
}

function refusal(reason: ErrorCode, message: string): SluiceError {
  return new SluiceError({ reason, message })
}
