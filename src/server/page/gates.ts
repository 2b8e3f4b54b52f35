import { formatDuration } from '../../api/duration.ts'
import type { RolloutSpec } from '../../api/rollout.ts'
import type { RolloutStatus } from '../../api/status.ts'
import { type Approval, rule } from '../../approval/object.ts'
import type { StepView } from './steps.ts'

/** Something that must be so before the next step is entered. */
export interface GateView {
  kind: 'Hold' | 'Requests' | 'Window' | 'Dependency' | 'Approval'
  open: boolean
  text: string
  /** When it opens by itself, epoch ms. */
  opensAt?: number
}

/** A question to people that is open. */
export interface QuestionView {
  name: string
  from: number
  to: number
  revision: string
  place: string
  /** Who said yes, and how many it takes. */
  by: string[]
  required: number
  requiredFrom: string[]
  allowed: string[]
  /** Who cannot be the only one to say yes. */
  authors: string[]
  expiresAt: string
  onExpiry: 'Reject' | 'Hold'
  message: string
  evidence: string[]
  commits: { sha: string; subject: string; author: string }[]
  compareUrl?: string
  pullRequest?: string
  /** Approved, but not to be moved before. */
  notBefore?: string
}

/** Another Rollout that has to be Healthy first. */
export interface Dependency {
  key: string
  phase: string | undefined
}

/** What still stands between a rollout in flight and its next step, in the order in which it is asked. */
export function gateViews(
  spec: RolloutSpec | undefined,
  status: RolloutStatus,
  steps: readonly StepView[],
  dependencies: readonly Dependency[],
): GateView[] {
  if (!spec || !status.canary || status.phase === 'Promoting' || status.retreating) return []
  const here = steps.find(({ state }) => state === 'here')
  const next = spec.steps[status.step?.index ?? 0]
  return [
    ...(here?.holding ? [holdGate(here, here.holding)] : []),
    ...(here && !here.holding?.waived ? requestGates(spec, status) : []),
    ...windowGate(spec, status),
    ...dependencies.map(({ key, phase }): GateView => {
      const open = phase === 'Healthy'
      return { kind: 'Dependency', open, text: `${key} is ${phase ?? 'not there'}${open ? '' : ', not Healthy'}` }
    }),
    ...(next?.approval ? [approvalGate(next.approval, status)] : []),
  ]
}

function holdGate(step: StepView, { leftMs, endsAt, waived }: NonNullable<StepView['holding']>): GateView {
  if (waived !== undefined) return { kind: 'Hold', open: true, text: `hold waived: ${waived}` }
  if (leftMs <= 0) return { kind: 'Hold', open: true, text: `held at ${step.weight} % for ${step.hold}` }
  if (endsAt === undefined) {
    const left = formatDuration(Math.ceil(leftMs / 1000) * 1000)
    return {
      kind: 'Hold',
      open: false,
      text: `holds at ${step.weight} %, ${left} of ${step.hold} left; its clock stands`,
    }
  }
  return { kind: 'Hold', open: false, text: `holds at ${step.weight} % for ${step.hold}`, opensAt: endsAt }
}

function requestGates({ analysis }: RolloutSpec, status: RolloutStatus): GateView[] {
  const ratios = analysis.slis.filter((sli) => sli.query === undefined)
  const counts = ratios.map(({ name }) => status.analysis?.find((sli) => sli.name === name)?.stepEvents ?? 0)
  if (counts.length === 0) return []
  const fewest = Math.min(...counts)
  const open = fewest >= analysis.minRequests
  const text = `${fewest} of at least ${analysis.minRequests} requests in this step`
  return [{ kind: 'Requests', open, text }]
}

function windowGate(spec: RolloutSpec, { window }: RolloutStatus): GateView[] {
  if (spec.windows.length === 0) return []
  if (!window || window.open) return [{ kind: 'Window', open: true, text: 'a window is open' }]
  const opensAt = Date.parse(window.opensAt ?? '')
  const text = window.reason ?? 'no window is open'
  return [{ kind: 'Window', open: false, text, ...(Number.isNaN(opensAt) ? {} : { opensAt }) }]
}

function approvalGate(
  approval: NonNullable<RolloutSpec['steps'][number]['approval']>,
  { approval: asked, step }: RolloutStatus,
): GateView {
  const { from, required } = approval
  const people = `${required > 1 ? `${required} of ` : ''}${from.join(', ')}`
  const mine = asked?.step === (step?.index ?? 0) + 1 ? asked : undefined
  if (mine?.state === 'Approved' || mine?.state === 'Consumed') {
    const notBefore = Date.parse(mine.notBefore ?? '')
    const text = `approved by ${mine.by?.join(', ') || 'people'}`
    if (Number.isNaN(notBefore)) return { kind: 'Approval', open: true, text }
    return { kind: 'Approval', open: false, text: `${text}, not before`, opensAt: notBefore }
  }
  if (mine?.state === 'Pending') return { kind: 'Approval', open: false, text: `waits for ${people}` }
  return { kind: 'Approval', open: false, text: `will be asked of ${people}` }
}

/** An open Approval as the page shows it. */
export function questionView(approval: Approval, now: number): QuestionView {
  const { spec, status } = approval
  const ruling = rule(approval, now)
  return {
    name: approval.name,
    from: spec.from,
    to: spec.to,
    revision: spec.revision,
    place: spec.step > 0 ? `step ${spec.step} of ${spec.steps}` : 'the start',
    by: ruling.by,
    required: spec.required,
    requiredFrom: spec.requiredFrom ?? [],
    allowed: spec.allowed,
    authors: spec.separationOfDuties ? spec.authors : [],
    expiresAt: spec.expiresAt,
    onExpiry: spec.onExpiry,
    message: ruling.message,
    evidence: spec.evidence,
    commits: spec.change?.commits ?? [],
    compareUrl: webUrl(spec.change?.compareUrl),
    pullRequest: webUrl(status.pullRequest?.url),
    notBefore: status.notBefore,
  }
}

/** A link that may be followed; whatever else stands there is not one. */
export function webUrl(text: string | undefined): string | undefined {
  if (text === undefined || !URL.canParse(text)) return undefined
  const { protocol } = new URL(text)
  return protocol === 'https:' || protocol === 'http:' ? text : undefined
}
