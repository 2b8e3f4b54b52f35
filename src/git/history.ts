import { authorOf, type Commit } from './commit.ts'
import { opTrailer, parseWeights, rolloutTrailer, type WrittenWeights, weightsTrailer } from './message.ts'
import { parseTrailers, trailer } from './trailers.ts'

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
  revision?: string
  from?: string
  step?: string
  verdict?: string
  /** What it wrote into the route, when it was about weights. */
  weights?: WrittenWeights
  evidence: string[]
  approvedBy: string[]
  requestedBy: string[]
}

/** What a commit says about a Rollout; undefined for everybody else's commits. */
export function operationOf(commit: Commit): Operation | undefined {
  const trailers = parseTrailers(commit.message)
  const rollout = trailer(trailers, rolloutTrailer)
  const op = trailer(trailers, opTrailer)
  if (rollout === undefined || op === undefined) return undefined
  return {
    commit: commit.sha,
    decidedAt: commit.authoredAt,
    committedAt: commit.committedAt,
    author: authorOf(commit),
    subject: commit.message.split('\n')[0]!,
    rollout,
    op,
    revision: trailer(trailers, 'Revision'),
    from: trailer(trailers, 'From'),
    step: trailer(trailers, 'Step'),
    verdict: trailer(trailers, 'Verdict'),
    weights: parseWeights(trailer(trailers, weightsTrailer) ?? ''),
    evidence: trailers.get('evidence') ?? [],
    approvedBy: trailers.get('approved-by') ?? [],
    requestedBy: trailers.get('requested-by') ?? [],
  }
}

/** The audit trail of one Rollout from commits, oldest first; each operation once. */
export function auditTrail(commits: Commit[], rollout: { namespace: string; name: string }): Operation[] {
  const key = `${rollout.namespace}/${rollout.name}`
  const seen = new Set<string>()
  const trail: Operation[] = []
  for (const commit of commits.toReversed()) {
    const operation = operationOf(commit)
    if (operation?.rollout !== key || seen.has(operation.op)) continue
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
  known: Map<string, Operation | undefined> = new Map(),
): History {
  const byOp = new Map<string, Commit>()
  const newest = new Map<string, Operation & { weights: WrittenWeights }>()
  const positions = new Map<string, number>()
  commits.forEach((commit, position) => {
    positions.set(commit.sha, position)
    if (!commit.message.includes(`${opTrailer}:`)) return
    const operation = known.has(commit.sha) ? known.get(commit.sha) : operationOf(commit)
    known.set(commit.sha, operation)
    if (!operation) return
    byOp.set(operation.op, commit)
    const { rollout, weights } = operation
    if (weights && !newest.has(rollout)) newest.set(rollout, { ...operation, weights })
  })
  return {
    commits,
    complete,
    commitOf: (op) => byOp.get(op),
    weightsOf: ({ namespace, name }) => newest.get(`${namespace}/${name}`),
    position: (sha) => positions.get(sha),
  }
}
