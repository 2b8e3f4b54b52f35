import { authorOf, type Commit } from './commit.ts'
import {
  afterTrailer,
  kindTrailer,
  opTrailer,
  parseWeights,
  rolloutTrailer,
  type WrittenWeights,
  weightsTrailer,
} from './message.ts'
import { parseTrailers, type Trailers, trailer } from './trailers.ts'

/** One operation of a Rollout, told by the commit that records it. */
export interface Operation {
  commit: string
  /** Epoch ms: when it was decided, and when it was committed. */
  decidedAt: number
  committedAt: number
  author: string
  subject: string
  /** `namespace/name` */
  rollout: string
  op: string
  /** `step`, `rollback`, `abort`, `promote`, `retry`, `restore`, `adopt` or `delete`; undefined where the commit does not say. */
  kind?: string
  /** The operation that the branch held before this one, or `none`. */
  after?: string
  revision?: string
  from?: string
  step?: string
  verdict?: string
  /** What it wrote into the route, when it was about weights. */
  weights?: WrittenWeights
  /** The canary's percentage before it. */
  before?: number
  evidence: string[]
  approvedBy: string[]
  requestedBy: string[]
  /** Who opened a gate in an emergency, and why. */
  override: string[]
}

/**
 * What a commit says about Rollouts, oldest first: nothing for everybody else's commits, one operation for ours, and all of them where a
 * forge has squashed several into one, each with a paragraph of trailers of its own.
 */
export function operationsOf(commit: Commit): Operation[] {
  if (!commit.message.includes(`${opTrailer}:`)) return []
  const [subject = '', ...paragraphs] = commit.message.replace(/\r\n/g, '\n').split(/\n(?:[ \t]*\n)+/)
  const operations = paragraphs.flatMap((paragraph): Operation[] => {
    const trailers = parseTrailers(`of\n\n${paragraph}`)
    const found = operationIn(trailers, commit, subject.split('\n')[0]!)
    return found ? [found] : []
  })
  return operations.filter(({ op }, i) => operations.findIndex((other) => other.op === op) === i)
}

/** The newest of them; undefined for everybody else's commits. */
export function operationOf(commit: Commit): Operation | undefined {
  return operationsOf(commit).at(-1)
}

function operationIn(trailers: Trailers, commit: Commit, subject: string): Operation | undefined {
  const rollout = trailer(trailers, rolloutTrailer)
  const op = trailer(trailers, opTrailer)
  if (rollout === undefined || op === undefined) return undefined
  const before = /^([0-9]+(?:\.[0-9]+)?)% → [0-9.]+%$/.exec(trailer(trailers, 'Weight') ?? '')
  return {
    commit: commit.sha,
    decidedAt: commit.authoredAt,
    committedAt: commit.committedAt,
    author: authorOf(commit),
    subject,
    rollout,
    op,
    kind: trailer(trailers, kindTrailer),
    after: trailer(trailers, afterTrailer),
    revision: trailer(trailers, 'Revision'),
    from: trailer(trailers, 'From'),
    step: trailer(trailers, 'Step'),
    verdict: trailer(trailers, 'Verdict'),
    weights: parseWeights(trailer(trailers, weightsTrailer) ?? ''),
    ...(before ? { before: Number(before[1]) } : {}),
    evidence: trailers.get('evidence') ?? [],
    approvedBy: trailers.get('approved-by') ?? [],
    requestedBy: trailers.get('requested-by') ?? [],
    override: trailers.get('override') ?? [],
  }
}

/** The audit trail of one Rollout from commits, oldest first; each operation once. */
export function auditTrail(commits: Commit[], rollout: { namespace: string; name: string }): Operation[] {
  const key = `${rollout.namespace}/${rollout.name}`
  const seen = new Set<string>()
  const trail: Operation[] = []
  for (const operation of commits.toReversed().flatMap(operationsOf)) {
    if (operation.rollout !== key || seen.has(operation.op)) continue
    seen.add(operation.op)
    trail.push(operation)
  }
  return trail
}

/** The newest commits of a branch, indexed by what Sluice wrote into their messages. */
export interface History {
  /** Newest first, ancestors always after their descendants. */
  commits: Commit[]
  /** False when there may be older commits that are not here. */
  complete: boolean
  commitOf(op: string): Commit | undefined
  /** The newest operation of this Rollout that wrote weights. */
  weightsOf(rollout: { namespace: string; name: string }): (Operation & { weights: WrittenWeights }) | undefined
  /** 0 for the tip; undefined when the commit is not among these. */
  position(sha: string): number | undefined
}

/**
 * Indexes commits given newest first. `known` keeps what was read from messages between calls, so that a new tip costs only
 * its new commits.
 */
export function indexHistory(
  commits: Commit[],
  complete: boolean,
  known: Map<string, Operation[]> = new Map(),
): History {
  const byOp = new Map<string, Commit>()
  const newest = new Map<string, Operation & { weights: WrittenWeights }>()
  const positions = new Map<string, number>()
  commits.forEach((commit, position) => {
    positions.set(commit.sha, position)
    if (!commit.message.includes(`${opTrailer}:`)) return
    const operations = known.get(commit.sha) ?? operationsOf(commit)
    known.set(commit.sha, operations)
    for (const operation of operations.toReversed()) {
      byOp.set(operation.op, commit)
      const { rollout, weights } = operation
      if (weights && !newest.has(rollout)) newest.set(rollout, { ...operation, weights })
    }
  })
  return {
    commits,
    complete,
    commitOf: (op) => byOp.get(op),
    weightsOf: ({ namespace, name }) => newest.get(`${namespace}/${name}`),
    position: (sha) => positions.get(sha),
  }
}
