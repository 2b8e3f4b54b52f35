import type { Problem } from '../../errors.ts'

/** A pull request (GitHub) or merge request (GitLab) whose branch lies in the same repository. */
export interface PullRequest {
  number: number
  /** As people write it: `#12` or `!12`. */
  reference: string
  /** Where people see it. */
  url: string
  title: string
  body: string
  state: 'open' | 'merged' | 'closed'
  /** Its own branch, and the branch it is to be merged into. */
  branch: string
  base: string
  /** Newest commit of its branch. */
  head: string
  labels: string[]
  /** Login of whoever opened it: ourselves. */
  author: string
  /** For a merged one: the commit on the base branch with which it arrived there. */
  mergedAs?: string
}

/** Somebody as the forge vouches for them. */
export interface ForgePerson {
  login: string
  /** Not a human: an app, a token of a project, a service account. */
  bot: boolean
  /** An address that the forge has verified and that this person shows. */
  email?: string
}

/** What people did with a pull request. */
export interface Verdicts {
  merged?: { by?: ForgePerson; at: number }
  closed?: { by?: ForgePerson; at: number }
  /** Reviews that approve its newest commit and were not taken back since. */
  approvals: { by: ForgePerson; at: number }[]
}

/** The words of a pull request. */
export interface Proposal {
  title: string
  body: string
  labels: string[]
}

/**
 * Where pull requests are opened and decided. Every method throws ForgeFailure, and nothing else, when the forge cannot be reached or
 * does not do what it is asked for.
 */
export interface Forge {
  /** `github:owner/name`: names the repository in identities of decisions. */
  readonly id: string
  /** Every pull request that ever had this branch of the repository, the newest first. */
  find(branch: string): Promise<PullRequest[]>
  open(branch: string, base: string, proposal: Proposal): Promise<PullRequest>
  /** Says what it is about anew; labels are added, never taken away. */
  update(pull: PullRequest, proposal: Proposal): Promise<void>
  /** Closes it without merging, with these words as its last ones. */
  close(pull: PullRequest, body: string): Promise<void>
  /** Comments, once: a comment with this key that is there already is enough. */
  say(pull: PullRequest, key: string, text: string): Promise<void>
  verdicts(pull: PullRequest): Promise<Verdicts>
  /** Whether a team (`org/team`) or group (`group/subgroup`) has this member. */
  isMember(group: string, login: string): Promise<boolean>
}

/** The forge did not do it. `retryAfterMs`: it asks to be left alone that long. */
export class ForgeFailure extends Error {
  override readonly name = 'ForgeFailure'
  readonly problem: Problem
  readonly transient: boolean
  readonly retryAfterMs: number | undefined
  constructor(problem: Problem, options: { transient: boolean; retryAfterMs?: number; cause?: unknown }) {
    super(problem.message, { cause: options.cause })
    this.problem = problem
    this.transient = options.transient
    this.retryAfterMs = options.retryAfterMs
  }
}

/** The line by which a comment of ours is known again; forges do not show it. */
export function commentKey(key: string): string {
  return `<!-- sluice-comment: ${key.replaceAll('-->', '')} -->`
}
