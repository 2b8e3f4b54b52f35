import type { RolloutSpec } from '../../api/rollout.ts'
import type { Outcome, RevisionRecord, RolloutStatus } from '../../api/status.ts'
import { verbsNow } from '../../api/verbs.ts'
import { type Approval, isOpen } from '../../approval/object.ts'
import type { Course } from '../../controller/chronicle.ts'
import type { Operation } from '../../git/history.ts'
import type { DeadLetter } from '../../notify/dead-letters.ts'
import { type SliView, sliViews } from './evidence.ts'
import { type Dependency, type GateView, gateViews, type QuestionView, questionView } from './gates.ts'
import { type StepView, stepViews } from './steps.ts'
import { type Tone, toneOf } from './tone.ts'

/** Everything that the page about one Rollout is made of. */
export interface PageInput {
  namespace: string
  name: string
  status: RolloutStatus
  /** Undefined when the declared spec cannot be understood and no earlier one could. */
  spec: RolloutSpec | undefined
  /** The status is about an earlier spec than the one declared now. */
  outdated: boolean
  deleting: boolean
  course: Course | undefined
  questions: readonly Approval[]
  dependencies: readonly Dependency[]
  /** Messages about it that were given up, newest first. */
  undelivered: readonly DeadLetter[]
  /** Undefined: nobody has read it, or there is no Git. Oldest first. */
  operations: readonly Operation[] | undefined
}

/** A command line, and what it does. */
export interface CommandView {
  line: string
  does: string
  /** An answer to a question, something that moves traffic, or only a look. */
  kind: 'answer' | 'act' | 'look'
}

/** The page about one Rollout as plain data. Every text in it may come from anywhere: it is escaped where it is shown. */
export interface RolloutView {
  namespace: string
  name: string
  phase: string
  tone: Tone
  message: string
  notes: string[]
  /** The canary's percent of the traffic, and the one it is about to have. */
  weight: number
  entering?: number
  stable?: RevisionView
  canary?: RevisionView & { attempt?: number; startedAt?: string; author?: string }
  steps: StepView[]
  gates: GateView[]
  questions: QuestionView[]
  course?: Course
  /** The revision that the SLIs and the course are about, where it is not the canary of now. */
  about?: string
  slis: SliView[]
  git?: {
    pending: { subject: string; reason?: string; at: string }[]
    lastCommit?: string
    lastCommitAt?: string
    message?: string
  }
  operations?: readonly Operation[]
  undelivered: readonly DeadLetter[]
  knownBad: { revision: string; text: string; at: string }[]
  history: Outcome[]
  request?: NonNullable<RolloutStatus['lastRequest']>
  commands: CommandView[]
}

export interface RevisionView {
  revision: string
  image?: string
  tested: boolean
}

/** Shapes the page about one Rollout from what is known at `now`, epoch ms. Pure. */
export function pageModel(input: PageInput, now: number): RolloutView {
  const { namespace, name, status, spec, course, operations } = input
  const { canary, stable, step, git } = status
  const steps = stepViews(spec, status, now)
  const questions = input.questions.filter((approval) => isOpen(approval, now)).map((each) => questionView(each, now))
  const shown = canary !== undefined || status.phase === 'RolledBack' || course !== undefined
  return {
    namespace,
    name,
    phase: status.phase ?? 'Unseen',
    tone: toneOf(status.phase),
    message: status.message ?? 'No controller has looked at it yet; is sluice controller running?',
    notes: notesOf(input),
    weight: canary ? (step?.weight ?? 0) : 0,
    ...(canary && step?.entering ? { entering: step.entering.weight } : {}),
    ...(stable ? { stable: revisionView(stable) } : {}),
    ...(canary
      ? {
          canary: {
            ...revisionView(canary),
            attempt: status.attempt,
            startedAt: status.startedAt,
            author: status.author,
          },
        }
      : {}),
    steps,
    gates: gateViews(spec, status, steps, input.dependencies),
    questions,
    course,
    ...(canary || !shown ? {} : { about: status.lastOutcome?.revision }),
    slis: shown ? sliViews(status.analysis ?? [], spec, course, canary !== undefined) : [],
    ...(git
      ? {
          git: {
            pending: (git.pending ?? [])
              .filter((commit) => !commit.void)
              .map(({ subject, reason, at }) => ({ subject, reason, at })),
            lastCommit: git.lastCommit,
            lastCommitAt: git.lastCommitAt,
            message: git.message,
          },
        }
      : {}),
    operations,
    undelivered: input.undelivered,
    knownBad: (status.knownBad ?? [])
      .map(({ revision, reason, message, at }) => ({ revision, text: message ?? reason, at }))
      .reverse(),
    history: status.history ?? (status.lastOutcome ? [status.lastOutcome] : []),
    request: status.lastRequest,
    commands: commandsOf(input, questions),
  }
}

function revisionView({ revision, image, tested }: RevisionRecord): RevisionView {
  return { revision, image, tested: tested !== false }
}

function notesOf({ deleting, spec, outdated, status }: PageInput): string[] {
  return [
    ...(deleting ? ['It is being deleted.'] : []),
    ...(spec?.suspend ? ['It is suspended: hands off, a breach included.'] : []),
    ...(status.stable?.tested === false ? ['What serves was changed in place and never tested.'] : []),
    ...(outdated && status.phase ? ['The newest spec has not been seen yet.'] : []),
  ]
}

const does = {
  pause: 'stay at this weight; the guard goes on',
  resume: 'go on',
  promote: 'end the hold of this step; approvals, windows and the guard stay',
  abort: 'put all traffic back on stable',
  retry: 'try the rolled-back revision once more',
} as const

function commandsOf(input: PageInput, questions: readonly QuestionView[]): CommandView[] {
  const { namespace, name, status, spec } = input
  const line = (verb: string) => `sluice ${verb} ${namespace}/${name}`
  const answers = questions.flatMap((question): CommandView[] => {
    const which = questions.length > 1 ? ` --approval ${question.name}` : ''
    const move = `${question.from} % → ${question.to} %`
    return [
      { line: line('approve') + which, does: `say yes to ${move}`, kind: 'answer' },
      { line: line('reject') + which, does: `say no to ${move}: traffic goes back`, kind: 'answer' },
    ]
  })
  return [
    ...answers,
    ...verbsNow(status, spec).map((verb): CommandView => ({ line: line(verb), does: does[verb], kind: 'act' })),
    { line: line('watch'), does: 'follow it in a terminal', kind: 'look' },
    { line: line('describe'), does: 'all of this as text', kind: 'look' },
    { line: line('history'), does: 'what Git tells of it', kind: 'look' },
  ]
}
